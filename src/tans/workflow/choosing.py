"""Which networks to take for a task: named, or searched for within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tans.build.crew import Crew
from tans.errors import InputError, LimitError, ZooError
from tans.networks.incoming.fetched import ID as FETCHED
from tans.networks.incoming.fetched import entry_of
from tans.search import (
    OWN,
    PAPER,
    Query,
    SearchResult,
    Terms,
    check_method,
    search,
    search_catalogue,
)
from tans.search.curve import Curve, learning_curve
from tans.tasks.task import Task
from tans.training import PUBLISHED, Recipe
from tans.types import Constraints, ZooEntry
from tans.zoo.ids import asked_size
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo

COMBINATIONS = {
    "one": "the best match alone",
    "distil": "the best match, taught by itself and others that are fine-tuned before",
}
"""What comes of the networks that a search finds."""
TOP = 10
"""Matches of a search that are told."""
LOOK = 5
"""Sources that are looked at, where nothing else is asked for."""


@dataclass(frozen=True)
class Selection:
    """Which networks to fine-tune: the best match within limits, or one that is named."""

    network: str | None = None
    """Id of an entry, ``ID@SIZE`` for it in another size, or the name of a source task for its
    largest network; None searches."""
    beside: tuple[str, ...] = ()
    """Others for comparison, named likewise; ``imagenet`` is the network as published."""
    limits: Constraints = field(default_factory=Constraints)
    """Of the search."""
    look: int = LOOK
    """Sources beside ImageNet that get the second look of the search."""
    commercial: bool = False
    """Only networks that may be used commercially, by all licences of what they came from."""
    combine: str = "one"
    """One of ``COMBINATIONS``."""
    unlabelled: str | Path | None = None
    """Folder of images of the same kind without labels, which a distillation learns from too."""
    method: str = OWN
    """How to search and how to fine-tune, one of ``tans.search.METHODS``."""

    def __post_init__(self) -> None:
        check_method(self.method, self.limits)
        if self.method == PAPER and self.combine != "one":
            raise InputError(
                f"combine is {self.combine!r}, and the paper's method fine-tunes one network; "
                "leave --combine or --method paper out"
            )
        if self.combine not in COMBINATIONS:
            known = ", ".join(COMBINATIONS)
            raise InputError(f"combine is {self.combine!r}; expected one of {known}")
        if self.unlabelled is not None and self.combine == "one":
            raise InputError(
                f"unlabelled images in {self.unlabelled} were given to one network alone, which "
                "learns from labels; expected --combine distil with them"
            )

    @property
    def recipe(self) -> Recipe:
        """How its method fine-tunes."""
        return PUBLISHED if self.method == PAPER else Recipe()

    def named(self, zoo: Zoo) -> dict[str, ZooEntry]:
        """The networks that are named, under what a report calls each, in order.

        Raises:
            ZooError: the zoo holds no such network.
            InputError: only networks are asked for that may be used commercially, and the one that
                is to be fine-tuned is none.
        """
        names = [self.network, *self.beside] if self.network else self.beside
        found = {_label(name): find_network(zoo, name) for name in names}
        if self.network and self.commercial:
            chain = Licensing.of(zoo).chain(found[_label(self.network)])
            if not chain.commercial:
                raise InputError(
                    f"{self.network} came from what is under {chain}, and commercial use was asked "
                    "for, which not all of that allows; name another network, or leave "
                    "--commercial out"
                )
        return found

    def refuse_any(self, start: Path, zoo: str | None) -> None:
        """Refuse a selection where training goes on from a fine-tuned network.

        Raises:
            InputError: anything is selected, or a zoo is given.
        """
        if self != Selection() or zoo is not None:
            raise InputError(
                f"training goes on from the network in {start}, and none is searched for; leave "
                "out --network, --beside, limits, --commercial, --look, --combine, --unlabelled, "
                "--method and --zoo, or --from"
            )

    def warnings(self) -> list[str]:
        """What is asked for and has no effect, a sentence each."""
        named, told = "and none is run for a network that is named", []
        if self.network and self.limits != Constraints():
            told.append(f"limits are for the search, {named}")
        if self.network and self.combine != "one":
            told.append(f"what is combined comes from the search, {named}")
        if self.method == PAPER and self.look != LOOK:
            told.append("looks were asked for, and the paper's method takes none")
        return told


def find_network(zoo: Zoo, name: str) -> ZooEntry:
    """The entry of that id, or the network that stands for the source task of that name.

    A network of the catalogue that was fetched has the id ``timm:NAME``, or ``timm:NAME@SIZE``.

    Raises:
        ZooError: there is none; the message names the nearest.
        FetchError: it is of the catalogue, and was not fetched.
    """
    if name not in {task.name for task in zoo.tasks()}:
        return _entry(zoo, name)
    sources = Sources.of(zoo)
    return sources.whole[0] if name == IMAGENET else sources.largest[name]


def _entry(zoo: Zoo, id: str) -> ZooEntry:
    """An entry of a zoo, or a network of the catalogue, which the zoo then knows."""
    if id.startswith(FETCHED):
        name = id.removeprefix(FETCHED)
        name = name if asked_size(id) is None else name.rpartition("@")[0]
        zoo.fetched[FETCHED + name] = entry_of(name)
    return zoo.entry(id)


def expected_curve(task: Task, zoo: str | Path | None = None) -> Curve:
    """What more images of a task would bring, or why that cannot be told: no failure.

    Args:
        zoo: whose base makes the features; the shipped one when None.
    """
    try:
        return learning_curve(task, Zoo.open(zoo))
    except ZooError as error:
        return Curve(untold=str(error))


def search_within(
    task: Task | Query,
    zoo: Zoo,
    limits: Constraints,
    *,
    commercial: bool = False,
    top: int = TOP,
    look: int = LOOK,
    method: str = OWN,
    crew: Crew | None = None,
) -> SearchResult:
    """As ``tans.search.search``, which says more, with all limits in one object."""
    given = {**asdict(limits), "commercial": commercial, "top": top, "look": look}
    return search(task, zoo, **given, method=method, crew=crew)


def search_beyond(
    task: Task,
    zoo: Zoo,
    terms: Terms,
    *,
    look: int = LOOK,
    tell: Callable[[str], None] | None = None,
    crew: Crew | None = None,
) -> SearchResult:
    """As ``search_within``, and then among networks of the catalogue, which are fetched.

    Args:
        terms: the limits, and what else is asked.
        look: sources that get the second look, at least 1.
        tell: told of each download, and of how each network does.
        crew: that looks at the zoo's own networks side by side.

    Raises:
        InputError: ``look`` is 0, so that nothing can be compared.
        LimitError: nothing fits the limits, in the zoo and of what could be fetched.
        ZooError: the zoo has no calibrator.
    """
    if look < 1:
        raise InputError(
            f"look is {look}; networks of the catalogue are judged by a look; expected 1 or more"
        )
    nothing: LimitError | None = None
    try:
        found = search_within(
            task,
            zoo,
            terms.limits,
            commercial=terms.commercial,
            top=terms.top,
            look=look,
            crew=crew,
        )
    except LimitError as error:  # looks tell how hard the task is, also at what does not fit
        nothing = error
        found = replace(search_within(task, zoo, Constraints(), look=look, crew=crew), matches=())
    found = search_catalogue(task, zoo, found, terms, tell)
    if not found.matches:
        raise nothing or LimitError("no network fits the limits; loosen them")
    return found if nothing is None else replace(found, notes=(*found.notes, f"zoo: {nothing}"))


def _label(name: str) -> str:
    """What a report calls a network that was asked for by id or by source task."""
    return "ImageNet" if name == IMAGENET else name
