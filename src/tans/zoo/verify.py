"""Check a whole zoo: every file, every reference, every network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from tans.errors import TansError, ZooError
from tans.networks.family import describe
from tans.networks.network import prepare
from tans.types import ZooEntry
from tans.zoo.blobs import Blobs, LocalBlobs, name_of
from tans.zoo.manifest import KEY
from tans.zoo.rows import KEYS, VECTORS, ZooTask
from tans.zoo.seals import FOLDER, Seals, check_hint
from tans.zoo.weights import RESTORE
from tans.zoo.zoo import Zoo

T = TypeVar("T")
Parts = Mapping[str, Callable[[], Iterable[str]]]
"""What is built on a zoo: by how the keys of its files begin, what reads it and gives these keys.
"""
_BY_CONTENT = re.compile(r"(.*[/-])?[0-9a-f]{16}([0-9a-f]{48})?\.[a-z0-9]+")
"""Keys that hold a hash of the content."""


@dataclass(frozen=True)
class VerifyReport:
    """What a check of a whole zoo found."""

    files: int
    """Files whose content was compared with their names or seals."""
    networks: int
    """Networks that loaded and gave finite outputs."""
    problems: tuple[str, ...]
    unused: tuple[str, ...]
    """Files that nothing names: harmless, left by writers that were killed."""
    unsealed: tuple[str, ...] = ()
    """Files that nothing says the content of, so that damage would not be seen."""
    missing: int = 0
    """Entries whose weights were not given, so that there is no network to run."""

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_zoo(
    zoo: Zoo,
    on_progress: Callable[[int, int], None] | None = None,
    parts: Parts | None = None,
) -> VerifyReport:
    """Compare every file with its name or seal, follow every reference, and run every network.

    Args:
        zoo: to check.
        on_progress: called with the number of checks done and their total.
        parts: to check too, which this module knows nothing of.
    """
    zoo = copy(zoo)  # so that the tables are read anew
    problems: list[str] = []
    tasks = _attempt(problems, "tasks", zoo.tasks) or []
    entries = _attempt(problems, "entries", lambda: zoo.entries(vectors=False)) or []
    for label, read in _tables(zoo):
        _attempt(problems, label, read)
    stores: dict[str, Blobs] = {"": zoo.blobs}
    if (retrieval := _attempt(problems, "retrieval", lambda: zoo.retrieval)) is not None:
        stores[f"{retrieval.name}/"] = LocalBlobs(retrieval)
    sealed = _attempt(problems, "seals", partial(_sealed, stores)) or {}
    files = zoo.files.keys()
    compared = sorted(key for key in sealed if not _is_of_table(key) or zoo.blobs.exists(key))
    checks = _checks(zoo, files, tasks, entries)
    again = partial(_sealed, stores)
    checks += [(key, partial(_check_sealed, zoo, key, sealed, again)) for key in compared]
    for done, (label, check) in enumerate(checks, 1):
        _attempt(problems, label, check)
        if on_progress is not None:
            on_progress(done, len(checks))
    failed = sum(problem.startswith("entry ") for problem in problems)
    missing = sum(not entry.has_weights for entry in entries)
    named = {zoo.base, *(entry.weights for entry in entries)}
    named.update(digest for task in tasks for digest in task.files.values())
    unused = [key for key in files if name_of(key)[1] not in named]
    known = {KEY, *sealed, *files} | _of_parts(zoo, parts or {}, problems)
    known |= {key for key in zoo.blobs.list() if _is_of_table(key)}
    known |= {f"{log.name}.jsonl" for log in (zoo.costs, zoo.ledger)}
    seals = tuple(f"{start}{FOLDER}" for start in stores)
    unused += [key for key in zoo.blobs.list() if key not in known and not key.startswith(seals)]
    return VerifyReport(
        files=len(files) + len(compared),
        networks=len(entries) - missing - failed,
        problems=tuple(dict.fromkeys(problems)),
        unused=tuple(unused),
        unsealed=tuple(key for key in sorted(known - sealed.keys()) if _wants_seal(zoo, key)),
        missing=missing,
    )


def _tables(zoo: Zoo) -> list[tuple[str, Callable[[], object]]]:
    """What else there is to read, and how to call its problem."""
    found: list[tuple[str, Callable[[], object]]] = [
        ("transfers", zoo.transfers),
        ("costs", zoo.costs.read),
        ("ledger", zoo.ledger.read),
    ]
    found += [(column, partial(zoo.matrix, column)) for column in VECTORS]
    found += [(f"{name}.lance", partial(zoo.seals.check, name)) for name in KEYS]
    return found + [(f"{name}.lance", partial(check_hint, zoo.blobs, name)) for name in KEYS]


def _is_of_table(key: str) -> bool:
    return key.startswith(tuple(f"{name}.lance/" for name in KEYS))


def _wants_seal(zoo: Zoo, key: str) -> bool:
    """Whether nothing in a file's name says its content, though it is written by tans alone."""
    hint = _is_of_table(key) and key.endswith(".json")  # LanceDB finds tables without it
    return not hint and not _BY_CONTENT.fullmatch(key) and zoo.blobs.exists(key)


