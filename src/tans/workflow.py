"""What a user does, start to end: search, fine-tune, save, report; build, copy or train a zoo.

The command line, a page and Python call this. Progress and questions are callbacks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from tans.build import cluster, engine
from tans.build.costing import costing_files
from tans.build.crew import BuildProgress, Crew, Here
from tans.build.forecast import Forecast, expected_work
from tans.build.plan.construct import Budget
from tans.build.plan.ledger import REPORT as CONSTRUCTION
from tans.build.settings import BuildSettings, Choice
from tans.costs.limits import epochs_within, minutes_of, shortest
from tans.errors import InputError, ZooError
from tans.export.card import licences_of
from tans.export.classifier import Classifier
from tans.export.finetuned import (
    check_writable,
    classifier_of,
    complete,
    load_finetuned,
    origin_of,
    save_finetuned,
)
from tans.files import alone, is_unfinished, sweep
from tans.licences import LicenceChain
from tans.meta import train as meta
from tans.meta.calibrator import Calibrator, calibrate_zoo
from tans.meta.data import MetaData
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.metrics import Retrieval
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever, files_of
from tans.networks.families.elastic.family import ELASTIC
from tans.report import Run, write_report
from tans.search import SearchResult, search
from tans.search.combine import LISTED, TEACHERS, best_starts, share_of_one
from tans.search.curve import Curve, learning_curve
from tans.tasks.findings import some
from tans.tasks.folder import is_result
from tans.tasks.outputs import WRITTEN
from tans.tasks.packaged import fetch_tasks
from tans.tasks.reading import Reading
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.tasks.unlabelled import Unlabelled, read_unlabelled
from tans.training import Epoch, FineTuned, Recipe, finetune
from tans.types import Constraints, Origin, ZooEntry
from tans.zoo.copy import copy_tasks, diverse_tasks
from tans.zoo.licensing import Licensing
from tans.zoo.sources import Sources
from tans.zoo.verify import VerifyReport, verify_zoo
from tans.zoo.zoo import CALIBRATOR, IMAGENET, Zoo

BEST_MATCH, COMBINED, GONE_ON = "Best match", "Combined", "Gone on"
"""What a report calls the network that a search proposed, the one that learnt from several, and one
that went on from a fine-tuned network."""
COMBINATIONS = {
    "one": "the best match alone",
    "distil": "the best match, taught by itself and others that are fine-tuned before",
}
"""What comes of the networks that a search finds."""
REPORT = "report.html"
TOP = 10
"""Matches of a search that are told."""


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
    look: int = 5
    """Sources beside ImageNet that get the second look of the search."""
    commercial: bool = False
    """Only networks that may be used commercially, by all licences of what they came from."""
    combine: str = "one"
    """One of ``COMBINATIONS``."""
    unlabelled: str | Path | None = None
    """Folder of images of the same kind without labels, which a distillation learns from too."""

    def __post_init__(self) -> None:
        if self.combine not in COMBINATIONS:
            known = ", ".join(COMBINATIONS)
            raise InputError(f"combine is {self.combine!r}; expected one of {known}")
        if self.unlabelled is not None and self.combine == "one":
            raise InputError(
                f"unlabelled images in {self.unlabelled} were given to one network alone, which "
                "learns from labels; expected --combine distil with them"
            )

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

    def refuse_any(self, start: Path, zoo: Path | None) -> None:
        """Refuse a selection where training goes on from a fine-tuned network.

        Raises:
            InputError: anything is selected, or a zoo is given.
        """
        if self != Selection() or zoo is not None:
            raise InputError(
                f"training goes on from the network in {start}, and none is searched for; leave "
                "out --network, --beside, limits, --commercial, --look, --combine, --unlabelled "
                "and --zoo, or --from"
            )

    def warnings(self) -> list[str]:
        """What is asked for and has no effect, a sentence each."""
        named, told = "and none is run for a network that is named", []
        if self.network and self.limits != Constraints():
            told.append(f"limits are for the search, {named}")
        if self.network and self.combine != "one":
            told.append(f"what is combined comes from the search, {named}")
        return told


@dataclass(frozen=True)
class Change:
    """What a fine-tuned network that goes on learning finds other than it was."""

    kept: tuple[str, ...]
    """Classes that it knew."""
    new: tuple[str, ...]
    gone: tuple[str, ...]
    """Classes that it knew, and will tell no more."""
    images: int
    """To learn from now."""
    images_before: int

    @classmethod
    def of(cls, origin: Origin, task: Task) -> Change:
        """What a task has other than what a network was tuned on; classes are told by name."""
        known, now = set(origin.classes), set(task.classes)
        return cls(
            kept=tuple(name for name in task.classes if name in known),
            new=tuple(name for name in task.classes if name not in known),
            gone=tuple(name for name in origin.classes if name not in now),
            images=int((task.splits == TRAIN).sum()),
            images_before=origin.images,
        )

    def words(self) -> str:
        """All of it in a sentence."""
        parts = ((self.kept, "known"), (self.new, "new"), (self.gone, "gone"))
        told = [f"{len(names)} {what} ({some(names)})" for names, what in parts if names]
        return (
            f"Classes: {', '.join(told)}; {self.images:,} images to learn from, "
            f"{self.images_before:,} before."
        )


@dataclass(frozen=True)
class FinetuneStep:
    """Where a fine-tuning of several networks stands."""

    label: str
    """What a report calls the network."""
    entry: ZooEntry | None
    """None where training goes on from a fine-tuned network."""
    epochs: int
    """That there will be, at most."""
    epoch: Epoch | None = None
    """The last; None where training begins."""


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """Fine-tuned networks, how they were found, and what they learnt from."""

    task: Task
    zoo: Zoo | None
    """None where training went on from a fine-tuned network."""
    runs: tuple[Run, ...]
    """The chosen network first, then those beside it."""
    search: SearchResult | None
    """None where there was none, as the network was named."""
    interrupted: bool = False
    """Whether an interrupt ended the training early."""
    warnings: tuple[str, ...] = ()
    """What was asked for and not done, or left out, a sentence each."""
    change: Change | None = None
    """What differs from the fine-tuned network that training went on from, where it did."""

    @property
    def best(self) -> FineTuned:
        """The chosen network."""
        return self.runs[0].tuned

    @property
    def classifier(self) -> Classifier:
        """What classifies with the chosen network, as one that was saved and loaded does."""
        return classifier_of(self.best, self.task)

    def save(self, folder: str | Path) -> None:
        """Write the chosen network and a report of all to a folder.

        Raises:
            InputError: it cannot be written, or its ``model.json`` is something else's.
        """
        folder = Path(folder).expanduser()
        save_finetuned(folder, self.best, self.task)
        write_report(folder / REPORT, self.task, self.zoo, self.search, self.runs)


StepListener = Callable[[FinetuneStep], None]
Question = Callable[[Epoch], bool]
"""Is asked, when an interrupt stops training, whether to keep the best epoch so far."""


# A task, its networks, and what comes of them


def check_folder(folder: str | Path, force: bool = False) -> None:
    """See that a result can be saved in a folder before anyone waits, and leave it as it was.

    Args:
        force: a folder in use will do.

    Raises:
        InputError: it is a file, is in use, or cannot be written.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write; give another name")
    if not force and folder.is_dir() and not all(map(is_unfinished, folder.iterdir())):
        raise InputError(
            f"{folder} is not empty; expected a new or empty folder; add --force to write into it"
        )
    check_writable(folder)


