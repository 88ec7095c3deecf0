"""What a fine-tuning tells while it runs, what it gives, and the folder that this is kept in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tans.errors import InputError
from tans.export.classifier import Classifier
from tans.export.finetuned import (
    check_writable,
    classifier_of,
    complete,
    save_finetuned,
)
from tans.files import alone, is_unfinished, remove_empty, sweep
from tans.report import Run, write_report
from tans.search import SearchResult
from tans.tasks.findings import some
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.training import Epoch, FineTuned
from tans.types import Origin, ZooEntry
from tans.zoo.zoo import Zoo

BEST_MATCH, COMBINED, GONE_ON = "Best match", "Combined", "Gone on"
"""What a report calls the network that a search proposed, the one that learnt from several, and one
that went on from a fine-tuned network."""
REPORT = "report.html"


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
            images=task.split_sizes[TRAIN],
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

    @property
    def seconds_left(self) -> float | None:
        """Until the last epoch is done, about; None before the first is."""
        if self.epoch is None or not self.epoch.epoch:
            return None
        return self.epoch.seconds / self.epoch.epoch * max(0, self.epochs - self.epoch.epoch)


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
        remove_empty(made)


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
