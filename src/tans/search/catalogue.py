"""Networks that are not here yet: which of the catalogue are fetched, and how they do.

Of the networks that fit all limits a shortlist is made by what timm's metadata tells alone: how
many images a network learnt from, and how large it is. One of each kind of architecture stands in
it, then a second of each. They are fetched one after another and looked at on few of the user's
images; the better half is looked at on twice as many, and so on (successive halving). Those that
stand in the end had the look that a zoo's own sources get, and are judged by the same calibrator.

References:
    Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization,
    AISTATS 2016 (successive halving).
    Kornblith et al., Do Better ImageNet Models Transfer Better?, CVPR 2019 (larger and better
    trained networks mostly transfer better).
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from tans.build.measure import embedded
from tans.costs.latency import cached_time
from tans.costs.limits import Array, allowed, costs_of, minutes_at_pace, shortened
from tans.errors import FetchError, HubError, InputError, ZooError
from tans.licences import UNSTATED, allows_commercial
from tans.meta.calibrator import Calibrator
from tans.meta.data import structures
from tans.meta.retriever import Retriever
from tans.networks.catalogue import HUB, Offer, shipped
from tans.networks.family import describe
from tans.networks.incoming.fetched import Kept, entry_of, fetch, kept
from tans.search.look import IMAGES, Look, Tried, look_at
from tans.search.ranking import expected
from tans.search.result import SearchResult
from tans.search.stored import Candidates, matches_of
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.types import Constraints, InputSpec, Match, NetworkRef, ZooEntry
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.zoo import Zoo

SHORTLIST = 8
"""Networks that are fetched, at most."""
RUNGS = (IMAGES // 4, IMAGES // 2, IMAGES)
"""Training images of the first look, of that at the better half, and of that at its better half."""
MINUTES = 10.0
"""For fetching and looking, where no minutes are given."""
USUAL_SPEED = 5e6
"""Bytes a second of a download, before there was one."""
BYTES = 4
"""Of a parameter in a file."""
YARDSTICK = NetworkRef("timm", "resnet18", InputSpec(224))
"""Timed on this device, so that it is known about what others take before they are built."""
PACER = NetworkRef("timm", "resnet18", InputSpec(64))
"""Likewise trained for a few steps, where minutes are limited."""
DOUBT = 1.5
"""A network that is foretold to be this much too slow is not even timed."""
MOST_TIMED = 24
"""Networks that are timed in one search, at most."""
LEAST_SIZE, STEP = 64, 32
"""Pixels a side of half-sized images, at least, and what they are a multiple of."""
MOST_FAILED = 5
"""Networks that cannot be fetched, after which no more are asked for."""
TOYS = "test_"
"""Begins the names of networks that timm tests itself with."""
NAMED = 3
"""Networks that a sentence names, at most."""
IMAGENET_IMAGES = 1.28e6
LEARNT_FROM: Mapping[str, float] = {
    "in1k": IMAGENET_IMAGES,
    "in12k": 12e6,
    "in21k": 14e6,
    "in22k": 14e6,
    "inw21k": 14e6,
    "yfcc15m": 15e6,
    "cc12m": 12e6,
    "yfcc100m": 100e6,
    "lvd142m": 142e6,
    "jft": 300e6,
    "laion400m": 400e6,
    "openai": 400e6,
    "metaclip_400m": 400e6,
    "ig1b": 1e9,
    "seer": 1e9,
    "datacompxl": 1.4e9,
    "datacomp1b": 1.4e9,
    "lvd1689m": 1.7e9,
    "laion2b": 2e9,
    "dfn2b": 2e9,
    "merged2b": 2e9,
    "metaclip_2pt5b": 2.5e9,
    "swag": 3.6e9,
    "dfn5b": 5e9,
    "webli": 10e9,
}
"""Images of pretraining, by what a tag of timm names, as its authors and papers tell; rounded."""

MASKED = frozenset({"fcmae", "ijepa", "mae", "mim"})
"""Words of tags of weights that learnt to fill in hidden parts of images."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """What is asked of networks of the catalogue."""

    limits: Constraints = field(default_factory=Constraints)
    """``max_minutes`` is for a fine-tune, and for fetching and looking, each."""
    commercial: bool = False
    """Leave out networks whose licence forbids commercial use or is not known."""
    top: int = 10
    """Matches to return, at most, those of the zoo among them."""

    @property
    def minutes(self) -> float:
        """For fetching and looking."""
        return MINUTES if self.limits.max_minutes is None else self.limits.max_minutes


@dataclass(frozen=True)
class Choice:
    """A network of the catalogue, for images of one size."""

    offer: Offer
    size: int
    flops: float
    """Multiply-adds of its body for one image of that size, about."""

    @property
    def id(self) -> str:
        """As an entry has it."""
        own = f"timm:{self.offer.name}"
        return own if self.size == self.offer.size else f"{own}@{self.size}"

    @property
    def prior(self) -> float:
        """What is expected of it before anything is known of how it does; more is better.

        Tenfold images of pretraining count as much as tenfold multiply-adds.
        """
        return math.log10(images_of(self.offer)) + math.log10(self.flops)


def search_catalogue(
    task: Task, zoo: Zoo, found: SearchResult, terms: Terms, tell: Tell | None = None
) -> SearchResult:
    """Fetch and look at networks of the catalogue, and rank those that stand with a zoo's matches.

    Args:
        found: what the zoo's own search gave, with a second look.
        tell: told of each download when it begins and ends, and of what comes in between.

    Returns:
        Matches of both, best first. The zoo then knows those that were fetched under the ids that
        the matches have, ``timm:NAME`` or ``timm:NAME@SIZE``; they are not stored in it.

    Raises:
        ZooError: the zoo has no calibrator, or is damaged.
        MissingExtraError: timm or huggingface_hub is not installed.
    """
    _calibrator(zoo)  # before anything is fetched
    session = _Session(task, zoo, terms, tell or (lambda _: None))
    trials = session.halved(Shortlist(task, terms, session.here))
    judged = [trial for trial in trials if trial.images >= session.full]
    matches, notes = _judged(task, zoo, found, judged, terms.limits)
    best = sorted((*found.matches, *matches), key=lambda match: -match.predicted_accuracy)
    return replace(
        found,
        matches=tuple(best[: terms.top]),
        tried=tuple(trials),
        notes=(*session.notes(), *notes),
    )


def images_of(offer: Offer) -> float:
    """Images that a network was pretrained on, by its tag; ImageNet-1k's where that names none."""
    return max((LEARNT_FROM[name] for name in _named(offer)), default=IMAGENET_IMAGES)