@contextmanager
def reserved(folder: str | Path, force: bool = False) -> Iterator[None]:
    """Keep a folder for a result, which is to be saved before the block ends.

    Raises:
        InputError: as ``check_folder``, or another process has reserved it.
    """
    folder = Path(folder).expanduser()
    check_folder(folder, force=True)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        with alone(folder / "result", partial(_refuse_reserved, folder)):
            complete(folder)  # what a process saved that died
            sweep(folder)
            check_folder(folder, force)
            yield
    finally:
        for place in made:
            with suppress(OSError):  # something was saved
                place.rmdir()


def _refuse_reserved(folder: Path) -> None:
    raise InputError(
        f"another process is about to write a result to {folder}; give another folder, or wait "
        "until it has ended"
    )


def output_warnings(data: str | Path, folder: str | Path) -> list[str]:
    """What to beware of in where a result goes, a sentence each."""
    root, place = (Path(path).expanduser().resolve() for path in (data, folder))
    if not root.is_dir() or root not in (place, *place.parents):
        return []
    return [
        f"{folder} lies in the dataset {data}; tans knows its own results and leaves them out, "
        "other programs may not"
    ]


def find_network(zoo: Zoo, name: str) -> ZooEntry:
    """The entry of that id, or the network that stands for the source task of that name.

    Raises:
        ZooError: there is none; the message names the nearest.
    """
    if name not in {task.name for task in zoo.tasks()}:
        return zoo.entry(name)
    sources = Sources.of(zoo)
    return sources.whole[0] if name == IMAGENET else sources.largest[name]


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
    task: Task,
    zoo: Zoo,
    limits: Constraints,
    *,
    commercial: bool = False,
    top: int = TOP,
    look: int = 5,
) -> SearchResult:
    """As ``tans.search.search``, which says more, with all limits in one object."""
    return search(task, zoo, **asdict(limits), commercial=commercial, top=top, look=look)


