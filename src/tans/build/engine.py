"""Fill a zoo: an elastic base once, each task's supernet, and measured subnets of these.

To train a pair of a task and a network is to measure a subnet of the task's supernet. All pairs are
measured task by task, or those that a strategy names, after all supernets (paper, section 3.3).
Every step looks first whether its result is stored, so a build that was stopped goes on where it
was. What is measured is what is stored: subnets are taken from the packed weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tans.build.base import ensure_base, published_base
from tans.build.checkpoints import forget, tidy
from tans.build.costing import Costing, fixed_costing
from tans.build.crew import BuildProgress, Candidate, Crew, Here, Listener, Timed, in_order
from tans.build.plan.construct import Outcome, Step, construct
from tans.build.plan.growth import Array, normalised
from tans.build.plan.ledger import line_of, write_report
from tans.build.plan.strategies import STRATEGIES, Measured, Pool, Surrogate, first_pairs
from tans.build.plan.surrogate import describe_pairs
from tans.build.settings import BuildSettings, Choice, subnets_of
from tans.build.supernets import Lesson, add_supernet, learn, trained_at_once, turn
from tans.errors import InputError, TansWarning
from tans.interrupts import uninterrupted
from tans.networks.family import describe
from tans.plugins import is_distant
from tans.tasks.task import Task
from tans.types import ZooEntry
from tans.zoo.building import Site, worked_on
from tans.zoo.ids import entry_id
from tans.zoo.rows import LedgerLine, StepCost
from tans.zoo.zoo import Zoo


def build_zoo(
    path: str | Path,
    tasks: Iterable[Task],
    settings: BuildSettings | None = None,
    *,
    choice: Choice | None = None,
    base_from: Zoo | None = None,
    workers: int | Crew = 1,
    on_progress: Listener | None = None,
) -> Zoo:
    """Make or continue a zoo of the given tasks.

    Args:
        path: folder of the zoo, made when missing, or an address such as ``s3://bucket/zoo``, where
            it is worked on as ``tans.zoo.building`` says; there pairs are always chosen.
        tasks: one that is named twice counts once.
        choice: which pairs to measure, after all supernets, with a ledger and a report of the
            fronts; None measures all, task by task, so that a build that is stopped has whole ones.
        base_from: a zoo whose elastic base to share; None distils a new one on these tasks.
        workers: processes that train and measure tasks side by side, sharing the cards as far as
            their memory goes, or another crew, such as a cluster.
        on_progress: told after every epoch and every measured pair.

    Raises:
        InputError: the base that the settings name cannot be read, or a build at an address came
            without a choice.
        ZooError: the folder or address holds something else, a zoo of other settings, or a build
            that counts another cost; or the address cannot be reached or written, or another build
            changed what is there.
    """
    settings, tasks = settings or BuildSettings(), list({t.name: t for t in tasks}.values())
    crew = _here(workers, settings) if isinstance(workers, int) else workers
    if choice is None and is_distant(str(path)):
        raise InputError(f"a build at {path} came without a choice; expected one, such as 'grid'")
    published = published_base(settings)  # first, so that what cannot be read leaves no folder
    with worked_on(path, create=True) as site:
        zoo = site.zoo
        _sweep(zoo)
        if choice is not None:  # before there is other work on this device
            costing = fixed_costing(zoo.path, settings.space, settings.resolution, choice.cost)
        site.zoo = zoo = ensure_base(zoo, tasks, settings, base_from or published, on_progress)
        site.publish()
        if choice is None:
            work = partial(_add_task, zoo.path.resolve(), settings)
            in_order(crew.each(work, tasks, on_progress))
        else:
            with _turns(zoo, tasks, on_progress):
                _ensure_supernets(site, tasks, settings, crew, on_progress)
                pairs = _Pairs.of(site, tasks, settings, costing)
                _measure_chosen(pairs, choice, settings.seed, crew, on_progress)
                pairs.report()
        site.zoo = zoo.again()
        site.zoo.compact()
        site.publish()
        site.clean()
        tidy(site.zoo)
    return Zoo.open(path)


def _here(workers: int, settings: BuildSettings) -> Here:
    """The workers that there is room for."""
    fitting = trained_at_once(workers, settings)
    if fitting < workers:
        warnings.warn(
            f"{workers} workers were asked for, and the memory that is free on the cards holds "
            f"{fitting}, which go on; make room there for more",
            TansWarning,
            stacklevel=3,
        )
    return Here(fitting)


def _sweep(zoo: Zoo) -> None:
    """Delete what builds that died left, but for the checkpoints that a training goes on from."""
    zoo.blobs.sweep()
    forget(zoo, *(task.name for task in zoo.tasks()))


def _add_task(
    path: Path, settings: BuildSettings, task: Task, *, on_progress: Listener | None
) -> None:
    """What is missing of one task; apart from others, so that workers can share a zoo."""
    with turn(path, task.name, on_progress):
        add_supernet(Zoo.open(path), settings, task, on_progress)
        zoo = Zoo.open(path)
        stored = {entry.id for entry in zoo.entries(vectors=False, task=task.name)}
        missing = [c for c in _candidates(zoo, [task], settings) if c.id not in stored]
        with closing(_measure(Site(zoo), Here(), missing)) as measured:
            for done, _ in enumerate(measured, 1):
                if on_progress:
                    on_progress(BuildProgress(task.name, "measure", done, len(missing)))


@contextmanager
def _turns(zoo: Zoo, tasks: Sequence[Task], on_progress: Listener | None) -> Iterator[None]:
    """Work on tasks alone; in order of name, so that no two builds wait for each other."""
    with ExitStack() as held:
        for name in sorted(task.name for task in tasks):
            held.enter_context(turn(zoo.path, name, on_progress))
        yield


def _ensure_supernets(
    site: Site,
    tasks: Sequence[Task],
    settings: BuildSettings,
    crew: Crew,
    on_progress: Listener | None,
) -> None:
    """Train those that are missing, and add each when it is done."""
    site.zoo = zoo = site.zoo.again()  # as another build may have left it
    stored = {task.name for task in zoo.tasks()}
    missing = [task for task in tasks if task.name not in stored]
    given: Iterable[Task | Lesson] = missing
    if crew.distant or zoo.address is not None:  # each when it is handed out
        given = (Lesson.of(task, settings).sent_by(zoo) for task in missing)
    work = partial(learn, zoo.portable(), settings)
    with closing(crew.each(work, given, on_progress)) as done:
        for _, learnt in done:
            learnt.add(zoo)
            site.publish()


def _candidates(zoo: Zoo, tasks: Sequence[Task], settings: BuildSettings) -> list[Candidate]:
    """Each task's subnets; all of them, one task after another, are the strategy ``grid``."""
    found = []
    for task in tasks:
        weights = zoo.task(task.name).supernet
        for ref in subnets_of(task.name, settings):
            id = entry_id(task.name, weights, ref)
            found.append(Candidate(id, task, weights, ref, describe(ref).costs(0)))
    return found


