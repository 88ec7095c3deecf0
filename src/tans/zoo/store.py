"""The store of trained networks, and how each is brought back to life.

    zoo.json                     schema version, search space, resolution, shared base
    entries, tasks, transfers    LanceDB tables
    weights/<sha256>.safetensors networks, whole or as differences from a base
    sheets/<sha256>.webp         64 thumbnails of each task
    features/<sha256>.safetensors query features of each task
    retrieval/                   what meta-learning adds

Files are named by their content and come before the rows that name them, so a writer killed at any
moment leaves at most files that no row names.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib import resources
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tans.errors import InputError, TansError, ZooError
from tans.spaces.batchnorm import recalibrate
from tans.spaces.embedding import PROBES
from tans.spaces.network import Network, normalise
from tans.spaces.specification import Specification, get_space
from tans.types import Architecture, Transfer, ZooEntry
from tans.zoo import sheets
from tans.zoo.weights import (
    RESTORE,
    State,
    assemble,
    from_bytes,
    has_statistics,
    pack_difference,
    pack_whole,
    to_bytes,
    unpack_difference,
    unpack_whole,
)

T = TypeVar("T")

SCHEMA = 1
SETTINGS = "zoo.json"
SUFFIXES = {"weights": ".safetensors", "sheets": ".webp", "features": ".safetensors"}
KEYS = {
    "entries": ["id"],
    "tasks": ["name"],
    "transfers": ["source", "target", "epochs", "images", "seed"],
}
"""Tables, and the columns that make a row the same row."""
VECTORS = ("topology", "functional", "similarities")
ATTEMPTS = 6
"""Of a commit that another writer got ahead of; LanceDB retries by itself before that."""
UNFINISHED = timedelta(hours=1)
"""Age from which an unfinished file is no writer's any more."""
FAILURES = (OSError, RuntimeError, ValueError)
"""What LanceDB raises."""
IMAGENET = "imagenet"
"""Task of the entries whose weights are the shared base or its ImageNet origin."""
QUERY_IMAGES = 240
"""Images that describe a task in a query, at most."""


@dataclass(frozen=True)
class ZooTask:
    """A source task of a zoo: where its images came from, and what was kept of them."""

    name: str
    classes: tuple[str, ...]
    card: dict[str, str]
    """Provenance: source, version, licence, made, family, notes."""
    sheet: str | None
    """SHA-256 of the contact sheet; None where there are no images."""
    features: str | None
    """SHA-256 of the query features; None where there are no images."""
    weights: str
    """SHA-256 of the supernet's weights."""
    train_images: int
    cost_s: float
    """Seconds that training and measuring took."""


@dataclass(frozen=True)
class VerifyReport:
    """What a check of a whole zoo found."""

    files: int
    """Files whose content was compared with their names."""
    networks: int
    """Networks that loaded and gave finite outputs."""
    problems: tuple[str, ...]
    unused: tuple[str, ...]
    """Files that no row names: harmless, left by writers that were killed."""

    @property
    def ok(self) -> bool:
        return not self.problems


def entry_id(task: str, weights: str, architecture: Architecture, resolution: int) -> str:
    """Id of an entry: its task, and 8 hex digits of a hash of what else makes it up."""
    digest = hashlib.sha256(f"{weights} {architecture} {resolution}".encode()).hexdigest()
    return f"{task}-{digest[:8]}"