def finetune_entry(
    task: Task,
    zoo: Zoo,
    entry: ZooEntry,
    recipe: Recipe | None = None,
    *,
    teachers: Sequence[FineTuned] = (),
    unlabelled: Unlabelled | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_interrupt: Question | None = None,
) -> FineTuned:
    """Fine-tune one stored network on a task, at the resolution of the entry.

    Args:
        teachers: networks fine-tuned on the task, whose ensemble is learnt from beside the labels.
        unlabelled: further images that the teachers alone say something of.

    Raises:
        ZooError: its weights are missing or damaged.
    """
    recipe = recipe or Recipe()
    network = zoo.load(entry.id, len(task.classes), recipe.seed)
    tuned = finetune(
        network,
        task,
        recipe=recipe,
        teachers=[teacher.network for teacher in teachers],
        unlabelled=None if unlabelled is None else unlabelled.pixels.at(network.input.size),
        on_epoch=on_epoch,
        on_interrupt=on_interrupt,
    )
    origins = tuple(teacher.entry for teacher in teachers if teacher.entry is not None)
    licensing = Licensing.of(zoo)
    licences = LicenceChain.together([licensing.chain(each) for each in (entry, *origins)])
    return replace(tuned, entry=entry, teachers=origins, licences=licences)


def finetune_best(
    task: Task,
    zoo: Zoo,
    selection: Selection | None = None,
    recipe: Recipe | None = None,
    *,
    on_step: StepListener | None = None,
    on_interrupt: Question | None = None,
) -> FinetuneResult:
    """Search a zoo for the network that suits a task, and fine-tune it, and others beside it.

    Args:
        selection: which networks; the best match alone when None.
        recipe: the default one when None. Where it names no epochs and minutes are limited, there
            are as many as fit into them, up to what more would hardly gain from.
        on_step: told when the training of a network begins, and after every epoch.
        on_interrupt: asked when a keyboard interrupt stops training, with the best epoch so far,
            whether to keep that. Networks that are done are kept in any case, and those to come
            are left out; where there are none of either, the interrupt goes on.

    Raises:
        LimitError: no stored network fits the limits.
        ZooError: the zoo lacks a network that is named, or is damaged.
    """
    selection, recipe = selection or Selection(), recipe or Recipe()
    named = selection.named(zoo)
    session = _Session(task, zoo, recipe, on_step, on_interrupt)
    if selection.network:
        session.run(named)
        return FinetuneResult(task, zoo, tuple(session.runs), None, session.interrupted)
    combines, unlabelled = selection.combine != "one", _unlabelled(selection, task)
    found = search_within(
        task,
        zoo,
        selection.limits,
        commercial=selection.commercial,
        top=LISTED if combines else TOP,
        look=selection.look,
    )
    starts = best_starts(found, zoo, TEACHERS if combines else 1)
    found = replace(found, matches=found.matches[:TOP])
    warnings = () if unlabelled is None else unlabelled.left_out
    if combines and (why := _alone(starts, selection.limits, recipe, task)):
        starts, warnings = starts[:1], (*warnings, f"nothing is combined: {why}")
    session.recipe = _timed(recipe, selection.limits, starts, task)
    session.run(dict(zip([BEST_MATCH, *(each.id for each in starts[1:])], starts, strict=True)))
    if len(starts) > 1:
        session.combine(starts[0], unlabelled)
    session.run(named)
    return FinetuneResult(task, zoo, tuple(session.runs), found, session.interrupted, warnings)