def is_told(offer: Offer) -> bool:
    """Whether it is known what a network learnt to tell apart: classes, texts, or likeness.

    What only learnt to fill in hidden parts has features that a linear probe reads badly.
    """
    hidden = MASKED.intersection(offer.tag.split("_"))
    return bool(offer.classes or (_named(offer) and not hidden))


def _named(offer: Offer) -> list[str]:
    """What a tag names of ``LEARNT_FROM``."""
    tag = f"_{offer.tag}_"
    return [name for name in LEARNT_FROM if re.search(rf"[_]{re.escape(name)}(?=_)", tag)]


def choices(
    offers: Sequence[Offer], task: Task, limits: Constraints, likely: Callable[[Choice], bool]
) -> list[Choice]:
    """Networks that fit what can be counted of all limits, the most promising first.

    A network that takes images of any size and does not fit at its own is taken at half of it.

    Args:
        likely: whether it may be fast enough, as far as that can be foretold.
    """
    found = []
    for offer in offers:
        sized = (each for each in _sized(offer) if _counts(each, task, limits))
        if choice := next(filter(likely, sized), None):
            found.append(choice)
    return sorted(found, key=lambda choice: (-choice.prior, choice.offer.name))


def usable(offer: Offer, commercial: bool) -> bool:
    """Whether a network can be fetched, costed and used at all."""
    if not offer.params or not offer.place.startswith(HUB) or offer.licence == UNSTATED:
        return False
    if offer.name.startswith(TOYS):
        return False
    return is_told(offer) and (not commercial or allows_commercial(offer.licence))


