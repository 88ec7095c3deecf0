"""Results that were not measured here: a user's own of a commercial service, from a table.

Each row is checked before any is stored; what is stored is drawn beside the measured runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tans.errors import InputError
from tans.tasks.table import read_rows
from tans_bench.methods.entrants import METHODS
from tans_bench.runs.comparison import Cell
from tans_bench.runs.experiment import Arm
from tans_bench.runs.results import Result, Results
from tans_bench.runs.roles import FORMERLY_SEALED

FOLDER = "imported"
"""Below the folder of the results."""
NEEDED = ("task", "service", "accuracy")
TIMES = {"training_s": 1.0, "training_minutes": 60.0}
"""Seconds of one; a table has one of these columns."""
OPTIONAL = ("search_s", "images", "params", "flops", "note")
NO_EPOCHS = 0
"""What stands for the epochs of an imported result, which are not known."""
LONGEST = 60
"""Characters of a service's name, at most."""


@dataclass(frozen=True)
class Imported:
    """What a service reached on a task."""

    task: str
    service: str
    accuracy: float
    """Of the test images, in [0, 1]."""
    training_s: float | None
    """None where it is not known."""
    search_s: float
    images: int
    """Training images that the task was limited to."""
    params: float | None
    flops: float | None
    note: str

    @property
    def name(self) -> str:
        """Of its result."""
        service = re.sub(r"[^a-z0-9]+", "-", self.service.lower()).strip("-")
        return f"{FOLDER}/{self.task}/{service}-n{self.images}"


def import_results(path: str | Path, results: str | Path) -> list[Imported]:
    """Store the results in a CSV file, in place of earlier ones of the same service and task.

    The environment that is stored with each is that of the import.

    Raises:
        InputError: the file or a row of it cannot be used; nothing is stored.
        ResultError: the folder of the results cannot be written.
    """
    rows = read_results(path)
    stored = Results(results)
    for row in rows:
        stored.write(row.name, asdict(row))
    return rows


def read_results(path: str | Path) -> list[Imported]:
    """The results in a CSV file.

    Raises:
        InputError: the file cannot be read, or a row of it cannot be used.
    """
    path = Path(path).expanduser()
    found: dict[str, tuple[int, Imported]] = {}
    for line, cells in _read_rows(path):
        try:
            row = _to_imported(cells)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        if row.name in found:
            raise InputError(
                f"{path}, line {line}: {row.service!r} has a result on {row.task} in line "
                f"{found[row.name][0]} already; expected one; remove the other"
            )
        found[row.name] = line, row
    if not found:
        raise InputError(f"{path} has no rows; expected one for each task and service")
    return [row for _, row in found.values()]


def imported_cells(arms: Sequence[Arm], results: Results) -> list[Cell]:
    """What is stored of the tasks of some arms, with as many training images as there."""
    wanted = {(task, arm.images) for arm in arms for task in arm.tasks}
    stored = [_from_stored(result) for result in results.below(FOLDER)]
    cells = [_to_cell(row) for row in stored if (row.task, row.images) in wanted]
    return sorted(cells, key=lambda cell: (cell.method, cell.task))


def _from_stored(result: Result) -> Imported:
    return Imported(**{field.name: result[field.name] for field in fields(Imported)})


def _to_cell(row: Imported) -> Cell:
    unknown = {"params": math.nan, "flops": math.nan}
    costs = {name: getattr(row, name) or none for name, none in unknown.items()}
    source = f"not measured here{f': {row.note}' if row.note else ''}"
    choice = {"seconds": row.search_s, "source": source, **costs}
    seconds = math.nan if row.training_s is None else row.training_s
    run = {"accuracy": row.accuracy, "seconds": seconds}
    return Cell(row.task, row.service, "", NO_EPOCHS, choice, (run,), imported=True)


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells by column name, of each row that is not blank."""
    rows = read_rows(path, InputError)
    _, columns = next(rows)
    _check_columns(path, columns)
    for line, cells in rows:
        if len(cells) != len(columns):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(columns)}, as the first "
                "line has; quote a cell that holds the delimiter"
            )
        yield line, dict(zip(columns, map(str.strip, cells), strict=True))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    known = {*NEEDED, *TIMES, *OPTIONAL}
    times = sum(name in TIMES for name in columns)
    whole = set(NEEDED) <= set(columns) <= known and len(set(columns)) == len(columns)
    if not whole or times != 1:
        raise InputError(
            f"{path}, line 1: the columns are {', '.join(columns) or 'none'}; expected "
            f"{', '.join(NEEDED)}, one of {' or '.join(TIMES)} and, if wanted, "
            f"{', '.join(OPTIONAL)}, each once"
        )


def _to_imported(cells: Mapping[str, str]) -> Imported:
    """Raises ValueError with what is wrong with a row."""
    if cells["task"] not in FORMERLY_SEALED:
        known = ", ".join(FORMERLY_SEALED)
        raise ValueError(f"{cells['task']!r} is no task of the comparison; expected one of {known}")
    column = next(name for name in TIMES if name in cells)
    training = _quantity(cells, column)
    images = _quantity(cells, "images") or Arm.images
    if images != int(images):
        raise ValueError(f"images is {cells['images']!r}; expected a whole number")
    return Imported(
        task=cells["task"],
        service=_service(cells["service"]),
        accuracy=_accuracy(cells["accuracy"]),
        training_s=None if training is None else TIMES[column] * training,
        search_s=_quantity(cells, "search_s", zero=True) or 0.0,
        images=int(images),
        params=_quantity(cells, "params"),
        flops=_quantity(cells, "flops"),
        note=_text("note", cells.get("note", "")),
    )


def _service(text: str) -> str:
    taken = {*METHODS, *(entrant.title.lower() for entrant in METHODS.values())}
    if not re.search(r"[A-Za-z0-9]", text) or len(text) > LONGEST:
        raise ValueError(f"the service is {text!r}; expected a name of 1 to {LONGEST} characters")
    if text.lower() in taken:
        raise ValueError(f"the service is {text!r}, a method that is run here; name it otherwise")
    return _text("service", text)


def _accuracy(text: str) -> float:
    """A share in [0, 1]; with a percent sign, percent."""
    share = text.removesuffix("%").strip()
    value = round(_number(share) / (100 if text.endswith("%") else 1), 6)
    if not 0 <= value <= 1:
        raise ValueError(
            f"the accuracy is {text!r}; expected a share in [0, 1], or percent with its sign: "
            "0.871 or 87.1%"
        )
    return value


def _quantity(cells: Mapping[str, str], name: str, zero: bool = False) -> float | None:
    """A positive number, or one that may be 0; None where there is none."""
    text = cells.get(name, "")
    if not text:
        return None
    value = _number(text)
    if not (0 < value < math.inf or (zero and value == 0)):
        least = "of at least 0" if zero else "above 0"
        raise ValueError(f"{name} is {text!r}; expected a number {least}")
    return value


def _number(text: str) -> float:
    """NaN for what is no number, which then fails every bound."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _text(name: str, text: str) -> str:
    """Text that can stand in a cell of a table in Markdown."""
    if "|" in text or not text.isprintable():
        raise ValueError(f"the {name} is {text!r}; expected one line of text without |")
    return text