def finetune_from(
    start: str | Path | Classifier,
    task: Task,
    recipe: Recipe | None = None,
    *,
    on_step: StepListener | None = None,
    on_interrupt: Question | None = None,
) -> FinetuneResult:
    """Go on from a fine-tuned network, with other images, and perhaps other classes.

    Its body begins where it was; its head is fitted anew to what the body makes of the images of
    all classes. It learns from the task's images alone: give those of before along with new ones.

    Args:
        start: a folder that ``FinetuneResult.save`` wrote, or what classifies with its network.
        task: best read with ``Overrides(reading=...)`` of that network, as its ranges then stay.
        recipe: the default one when None.
        on_step: as for ``finetune_best``; likewise ``on_interrupt``.

    Raises:
        InputError: there is no fine-tuned network, or it does not say where it comes from.
    """
    before = start if isinstance(start, Classifier) else load_finetuned(start)
    origin, recipe = origin_of(before), recipe or Recipe()
    change = Change.of(origin, task)
    begun = FinetuneStep(GONE_ON, None, recipe.passes(change.images))
    interrupts: list[Epoch] = []

    def tell(epoch: Epoch | None = None) -> None:
        if on_step:
            on_step(replace(begun, epoch=epoch))

    def ask(epoch: Epoch) -> bool:
        interrupts.append(epoch)
        return on_interrupt is not None and on_interrupt(epoch)

    tell()
    tuned = finetune(before.network, task, recipe=recipe, on_epoch=tell, on_interrupt=ask)
    licences = licences_of(before.card)
    run = Run.of(GONE_ON, replace(tuned, origin=origin, licences=licences))
    told = _read_otherwise(before.reading, task.found.reading)
    return FinetuneResult(task, None, (run,), None, bool(interrupts), told, change)


def _read_otherwise(before: Reading, now: Reading) -> tuple[str, ...]:
    """What samples mean now that they did not mean to a network, a sentence each."""
    told = [
        f"{sample} samples are read from {now.ranges[sample][0]:g} to "
        f"{now.ranges[sample][1]:g}, and the network had learnt them from {low:g} to {high:g}"
        for sample, (low, high) in before.ranges.items()
        if now.ranges.get(sample, (low, high)) != (low, high)
    ]
    if now.ground != before.ground:
        told.append(
            f"transparent parts are put on {now.ground}, and the network had learnt them on "
            f"{before.ground}"
        )
    return tuple(told)


def _unlabelled(selection: Selection, task: Task) -> Unlabelled | None:
    return None if selection.unlabelled is None else read_unlabelled(selection.unlabelled, task)


def _alone(
    starts: Sequence[ZooEntry], limits: Constraints, recipe: Recipe, task: Task
) -> str | None:
    """Why several networks cannot be combined; None where they can."""
    if len(starts) < 2:
        return "the zoo has one network alone within the limits, and slices of it"
    if limits.max_minutes is None or recipe.epochs is not None:
        return None
    least = minutes_of(shortest(task), starts[0].ref, task) / share_of_one(starts)
    if least <= limits.max_minutes:
        return None
    return f"that takes {least:.1f} minutes at least, of {limits.max_minutes:g} that there are"


def _timed(recipe: Recipe, limits: Constraints, starts: Sequence[ZooEntry], task: Task) -> Recipe:
    """A recipe of as many epochs as minutes let in, where it names none and they are limited."""
    if recipe.epochs is not None or limits.max_minutes is None:
        return recipe
    share = share_of_one(starts) if len(starts) > 1 else 1.0
    return replace(recipe, epochs=epochs_within(share * limits.max_minutes, starts[0].ref, task))


@dataclass(eq=False)
class _Session:
    """Fine-tunes networks one after another, until all are done or an interrupt ends that."""

    task: Task
    zoo: Zoo
    recipe: Recipe
    on_step: StepListener | None
    on_interrupt: Question | None
    runs: list[Run] = field(default_factory=list)
    interrupted: bool = False

    def run(self, chosen: Mapping[str, ZooEntry]) -> None:
        """Fine-tune each network, under its label."""
        for label, entry in chosen.items():
            self._add(label, entry)

    def combine(self, entry: ZooEntry, unlabelled: Unlabelled | None) -> None:
        """Let a network learn from all those fine-tuned so far, and put it before them."""
        before = len(self.runs)
        self._add(COMBINED, entry, [run.tuned for run in self.runs], unlabelled)
        self.runs[:0] = self.runs[before:]
        del self.runs[before + 1 :]

    def _add(
        self,
        label: str,
        entry: ZooEntry,
        teachers: Sequence[FineTuned] = (),
        unlabelled: Unlabelled | None = None,
    ) -> None:
        if self.interrupted:
            return
        try:
            tuned = self._tuned(label, entry, teachers, unlabelled)
            self.runs.append(Run.of(label, tuned))
        except KeyboardInterrupt:
            if not self.runs:
                raise
            self.interrupted = True

    def _tuned(
        self,
        label: str,
        entry: ZooEntry,
        teachers: Sequence[FineTuned],
        unlabelled: Unlabelled | None,
    ) -> FineTuned:
        images = int((self.task.splits == TRAIN).sum())
        begun = FinetuneStep(label, entry, self.recipe.passes(images))
        self._tell(begun)
        return finetune_entry(
            self.task,
            self.zoo,
            entry,
            self.recipe,
            teachers=teachers,
            unlabelled=unlabelled,
            on_epoch=lambda epoch: self._tell(replace(begun, epoch=epoch)),
            on_interrupt=self._ask,
        )

    def _tell(self, step: FinetuneStep) -> None:
        if self.on_step:
            self.on_step(step)

    def _ask(self, epoch: Epoch) -> bool:
        self.interrupted = True
        return self.on_interrupt is not None and self.on_interrupt(epoch)