def _sized(offer: Offer) -> Iterator[Choice]:
    yield Choice(offer, offer.size, offer.flops)
    half = max(LEAST_SIZE, math.ceil(offer.size / 2 / STEP) * STEP)
    if not offer.fixed and half < offer.size:
        yield Choice(offer, half, offer.flops * (half / offer.size) ** 2)


def _counts(choice: Choice, task: Task, limits: Constraints) -> bool:
    """Whether parameters and multiply-adds fit, the head's included."""
    head = choice.offer.costs(len(task.classes))
    params = math.inf if limits.max_params is None else limits.max_params
    flops = math.inf if limits.max_flops is None else limits.max_flops
    return head.params <= params and head.flops - choice.offer.flops + choice.flops <= flops


def in_turn(
    ranked: Sequence[Choice], fits: Callable[[Choice], bool], count: int
) -> Iterator[Choice]:
    """Networks of different kinds of architecture, then a second of each kind, and so on.

    Of one architecture, whatever weights it has, there is one alone.

    Args:
        ranked: the most promising first.
        fits: asked of each before it is given.
        count: given at most.
    """
    kinds: dict[str, list[Choice]] = {}
    for choice in ranked:
        kinds.setdefault(choice.offer.kind, []).append(choice)
    queues = {kind: iter(members) for kind, members in kinds.items()}
    taken: set[str] = set()
    while queues:
        for kind in tuple(queues):
            if len(taken) == count:
                return
            fresh = (each for each in queues[kind] if each.offer.architecture not in taken)
            found = next((each for each in fresh if fits(each)), None)
            if found is None:
                del queues[kind]
            else:
                taken.add(found.offer.architecture)
                yield found


def _takes_size(choice: Choice) -> bool:
    """Whether a network takes images of another size, which not all do that timm says it of."""
    try:
        return choice.size == choice.offer.size or bool(describe(choice.offer.ref(choice.size)))
    except InputError:
        return False


@dataclass
class _Clock:
    """What networks take on this device: foretold by those that were timed, then timed."""

    limit: float | None
    """Milliseconds for one image."""
    rates: dict[str, float] = field(default_factory=dict)
    """Milliseconds of a multiply-add, by kind of architecture."""
    timed: int = 0
    rate: float = field(init=False)
    """Likewise, of the yardstick."""

    def __post_init__(self) -> None:
        yardstick = cached_time(YARDSTICK).milliseconds
        self.rate = yardstick / describe(YARDSTICK).body_flops

    def foretold(self, choice: Choice) -> float:
        """Milliseconds for one image, about."""
        return self.rates.get(choice.offer.kind, self.rate) * choice.flops

    def fits(self, choice: Choice) -> bool:
        """Whether a network is fast enough, which is seen by running it with random weights."""
        if self.limit is None:
            return True
        if self.foretold(choice) > DOUBT * self.limit or self.timed >= MOST_TIMED:
            return False
        self.timed += 1
        taken = cached_time(choice.offer.ref(choice.size)).milliseconds
        self.rates[choice.offer.kind] = taken / choice.flops
        return taken <= self.limit


class Shortlist:
    """Gives networks that are worth fetching one after another, the most promising first.

    Args:
        task: of the user.
        terms: what is asked.
        here: whether a network need not be fetched any more, or can be.
    """

    def __init__(self, task: Task, terms: Terms, here: Callable[[Choice], bool]) -> None:
        self.clock = _Clock(terms.limits.max_latency_ms)
        self.share = terms.minutes * 60 / (SHORTLIST * len(RUNGS))
        offers = [each for each in shipped().offers if usable(each, terms.commercial)]
        ranked = choices(offers, task, terms.limits, self._likely)
        if terms.limits.max_minutes is not None and ranked:
            flops = np.array([choice.flops for choice in ranked])
            within = minutes_at_pace(PACER, flops, task) <= terms.limits.max_minutes
            ranked = [choice for choice, fit in zip(ranked, within, strict=True) if fit]
        self.ranked = ranked
        self._given = in_turn(
            ranked,
            lambda each: here(each) and _takes_size(each) and self.clock.fits(each),
            len(ranked),
        )

    def __iter__(self) -> Iterator[Choice]:
        return self._given

    def _likely(self, choice: Choice) -> bool:
        """Whether a network may be fast enough, also to fetch it and to look at it once."""
        foretold = self.clock.foretold(choice)
        seconds = RUNGS[0] * foretold / 1e3 + choice.offer.params * BYTES / USUAL_SPEED
        return seconds <= self.share and foretold <= (self.clock.limit or math.inf)