def _of_parts(zoo: Zoo, parts: Parts, problems: list[str]) -> set[str]:
    """Keys of the files of parts; of one that cannot be read, all that may be its."""
    found: set[str] = set()
    for start, read in parts.items():
        keys = _attempt(problems, start.strip("/."), read)
        found.update(zoo.blobs.list(start) if keys is None else keys)
    return found


def _sealed(stores: Mapping[str, Blobs]) -> dict[str, set[str]]:
    """By key, with how those of a store begin before it, the hashes that content may have."""
    return {
        start + key: digests
        for start, store in stores.items()
        for key, digests in Seals(store).all().items()
    }


def _check_sealed(
    zoo: Zoo,
    key: str,
    sealed: Mapping[str, set[str]],
    again: Callable[[], Mapping[str, set[str]]],
) -> None:
    # another process may have replaced it since: its seal comes before it
    if not zoo.seals.is_sound(key, sealed) and not zoo.seals.is_sound(key, again()):
        raise ZooError(f"it is not as it was written; {RESTORE}")
    if not zoo.blobs.exists(key) and not _is_of_table(key):
        raise ZooError(f"it is missing; {RESTORE}")


def _checks(
    zoo: Zoo, files: Sequence[str], tasks: Sequence[ZooTask], entries: Sequence[ZooEntry]
) -> list[tuple[str, Callable[[], object]]]:
    """What to call, and how to call its problem."""
    classes = {task.name: len(task.classes) for task in tasks}
    checks: list[tuple[str, Callable[[], object]]] = []
    if zoo.base is not None:
        checks.append(("base", zoo.query_network))
    checks += [(key, partial(zoo.files.get, *name_of(key))) for key in files]
    checks += [(f"task {task.name}", partial(_check_task, zoo, task)) for task in tasks]
    # the subnets of one supernet one after another, so that it is unpacked once
    checks += [
        (f"{_label(entry)} {entry.id}", partial(_check_entry, zoo, entry, classes))
        for entry in sorted(entries, key=lambda entry: entry.weights)
    ]
    return checks


def _label(entry: ZooEntry) -> str:
    """How the problem of an entry is called, by whether there is a network to run."""
    return "entry" if entry.has_weights else "row"


def _check_task(zoo: Zoo, task: ZooTask) -> None:
    for folder, digest in task.files.items():
        zoo.files.require(folder, digest)
    if task.sheet is not None:
        zoo.thumbnails(task.name)
    zoo.features(task.name)


@torch.no_grad()
def _check_entry(zoo: Zoo, entry: ZooEntry, classes: Mapping[str, int]) -> None:
    if entry.task not in classes:
        raise ZooError(f"its task {entry.task!r} is not in the zoo; add it or build again")
    known = describe(entry.ref)
    if (entry.width, entry.body_costs) != (known.width, known.costs(0)):
        raise ZooError(
            f"it says width {entry.width} and {entry.body_costs}, its network has {known.width} "
            f"and {known.costs(0)}; build its task again"
        )
    if not entry.has_weights:
        return
    grey = torch.full((1, 3, entry.resolution, entry.resolution), 127, dtype=torch.uint8)
    network = zoo.load_entry(entry)
    scores = network(prepare(grey, network.input))  # (1, outputs)
    outputs = classes[entry.task] if zoo.has_head(entry) else 1
    if scores.shape != (1, outputs) or not torch.isfinite(scores).all():
        raise ZooError(
            f"its network gives {tuple(scores.shape)}, expected finite scores of shape "
            f"(1, {outputs}); build its task again"
        )


def _attempt(problems: list[str], label: str, action: Callable[[], T]) -> T | None:
    try:
        return action()
    except TansError as error:
        problems.append(f"{label}: {error}")
        return None