def _label(name: str) -> str:
    """What a report calls a network that was asked for by id or by source task."""
    return "ImageNet" if name == IMAGENET else name


# Zoos


@dataclass(frozen=True)
class Trained:
    """What training a zoo's retrieval model gave; it is stored in the zoo."""

    retrieval: Retrieval
    """How well it finds a known task's own network."""
    calibrator: Calibrator | None
    """What predicts accuracies; None where too few transfers were measured to learn from."""


def read_tasks(
    names: Sequence[str],
    read: Callable[[Path], Task] = Task.from_path,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Task]:
    """Each packaged task, all of a role such as ``train``, and each dataset in each folder.

    Args:
        names: packaged tasks, roles and folders.
        read: makes a task of a dataset.
        tell: is told what a folder holds that is no dataset but a result of tans.

    Raises:
        InputError: there is no such task, a folder holds no dataset, or one cannot be read.
    """
    for name in names:
        if Path(name).is_dir():
            yield from map(read, _datasets(Path(name), tell))
        else:
            yield from fetch_tasks(name)


def choose_pairs(
    strategy: str | None = None,
    pairs: int | None = None,
    minutes: float | None = None,
    least_growth: float = 0.0,
    cost: str | None = None,
    *,
    on_cluster: bool = False,
) -> Choice | None:
    """Which pairs of a task and a network a build measures; None for all, task by task.

    Args:
        strategy: the order; one of ``tans.build.plan.strategies.STRATEGIES``.
        pairs: to measure in all, at most.
        minutes: to measure for, at most.
        least_growth: hypervolume that the best pair must be expected to add.
        cost: what counts beside accuracy and parameters, one of ``tans.build.costing.COUNTED``.
        on_cluster: a cluster is handed pairs rather than tasks, so that all of it has work.

    Raises:
        InputError: there is no such strategy or cost, a limit is out of range, or one is given
            without a strategy.
    """
    if strategy is not None:
        most = sys.maxsize if pairs is None else pairs
        return Choice(strategy, Budget(most, minutes, least_growth), cost=cost)
    if least_growth or any(given is not None for given in (pairs, minutes, cost)):
        raise InputError(
            "--budget, --minutes, --least-growth or --cost was given without --strategy; "
            "expected a strategy too, such as --strategy pareto"
        )
    return Choice("grid", Budget(sys.maxsize)) if on_cluster else None


def gather_crew(
    workers: int = 1,
    ray: str | None = None,
    cpus_per_pair: float | None = None,
    gpus_per_pair: float | None = None,
) -> AbstractContextManager[Crew]:
    """Who does the work of a build; a cluster is left again at the end.

    Args:
        workers: processes side by side on this machine.
        ray: address of a Ray cluster; ``local`` starts one here.

    Raises:
        InputError: what is given does not go together, or the cluster cannot be joined.
    """
    if ray is not None:
        if workers > 1:
            raise InputError("--workers and --ray were both given; expected one of them")
        cpus = 1.0 if cpus_per_pair is None else cpus_per_pair
        return cluster.connected(ray, cluster.Resources(cpus, gpus_per_pair or 0.0))
    if cpus_per_pair is not None or gpus_per_pair is not None:
        raise InputError(
            "--cpus-per-pair or --gpus-per-pair was given without --ray; "
            "expected an address too, such as --ray local"
        )
    return nullcontext(Here(workers))