@dataclass
class _Session:
    """Fetches and looks until one network stands or the minutes are spent."""

    task: Task
    zoo: Zoo
    terms: Terms
    tell: Tell
    began: float = field(default_factory=lambda: time.monotonic())
    away: str = ""
    """Why the hub is out of reach, once it is."""
    missing: list[str] = field(default_factory=list)
    """Networks that are not here, where the hub is out of reach."""
    failed: list[str] = field(default_factory=list)
    """What went wrong with single networks, a sentence each."""
    spent: bool = False

    @property
    def until(self) -> float:
        """When the minutes are spent, by ``time.monotonic``."""
        return self.began + self.terms.minutes * 60

    @property
    def full(self) -> int:
        """Images of a whole look at this task."""
        return min(RUNGS[-1], self.task.split_sizes[TRAIN])

    def over(self) -> bool:
        """Whether the minutes are spent."""
        self.spent = self.spent or time.monotonic() > self.until
        return self.spent

    def here(self, choice: Choice) -> bool:
        """Whether a network is in the cache, or can be fetched as far as is known."""
        if not self.away or _is_kept(choice.offer.name):
            return True
        self.missing.append(choice.offer.name)
        return False

    def halved(self, shortlist: Shortlist) -> list[Tried]:
        """All networks that were looked at, those last that stood longest."""
        standing = list(itertools.islice(self._first(shortlist), SHORTLIST))
        left: list[Tried] = []
        for images in RUNGS[1:]:
            standing.sort(key=_worth)
            half = len(standing) // 2
            left += standing[:half]
            standing = self._again(standing[half:], images)
        standing.sort(key=_worth)
        if self.spent and standing and standing[-1].images < self.full:
            standing[-1] = self._looked(standing[-1], self.full)  # or nothing could be said of any
        return [*left, *standing]

    def notes(self) -> list[str]:
        """What is to be told, a sentence each."""
        told = list(self.failed)
        if self.away:
            names = ", ".join(dict.fromkeys(self.missing[:NAMED]))
            others = len(self.missing) - NAMED
            told.append(
                f"{self.away}: {names}{f' and {others:,} more' if others > 0 else ''} are not "
                "here, and the search goes on with what is in the cache and in the zoo"
            )
        if self.spent:
            told.append(
                f"the {self.terms.minutes:g} minutes for the catalogue were spent before one "
                "network was left; give more with --max-minutes"
            )
        return told

    def _first(self, shortlist: Shortlist) -> Iterator[Tried]:
        """A first look at each network of the shortlist that can be had."""
        for choice in shortlist:
            if self.over():
                return
            before = time.monotonic()
            new = not _is_kept(choice.offer.name)
            try:
                arrived = fetch(choice.offer, self.tell, self.until)
                taken = time.monotonic() - before if new else 0.0
                yield self._tried(choice, arrived, taken)
            except HubError as error:
                self.away = str(error)
                self.missing.append(choice.offer.name)
            except (InputError, ZooError) as error:
                self.failed.append(str(error))
                if len(self.failed) == MOST_FAILED:
                    self.away = f"{MOST_FAILED} networks could not be fetched"

    def _tried(self, choice: Choice, arrived: Kept, seconds: float) -> Tried:
        entry = entry_of(choice.offer.name)
        self.zoo.fetched[entry.id] = entry
        images = min(RUNGS[0], self.full)
        look = look_at(self.task, self.zoo, self.zoo.entry(choice.id), images)
        self._say(look, images)
        return Tried(look, images, arrived.sha256, arrived.megabytes, seconds)

    def _again(self, standing: Sequence[Tried], images: int) -> list[Tried]:
        """Those that stand, looked at on more images while there are minutes."""
        images = min(images, self.full)
        return [
            tried if tried.images >= images or self.over() else self._looked(tried, images)
            for tried in reversed(standing)
        ]

    def _looked(self, tried: Tried, images: int) -> Tried:
        look = look_at(self.task, self.zoo, self.zoo.entry(tried.look.id), images)
        self._say(look, images)
        return replace(tried, look=look, images=images)

    def _say(self, look: Look, images: int) -> None:
        self.tell(f"{look.id}: {100 * look.accuracy:.1f} % on {images} images")


