"""Build, copy, train and check a zoo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tans.build import cluster, engine
from tans.build.costing import costing_files
from tans.build.crew import BuildProgress, Crew, Here
from tans.build.forecast import Forecast, expected_work
from tans.build.plan.construct import Budget
from tans.build.plan.ledger import REPORT as CONSTRUCTION
from tans.build.settings import BuildSettings, Choice
from tans.errors import InputError
from tans.files import alone
from tans.meta import train as meta
from tans.meta.calibrator import Calibrator, calibrate_zoo
from tans.meta.data import MetaData
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.metrics import Retrieval
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever, files_of
from tans.networks.families.elastic.family import ELASTIC
from tans.plugins import is_distant
from tans.tasks.folder import is_result
from tans.tasks.outputs import WRITTEN
from tans.tasks.packaged import fetch_tasks
from tans.tasks.task import Task
from tans.zoo.building import has_zoo
from tans.zoo.copy import copy_tasks, diverse_tasks
from tans.zoo.verify import VerifyReport, verify_zoo
from tans.zoo.zoo import CALIBRATOR, Zoo


@dataclass(frozen=True)
class Trained:
    """What training a zoo's retrieval model gave; it is stored in the zoo."""

    retrieval: Retrieval
    """How well it finds a known task's own network."""
    calibrator: Calibrator | None
    """What predicts accuracies; None where too few transfers were measured to learn from."""


def read_tasks(
    names: Sequence[str],
    read: Callable[[str | Path], Task] = Task.from_path,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Task]:
    """Each packaged task, all of a role such as ``train``, each dataset in each folder or address.

    Args:
        names: packaged tasks, roles, folders of datasets, and addresses of one dataset each.
        read: makes a task of a dataset.
        tell: is told what a folder holds that is no dataset but a result of tans.

    Raises:
        InputError: there is no such task, a folder holds no dataset, or one cannot be read.
    """
    for name in names:
        if Path(name).is_dir():
            yield from map(read, _datasets(Path(name), tell))
        elif is_distant(name):
            yield read(name)
        else:
            yield from fetch_tasks(name)


def choose_pairs(
    strategy: str | None = None,
    pairs: int | None = None,
    minutes: float | None = None,
    least_growth: float = 0.0,
    cost: str | None = None,
    *,
    pair_by_pair: bool = False,
) -> Choice | None:
    """Which pairs of a task and a network a build measures; None for all, task by task.

    Args:
        strategy: the order; one of ``tans.build.plan.strategies.STRATEGIES``.
        pairs: to measure in all, at most.
        minutes: to measure for, at most.
        least_growth: hypervolume that the best pair must be expected to add.
        cost: what counts beside accuracy and parameters, one of ``tans.build.costing.COUNTED``.
        pair_by_pair: all pairs are named one by one where no strategy is given: a cluster is handed
            pairs rather than tasks, so that all of it has work, and so is a zoo at an address.

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
    return Choice("grid", Budget(sys.maxsize)) if pair_by_pair else None


def gather_crew(
    workers: int = 1,
    ray: str | None = None,
    cpus_per_pair: float | None = None,
    gpus_per_pair: float | None = None,
) -> AbstractContextManager[Crew]:
    """Who does work that falls into pieces; a cluster is left again at the end.

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


def find_base(path: str | Path, settings: BuildSettings, new: bool = False) -> Zoo | None:
    """The zoo whose elastic base a build shares; None where it makes one of its own.

    Args:
        path: folder or address of the zoo to build.
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
    if not given and not has_zoo(path):
        raise InputError(
            f"no base of space {settings.space!r} is shipped; expected --base-weights with a file "
            "or URL of weights that Once-for-All publishes"
        )
    return None


def build(
    path: str | Path,
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
        path: folder or address of the zoo, made when missing.
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
    zoo: Zoo,
    settings: MetaSettings,
    on_step: Callable[[meta.Step], None] | None = None,
    crew: Crew | None = None,
) -> Trained:
    """Meta-train the retrieval model of a zoo and what predicts accuracies, and store both there.

    Args:
        crew: that trains the members of an ensemble side by side.

    Raises:
        ZooError: the zoo holds too little to learn from, or cannot be written.
    """
    zoo.check_writable()
    data = MetaData.from_zoo(zoo)
    retriever = meta.meta_train(data, settings, on_step, crew)
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