def find_base(path: Path, settings: BuildSettings, new: bool = False) -> Zoo | None:
    """The zoo whose elastic base a build shares; None where it makes one of its own.

    Args:
        path: folder of the zoo to build.
        new: distil one, although there is one to share.

    Raises:
        InputError: there is none to share, and no weights to make one of.
    """
    expected, given = ELASTIC.largest(settings.space, settings.resolution), settings.base_weights
    if given and new:
        raise InputError("--base-weights and --new-base were both given; expected one of them")
    shipped = Zoo.open()
    if expected.name == shipped.base_ref.name:
        return None if given or new else shipped
    if not given and not path.exists():
        raise InputError(
            f"no base of space {settings.space!r} is shipped; expected --base-weights with a file "
            "or URL of weights that Once-for-All publishes"
        )
    return None


def build(
    path: Path,
    tasks: Sequence[Task],
    settings: BuildSettings,
    crew: Crew,
    *,
    choice: Choice | None = None,
    base_from: Zoo | None = None,
    on_progress: Callable[[float, str], None],
) -> Zoo:
    """Make or continue a zoo of the pairs that are chosen.

    Args:
        path: folder of the zoo, made when missing.
        choice: of pairs; all of them when None.
        base_from: a zoo whose elastic base to share; None distils one.
        on_progress: told the share of the whole that is done, in [0, 1], and a few words.

    Raises:
        ZooError: the folder holds something else, or a zoo of other settings.
    """
    pairs = None if choice is None else choice.budget.pairs
    own_base = base_from is None
    forecast = Forecast(expected_work(path, tasks, settings, own_base=own_base, pairs=pairs))

    def on_step(step: BuildProgress) -> None:
        done = f"{step.task or 'networks'}: {step.step} {step.done}/{step.total}"
        grown = "" if step.volume is None else f", mean hypervolume {step.volume:.4f}"
        on_progress(forecast.share(step), done + grown)

    return engine.build_zoo(
        path,
        tasks,
        settings,
        choice=choice,
        base_from=base_from,
        workers=crew,
        on_progress=on_step,
    )


def copy_zoo(
    zoo: Zoo, path: str | Path, tasks: Sequence[str] | None = None, diverse: int | None = None
) -> Zoo:
    """Copy a zoo, or some of its source tasks; its ImageNet networks always come along.

    Args:
        tasks: names of source tasks; all when None.
        diverse: so many source tasks instead, those that differ most.

    Raises:
        InputError: both are given, or the zoo has not so many tasks.
        ZooError: the zoo lacks a task, or the folder holds something else.
    """
    if tasks is not None and diverse is not None:
        raise InputError("--tasks and --diverse were both given; expected one of them, or neither")
    if diverse is not None:
        tasks = diverse_tasks(zoo, diverse)
    return copy_tasks(zoo, path, [t.name for t in zoo.tasks()] if tasks is None else tasks)


def train(
    zoo: Zoo, settings: MetaSettings, on_step: Callable[[meta.Step], None] | None = None
) -> Trained:
    """Meta-train the retrieval model of a zoo and what predicts accuracies, and store both there.

    Raises:
        ZooError: the zoo holds too little to learn from, or cannot be written.
    """
    zoo.check_writable()
    data = MetaData.from_zoo(zoo)
    retriever = meta.meta_train(data, settings, on_step)
    with alone(zoo.retrieval):
        zoo.blobs.sweep()
        retriever.save(zoo.retrieval)
        calibrator = calibrate_zoo(zoo)
    return Trained(evaluate_retrieval(retriever, data), calibrator)


def verify(zoo: Zoo, on_progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Check every file of a zoo, of its retrieval model and of its construction, and run all.

    Args:
        on_progress: called with the number of checks done and their total.
    """
    parts = {
        "retrieval/": lambda: _retrieval_files(zoo),
        "construction.": lambda: [*costing_files(zoo.path), CONSTRUCTION],
    }
    return verify_zoo(zoo, on_progress, parts)


def _retrieval_files(zoo: Zoo) -> list[str]:
    """Keys of what `train` left, which is read."""
    folder, found = zoo.retrieval, files_of(zoo.retrieval)
    if found:
        Retriever.load(folder)
    if Calibrator.load(folder) is not None:
        found.append(CALIBRATOR)
    return [f"{folder.name}/{key}" for key in found]


def _datasets(folder: Path, tell: Callable[[str], None] | None) -> list[Path]:
    if (folder / "task.json").is_file():
        return [folder]
    inside = sorted(folder.glob("[!.]*"))
    found = [path for path in inside if path.is_dir() or path.suffix.lower() == ".csv"]
    for path in [path for path in found if is_result(path)]:
        found.remove(path)
        if tell:
            tell(f"{path} is left out: {WRITTEN}")
    if not found:
        raise InputError(f"{folder} holds no dataset; expected folders of class folders, or CSVs")
    return found