def _is_kept(name: str) -> bool:
    try:
        return kept(name) is not None
    except FetchError:  # told when it is asked for
        return False


def _worth(tried: Tried) -> tuple[int, float]:
    """What they are ordered by; one that was looked at longer was better before."""
    return tried.images, tried.look.accuracy


def _judged(
    task: Task, zoo: Zoo, found: SearchResult, tried: Sequence[Tried], limits: Constraints
) -> tuple[tuple[Match, ...], list[str]]:
    """Matches of the networks that had a whole look, and what is to be told of them."""
    entries = tuple(zoo.entry(each.look.id) for each in tried)
    if not entries:
        return (), []
    costs, _ = costs_of(entries, task, limits)
    if found.shortened is not None:
        costs = shortened(costs, [entry.ref for entry in entries], task)
    fit = allowed(costs, limits)
    notes = [
        f"{entry.id} does not fit the limits after all, measured on this device"
        for entry, within in zip(entries, fit, strict=True)
        if not within
    ]
    similarity = _similarities(found, zoo, entries)
    judged = expected(
        Candidates(entries, costs, similarity, similarity),
        (*found.looks, *(each.look for each in tried)),
        _with_fetched(zoo, entries),
        _calibrator(zoo),
        task.groups_learnt(IMAGES),
    )
    return matches_of(judged.take(np.flatnonzero(fit)), Licensing.of(zoo)), notes


def _calibrator(zoo: Zoo) -> Calibrator:
    """What judges networks of the catalogue.

    Raises:
        ZooError: the zoo has none.
    """
    found = Calibrator.load(zoo.retrieval)
    if found is None:
        raise ZooError(
            f"the zoo in {zoo.path} has no calibrator, which judges networks of the catalogue; run "
            "'tans zoo transfers' and 'tans train', or search without --catalogue"
        )
    return found


def _with_fetched(zoo: Zoo, entries: Sequence[ZooEntry]) -> Sources:
    """A zoo's sources, and networks that were fetched, each of which speaks for itself."""
    sources = Sources.of(zoo)
    return replace(
        sources,
        published=(*sources.published, *entries),
        kinds={**sources.kinds, **{(entry.task, entry.weights): entry for entry in entries}},
    )


def _similarities(found: SearchResult, zoo: Zoo, entries: Sequence[ZooEntry]) -> Array:
    """Cosines of a query with embeddings of networks (equation 6), as far as they have any.

    A functional embedding is left out, as its width is that of a zoo's base.
    """
    retriever = Retriever.load(zoo.retrieval)
    assert found.query is not None
    widths = retriever.members[0].model.widths
    parts = {name: torch.full((len(entries), width), math.nan) for name, width in widths.items()}
    if "structure" in parts:
        parts["structure"] = structures([entry.ref for entry in entries])
    for row, entry in enumerate(entries):
        made = embedded(zoo.load_entry(entry), entry.task, entry.weights, entry.licence)
        if "similarities" in parts:
            parts["similarities"][row] = torch.tensor(made.similarities)
    return (retriever.encode_models(parts) @ found.query.vector).numpy().astype(np.float64)