def _measure(
    site: Site, crew: Crew, candidates: Sequence[Candidate], ledger: list[LedgerLine] | None = None
) -> Generator[Timed, None, None]:
    """Measure pairs, and store those that were measured when it ends, however it does.

    Args:
        ledger: lines to store too, and to be emptied; whoever is told of a pair adds its own.
    """
    zoo, entries = site.zoo, list[ZooEntry]()
    spent: dict[str, list[float]] = {}
    try:
        for done in crew.measure(zoo, candidates):
            entries.append(done.entry)
            spent.setdefault(done.entry.task, []).append(done.seconds)
            yield done
    finally:
        _store(site, entries, spent, ledger)


@uninterrupted  # a second Ctrl-C would lose what the first one stored
def _store(
    site: Site,
    entries: Sequence[ZooEntry],
    spent: Mapping[str, Sequence[float]],
    ledger: list[LedgerLine] | None,
) -> None:
    """Commit pairs once for each table, as once for each pair would slow a build."""
    # logs first: a pair that is stored is not measured again, and so not logged again
    if ledger:
        site.zoo.ledger.add(ledger)
        ledger.clear()
    site.zoo.costs.add(
        [StepCost(task, "measure", len(each), round(sum(each), 1)) for task, each in spent.items()]
    )
    site.zoo.add_entries(entries)
    site.publish()


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of a zoo to choose from."""

    site: Site
    tasks: Sequence[Task]
    candidates: Sequence[Candidate]
    costing: Costing
    costs: Array
    """(n, 2), as the costing counts them."""
    ledger: list[LedgerLine]
    """Of pairs that are not yet stored."""

    @classmethod
    def of(
        cls, site: Site, tasks: Sequence[Task], settings: BuildSettings, costing: Costing
    ) -> _Pairs:
        """All of these tasks, whose supernets are stored."""
        site.zoo = zoo = site.zoo.again()
        candidates = _candidates(zoo, tasks, settings)
        costs = [costing.of(c.ref, c.costs) for c in candidates]
        return cls(site, tasks, candidates, costing, np.array(costs, dtype=float), [])

    def pool(self) -> tuple[Pool, Surrogate]:
        """The pairs as numbers, and what predicts their accuracies.

        A pair's time goes with its multiply-adds and with the images that it is measured on. What
        the surrogate is told is the same on every device, as accuracies are.
        """
        zoo, names = self.site.zoo, [task.name for task in self.tasks]
        numbers = np.array([names.index(c.task.name) for c in self.candidates])
        counted = np.array([[c.costs.params, c.costs.flops] for c in self.candidates], dtype=float)
        held_out = np.array([int((task.splits > 0).sum()) for task in self.tasks], dtype=float)
        topology = np.array([describe(c.ref).topology for c in self.candidates])
        images = [zoo.features(name)[0].numpy() for name in names]
        features, surrogate = describe_pairs(images, numbers, topology, counted)
        seconds = counted[:, 1] * held_out[numbers]
        return Pool(numbers, normalised(self.costs), features, seconds), surrogate

    def measured(self) -> Measured:
        """What is stored already."""
        stored = {entry.id: entry.val_accuracy for entry in self.site.zoo.entries(vectors=False)}
        known = [(k, stored[c.id] or 0.0) for k, c in enumerate(self.candidates) if c.id in stored]
        return Measured(tuple(k for k, _ in known), tuple(accuracy for _, accuracy in known))

    def train(self, crew: Crew, batch: Sequence[int]) -> Iterator[Outcome]:
        """Measure and store some of the pairs."""
        for done in _measure(self.site, crew, [self.candidates[k] for k in batch], self.ledger):
            yield Outcome(batch[done.number], done.entry.val_accuracy or 0.0, done.seconds)

    def log(self, step: Step) -> None:
        """Note what a pair cost and brought, to be stored with it."""
        pair = step.outcome.pair
        candidate = self.candidates[pair]
        ms = float(self.costs[pair, 1]) if self.costing.latency else None
        self.ledger.append(line_of(step, candidate.id, candidate.task.name, ms))

    def report(self) -> None:
        """Write the fronts down."""
        zoo = self.site.zoo.again()
        entries = {entry.id: entry for entry in zoo.entries(vectors=False)}
        found: dict[str, list[ZooEntry]] = {task.name: [] for task in self.tasks}
        for candidate in self.candidates:
            if candidate.id in entries:
                found[candidate.task.name].append(entries[candidate.id])
        ids = [candidate.id for candidate in self.candidates]
        write_report(zoo, found, dict(zip(ids, self.costs, strict=True)), self.costing)


def _measure_chosen(
    pairs: _Pairs, choice: Choice, seed: int, crew: Crew, on_progress: Listener | None
) -> None:
    pool, surrogate = pairs.pool()
    total = min(choice.budget.pairs, len(pool))
    learns = choice.strategy not in ("grid", "random")
    steps = construct(
        pool,
        STRATEGIES[choice.strategy](surrogate, seed),
        partial(pairs.train, crew),
        choice.budget,
        measured=pairs.measured(),
        start=first_pairs(pool, choice.start, seed) if learns else (),
        batch=lambda: max(choice.batch, crew.slots),
    )
    with closing(steps):
        for step in steps:
            pairs.log(step)
            if on_progress:
                on_progress(BuildProgress("", "measure", step.pairs, total, step.volume))