class Zoo:
    """Trained networks in one folder; get one from ``Zoo.open`` or ``Zoo.create``.

    Shows the rows that were there when a table was first read, and its own additions. Reading
    writes nothing. Several processes may add at once.

    Args:
        path: its folder.
        space: search space of its networks.
        resolution: pixels a side that its tasks are trained at.
        base: SHA-256 of the weights that supernets start from and are stored against.
    """

    def __init__(self, path: Path, space: Specification, resolution: int, base: str | None) -> None:
        self.path, self.space, self.resolution, self.base = path, space, resolution, base
        self._table = lru_cache(maxsize=None)(self._open_table)
        # the subnets of one supernet are mostly asked for together
        self._state = lru_cache(maxsize=4)(self._read_state)

    @classmethod
    def create(cls, path: str | Path, space: str = "lite0", resolution: int = 64) -> Zoo:
        """Make an empty zoo, or open the one that is there, so that a build can go on.

        Raises:
            InputError: there is no such space, or the resolution is not positive.
            ZooError: the zoo that is there has another space or resolution, or the folder cannot
                be written.
        """
        zoo = cls(Path(path), get_space(space), resolution, None)
        if resolution < 1:
            raise InputError(f"resolution is {resolution}; expected a positive number of pixels")
        if (zoo.path / SETTINGS).exists():
            return _same(cls.open(path), space, resolution)
        try:
            for folder in SUFFIXES:
                (zoo.path / folder).mkdir(parents=True, exist_ok=True)
            for name, schema in _schemas(zoo.space).items():
                # a creation that was killed may have left the table
                lancedb.connect(zoo.path).create_table(name, schema=schema, exist_ok=True)
        except FAILURES as error:
            raise ZooError(f"cannot make a zoo in {path}: {error}; choose a new folder") from error
        zoo._write_settings()
        return zoo

    @classmethod
    def open(cls, path: str | Path | None = None) -> Zoo:
        """Open a zoo; the shipped one when no path is given.

        Raises:
            ZooError: it is missing, damaged, or of another schema.
        """
        shipped = Path(str(resources.files("tans") / "assets" / "zoo"))
        folder = shipped if path is None else Path(path)
        try:
            settings = json.loads((folder / SETTINGS).read_text())
            schema = settings["schema"]
        except OSError as error:
            remedy = "reinstall tans" if path is None else "check the path"
            raise ZooError(
                f"no zoo in {folder} (no readable {SETTINGS}); {remedy}, "
                "or make a zoo with 'tans zoo build'"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(folder / SETTINGS, error) from error
        if schema != SCHEMA:
            raise ZooError(
                f"the zoo in {folder} has schema {schema!r} and this tans reads {SCHEMA}; "
                "install a tans that reads it, or build the zoo again with 'tans zoo build'"
            )
        try:
            space, resolution = get_space(settings["space"]), int(settings["resolution"])
            return cls(folder, space, resolution, settings["base"])
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise _damaged(folder / SETTINGS, error) from error

    @property
    def retrieval(self) -> Path:
        """Folder of the retrieval models learnt on this zoo."""
        return self.path / "retrieval"

    # Reading

    def tasks(self) -> list[ZooTask]:
        """Source tasks, in order of name."""
        return [
            ZooTask(**{**row, "classes": tuple(row["classes"]), "card": json.loads(row["card"])})
            for row in self._read("tasks").to_pylist()
        ]

    def task(self, name: str) -> ZooTask:
        """The source task of that name.

        Raises:
            ZooError: there is none.
        """
        tasks = {task.name: task for task in self.tasks()}
        if name not in tasks:
            raise ZooError(f"no task {name!r} in {self.path}; {_nearest(name, tasks)}")
        return tasks[name]

    def entries(self, vectors: bool = True) -> list[ZooEntry]:
        """Entries in order of id.

        Args:
            vectors: without them, the three vectors of each entry are empty; ``matrix`` reads
                those of all entries in much less time and memory.
        """
        names = [f.name for f in fields(ZooEntry) if vectors or f.name not in VECTORS]
        return _to_entries(self._read("entries", names))

    def entry(self, id: str) -> ZooEntry:
        """The entry of that id.

        Raises:
            ZooError: there is none; the message names the nearest.
        """
        quoted = id.replace("'", "''")
        found = _to_entries(self._read("entries", where=f"id = '{quoted}'"))
        if not found:
            ids = self._read("entries", ["id"])["id"].to_pylist()
            raise ZooError(f"no entry {id!r} in {self.path}; {_nearest(id, ids)}")
        return found[0]

    def matrix(self, column: str) -> np.ndarray:
        """One vector of all entries, float32 (n, d), contiguous, in the order of ``entries``.

        Args:
            column: ``topology``, ``functional`` or ``similarities``.
        """
        if column not in VECTORS:
            raise InputError(f"no vector {column!r}; expected one of {', '.join(VECTORS)}")
        return _to_matrix(self._read("entries", ["id", column])[column])

    def transfers(self) -> list[Transfer]:
        """Measured transfers, in order of source and target."""
        return [Transfer(**row) for row in self._read("transfers").to_pylist()]

    def thumbnails(self, task: str) -> Tensor:
        """64 images of a source task, uint8 (64, 3, 64, 64).

        Raises:
            ZooError: there is no such task, or it has no images.
        """
        digest = self.task(task).sheet
        if digest is None:
            raise ZooError(f"task {task!r} has no thumbnails: it was added to {self.path} without")
        return sheets.sheet_from_bytes(self._get("sheets", digest))

    def features(self, task: str) -> tuple[Tensor, Tensor]:
        """Query features, float32 (n, d), and labels, int64 (n,), of a source task.

        A task without images has none: n is 0.

        Raises:
            ZooError: there is no such task.
        """
        digest = self.task(task).features
        if digest is None:
            return torch.zeros(0, self.space.features), torch.zeros(0, dtype=torch.int64)
        return sheets.features_from_bytes(self._get("features", digest))

    # Networks

    def load(self, id: str, classes: int | None = None, seed: int = 0) -> Network:
        """The network of an entry, in evaluation mode.

        Args:
            id: of an entry.
            classes: outputs of a new head; None keeps the source task's head.
            seed: of the new head.

        Raises:
            ZooError: there is no such entry, or its files are damaged.
        """
        entry = self.entry(id)
        network = self.load_subnet(entry.task, entry.weights, entry.architecture, entry.resolution)
        if classes is not None:
            network.replace_head(classes, seed)
        elif "classifier.bias" not in self._state(entry.weights):
            raise ZooError(f"{id} is stored without a head; load it with a number of classes")
        return network

    def load_subnet(
        self, task: str, weights: str, architecture: Architecture, resolution: int | None = None
    ) -> Network:
        """A subnet of stored weights with their head, in evaluation mode.

        Its batch-norm statistics are those of the task's thumbnails, unless the weights hold
        statistics of their own and the subnet is the largest.

        Args:
            task: whose thumbnails to take.
            weights: SHA-256 of stored weights.
            architecture: of the subnet.
            resolution: pixels a side of its input; the zoo's when None.

        Raises:
            ZooError: there are no such weights or thumbnails, or they are damaged.
        """
        state = self._state(weights)
        network = assemble(state, self.space, architecture)
        if architecture != self.space.largest or not has_statistics(state):
            images = sheets.resize(self.thumbnails(task), resolution or self.resolution)
            recalibrate(network, images)
        return network

    def query_network(self) -> Network:
        """The shared base at full size, whose features describe images, in evaluation mode.

        Raises:
            ZooError: this zoo has no base.
        """
        return assemble(self.base_state(), self.space, self.space.largest)

    def base_state(self, hash: str | None = None) -> State:
        """A copy of stored weights, as float32; those of the shared base when no hash is given.

        Raises:
            ZooError: there are none, or they are damaged.
        """
        digest = hash or self.base
        if digest is None:
            raise ZooError(f"the zoo in {self.path} has no base; build it with 'tans zoo build'")
        return {name: tensor.clone() for name, tensor in self._state(digest).items()}

    # Writing

    def add_weights(self, state: State, base: str | None) -> str:
        """Store weights, whole or as their difference from those of hash ``base``; their hash.

        Raises:
            ZooError: a value is not finite, or the base is missing or does not match.
        """
        if base is None:
            return self._put("weights", to_bytes(pack_whole(state)))
        return self._put("weights", to_bytes(pack_difference(state, self._state(base)), base))

    def set_base(self, hash: str) -> None:
        """Make stored weights the shared base.

        Raises:
            ZooError: there are no weights of that hash, or they lack running statistics.
        """
        if not has_statistics(self._state(hash)):
            raise ZooError(f"weights {hash} lack running statistics; expected weights stored whole")
        self.base = hash
        self._write_settings()

    def copy_base(self, other: Zoo) -> None:
        """Share another zoo's base: its weights, and its task ``imagenet`` with all entries.

        Raises:
            ZooError: the other has no base or is of another space, or is damaged.
        """
        if other.base is None or other.space != self.space:
            raise ZooError(
                f"the zoo in {other.path} has space {other.space.name!r} and base {other.base}; "
                f"expected a base of space {self.space.name!r}"
            )
        task = other.task(IMAGENET)
        entries = [entry for entry in other.entries() if entry.task == IMAGENET]
        for digest in {other.base, *(entry.weights for entry in entries)}:
            self._put("weights", other._get("weights", digest))
        for folder, file in _digests(task).items():
            if file is not None:
                self._put(folder, other._get(folder, file))
        self._add_task(task)
        self.add_entries(entries)
        self.set_base(other.base)

    def add_task(
        self,
        name: str,
        *,
        classes: Sequence[str],
        card: Mapping[str, str],
        thumbnails: Tensor | None,
        features: tuple[Tensor, Tensor] | None,
        weights: str,
        train_images: int,
        cost_s: float,
    ) -> ZooTask:
        """Add a source task with its files, or replace the one of that name.

        Args:
            name: of the task.
            classes: their names.
            card: provenance, as ``ZooTask.card``.
            thumbnails: uint8 (64, 3, 64, 64).
            features: query features (n, d), kept as float16, and labels (n,).
            weights: SHA-256 of stored weights.
            train_images: their number.
            cost_s: seconds that training and measuring took.

        Raises:
            ZooError: the weights are not stored, or a tensor is of another shape or not finite.
        """
        pictures = None if thumbnails is None else sheets.sheet_to_bytes(thumbnails)
        numbers = None if features is None else sheets.features_to_bytes(*features)
        self._require("weights", weights)
        task = ZooTask(
            name=name,
            classes=tuple(classes),
            card=dict(card),
            sheet=None if pictures is None else self._put("sheets", pictures),
            features=None if numbers is None else self._put("features", numbers),
            weights=weights,
            train_images=train_images,
            cost_s=cost_s,
        )
        self._add_task(task)
        return task

    def add_entry(self, entry: ZooEntry) -> None:
        """Add an entry, or replace the one of that id; see ``add_entries``."""
        self.add_entries([entry])

    def add_entries(self, entries: Sequence[ZooEntry]) -> None:
        """Add entries in one commit; those of the same id are replaced.

        Raises:
            ZooError: their weights are not stored, or a vector has another size.
        """
        for digest in {entry.weights for entry in entries}:
            self._require("weights", digest)
        if entries:
            self._merge("entries", _from_entries(entries, _schemas(self.space)["entries"]))

    def add_transfers(self, transfers: Sequence[Transfer]) -> None:
        """Add measured transfers in one commit; repeated measurements are replaced."""
        if transfers:
            rows = [asdict(transfer) for transfer in transfers]
            self._merge("transfers", pa.Table.from_pylist(rows, _schemas(self.space)["transfers"]))

    def compact(self) -> None:
        """Leave few files: merge each table's fragments, drop old versions and unfinished files.

        What is younger than an hour and unfinished may be another writer's, and stays.
        """
        for name in KEYS:
            self._commit(name, _optimise)
        for file in self.path.glob("**/*.tmp"):
            if time.time() - file.stat().st_mtime > UNFINISHED.total_seconds():
                file.unlink(missing_ok=True)

    def verify(self, on_progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Compare every file with its name, follow every reference, and run every network.

        Args:
            on_progress: called with the number of checks done and their total.
        """
        problems: list[str] = []
        tasks = _attempt(problems, "tasks", self.tasks) or []
        entries = _attempt(problems, "entries", lambda: self.entries(vectors=False)) or []
        _attempt(problems, "transfers", self.transfers)
        files = [
            p for name, end in SUFFIXES.items() for p in sorted(self.path.glob(f"{name}/*{end}"))
        ]
        classes = {task.name: len(task.classes) for task in tasks}
        checks: list[tuple[str, Callable[[], None]]] = [("base", self._check_base)]
        checks += [(str(path), partial(self._check_file, path)) for path in files]
        checks += [(f"task {task.name}", partial(self._check_task, task)) for task in tasks]
        checks += [
            (f"entry {entry.id}", partial(self._check_entry, entry, classes))
            for entry in sorted(entries, key=lambda entry: entry.weights)
        ]
        for done, (label, check) in enumerate(checks, 1):
            _attempt(problems, label, check)
            if on_progress is not None:
                on_progress(done, len(checks))
        failed = sum(problem.startswith("entry ") for problem in problems)
        named = {self.base, *(entry.weights for entry in entries)}
        named.update(digest for task in tasks for digest in _digests(task).values())
        unused = tuple(str(p.relative_to(self.path)) for p in files if p.stem not in named)
        return VerifyReport(len(files), len(entries) - failed, tuple(problems), unused)

    def _check_file(self, path: Path) -> None:
        self._get(path.parent.name, path.stem)

    def _check_base(self) -> None:
        if self.base is not None:
            self.query_network()

    def _check_task(self, task: ZooTask) -> None:
        for folder, digest in _digests(task).items():
            self._require(folder, digest)
        if task.sheet is not None:
            self.thumbnails(task.name)
        if task.features is not None:
            self.features(task.name)

    @torch.no_grad()
    def _check_entry(self, entry: ZooEntry, classes: Mapping[str, int]) -> None:
        if entry.task not in classes:
            raise ZooError(f"its task {entry.task!r} is not in the zoo; add it or build again")
        grey = torch.full((1, 3, entry.resolution, entry.resolution), 127, dtype=torch.uint8)
        scores = self.load(entry.id)(normalise(grey))  # (1, classes)
        if scores.shape != (1, classes[entry.task]) or not torch.isfinite(scores).all():
            raise ZooError(
                f"its network gives {tuple(scores.shape)}, expected finite scores of shape "
                f"(1, {classes[entry.task]}); build its task again"
            )

    # Files

    def _path(self, folder: str, digest: str) -> Path:
        return self.path / folder / f"{digest}{SUFFIXES[folder]}"

    def _put(self, folder: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._write(self._path(folder, digest), data)
        return digest

    def _get(self, folder: str, digest: str) -> bytes:
        path = self._path(folder, digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ZooError(f"{path} is missing; {RESTORE}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _damaged(path, "its content does not match its name")
        return data

    def _require(self, folder: str, digest: str | None) -> None:
        if digest is not None and not self._path(folder, digest).is_file():
            raise ZooError(f"{self._path(folder, digest)} is missing; store it before its rows")

    def _write_settings(self) -> None:
        settings = {
            "schema": SCHEMA,
            "space": self.space.name,
            "resolution": self.resolution,
            "base": self.base,
        }
        self._write(self.path / SETTINGS, json.dumps(settings, indent=1).encode())

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # a row must never outlive the file that it names
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise ZooError(f"cannot write {path}: {error}; check the disk and rights") from error

    def _read_state(self, digest: str) -> State:
        tensors, base = from_bytes(self._get("weights", digest))
        if base is None:
            return unpack_whole(tensors)
        return unpack_difference(tensors, self._state(base))

    # Tables

    def _open_table(self, name: str) -> Any:
        return lancedb.connect(self.path).open_table(name)

    def _read(
        self, name: str, columns: list[str] | None = None, where: str | None = None
    ) -> pa.Table:
        try:
            return self._query(name, columns, where)
        except FAILURES:
            self._table.cache_clear()  # another process may have compacted what we had open
        try:
            return self._query(name, columns, where)
        except FAILURES as error:
            raise _damaged(self.path / f"{name}.lance", error) from error

    def _query(self, name: str, columns: list[str] | None, where: str | None) -> pa.Table:
        query = self._table(name).search()
        query = query if columns is None else query.select(columns)
        return _distinct(name, (query if where is None else query.where(where)).to_arrow())

    def _merge(self, name: str, rows: pa.Table) -> None:
        rows = _distinct(name, rows)
        self._commit(
            name,
            lambda table: (
                table.merge_insert(KEYS[name])
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(rows)
            ),
        )

    def _commit(self, name: str, change: Callable[[Any], object]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                change(self._table(name))
                return
            except FAILURES as error:
                failure = error
                self._table.cache_clear()
                time.sleep(0.05 * 2**attempt)
        raise ZooError(
            f"cannot change {self.path / name}.lance: {failure}; check the disk and rights, "
            "or let fewer processes write at once"
        ) from failure

    def _add_task(self, task: ZooTask) -> None:
        row = {**asdict(task), "card": json.dumps(task.card)}
        self._merge("tasks", pa.Table.from_pylist([row], _schemas(self.space)["tasks"]))


def _same(zoo: Zoo, space: str, resolution: int) -> Zoo:
    if (zoo.space.name, zoo.resolution) != (space, resolution):
        raise ZooError(
            f"{zoo.path} holds a zoo of space {zoo.space.name!r} at {zoo.resolution} pixels, "
            f"expected {space!r} at {resolution}; choose another folder"
        )
    return zoo


def _optimise(table: Any) -> None:
    with warnings.catch_warnings():
        # that readers of old versions must open the table anew, which _read does
        warnings.simplefilter("ignore", UserWarning)
        table.optimize(cleanup_older_than=timedelta(0))
        table.optimize(cleanup_older_than=UNFINISHED, delete_unverified=True)


def _schemas(space: Specification) -> dict[str, pa.Schema]:
    text, number, real = pa.string(), pa.int64(), pa.float64()
    sizes = (space.topology_size, space.features, PROBES * (PROBES - 1) // 2)
    texts = dict.fromkeys(("id", "task", "architecture", "weights", "licence"), text)
    vectors = {n: pa.list_(pa.float32(), size) for n, size in zip(VECTORS, sizes, strict=True)}
    measured = dict.fromkeys(("resolution", "params", "flops"), number)
    measured |= dict.fromkeys(("val_accuracy", "accuracy"), real)
    files = dict.fromkeys(("sheet", "features", "weights"), text)
    tasks = {"name": text, "classes": pa.list_(text), "card": text, **files}
    columns = {
        "entries": texts | measured | vectors,
        "tasks": tasks | {"train_images": number, "cost_s": real},
        "transfers": {"source": text, "target": text, "epochs": number, "images": number}
        | {"accuracy": real, "seed": number},
    }
    return {name: pa.schema(list(types.items())) for name, types in columns.items()}


def _distinct(name: str, rows: pa.Table) -> pa.Table:
    """Rows in order of their key, the last of each key.

    LanceDB lets two writers that add the same key at the same moment both append it.
    """
    columns = [rows[key].to_pylist() for key in KEYS[name]]
    last = {key: index for index, key in enumerate(zip(*columns, strict=True))}
    return rows.take(pa.array([last[key] for key in sorted(last)], pa.int64()))


def _to_entries(rows: pa.Table) -> list[ZooEntry]:
    columns: dict[str, Iterable[Any]] = {
        name: rows[name].to_pylist() for name in rows.column_names if name not in VECTORS
    }
    columns["architecture"] = map(Architecture.parse, columns["architecture"])
    columns |= {name: _to_tuples(rows, name) for name in VECTORS}
    values = zip(*columns.values(), strict=True)
    return [ZooEntry(**dict(zip(columns, row, strict=True))) for row in values]


def _to_tuples(rows: pa.Table, name: str) -> Iterable[tuple[float, ...]]:
    if name not in rows.column_names:
        return repeat((), len(rows))
    # row by row, or the numbers would be held twice as Python objects
    return (tuple(row.tolist()) for row in _to_matrix(rows[name]))


def _from_entries(entries: Sequence[ZooEntry], schema: pa.Schema) -> pa.Table:
    columns = {name: [getattr(entry, name) for entry in entries] for name in schema.names}
    columns["architecture"] = [str(architecture) for architecture in columns["architecture"]]
    for name in VECTORS:
        columns[name] = _from_vectors(name, columns[name], schema.field(name).type.list_size)
    return pa.table(columns, schema=schema)


def _to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, dtype=np.float32).reshape(len(column), column.type.list_size)


def _from_vectors(name: str, vectors: Sequence[Sequence[float]], size: int) -> pa.Array:
    wrong = {len(vector) for vector in vectors} - {size}
    if wrong:
        raise ZooError(f"{name} has {wrong.pop()} numbers; expected {size} in this zoo")
    matrix = np.array(vectors, dtype=np.float32)  # (n, size)
    if not np.isfinite(matrix).all():
        raise ZooError(f"{name} holds values that are not finite; measure the network again")
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), size)


def _digests(task: ZooTask) -> dict[str, str | None]:
    """Hash of each file that a task names, by folder."""
    return {"weights": task.weights, "sheets": task.sheet, "features": task.features}


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"the nearest are {', '.join(near)}" if near else "'tans zoo list' shows what is there"


def _attempt(problems: list[str], label: str, action: Callable[[], T]) -> T | None:
    try:
        return action()
    except TansError as error:
        problems.append(f"{label}: {error}")
        return None


def _damaged(path: Path, reason: object) -> ZooError:
    return ZooError(f"{path} is damaged ({reason}); {RESTORE}")
