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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.networks.families.elastic.network import Network
from tans.networks.families.elastic.specification import Specification, get_space
from tans.networks.families.elastic.supernet import State
from tans.types import Architecture, Transfer, ZooEntry
from tans.zoo import previews as sheets
from tans.zoo import rows
from tans.zoo.blobs import Files
from tans.zoo.manifest import SETTINGS, Settings, read_settings
from tans.zoo.rows import VECTORS, ZooTask
from tans.zoo.states import States
from tans.zoo.tables import FAILURES, Tables
from tans.zoo.weights import assemble, calibrated, has_head, has_statistics

IMAGENET = "imagenet"
"""Task of the entries whose weights are the shared base or its ImageNet origin."""
JUDGE = "judge.json"
"""In a zoo's folder ``retrieval``: the rule that was fitted to all its transfers."""
QUERY_IMAGES = 240
"""Images that describe a task in a query, at most."""


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
        self.files = Files(path)
        self._tables = Tables(path)
        self._states = States(self.files)

    @classmethod
    def create(cls, path: str | Path, space: str = "lite0", resolution: int = 64) -> Zoo:
        """Make an empty zoo, or open the one that is there, so that a build can go on.

        Raises:
            InputError: there is no such space, or the resolution is not positive.
            ZooError: the zoo that is there has another space or resolution, or the folder cannot
                be written.
        """
        settings, folder = Settings(get_space(space), resolution), Path(path)
        if (folder / SETTINGS).exists():
            zoo = cls.open(folder)
            if (zoo.space, zoo.resolution) != (settings.space, resolution):
                raise ZooError(
                    f"{path} holds a zoo of space {zoo.space.name!r} at {zoo.resolution} pixels, "
                    f"expected {space!r} at {resolution}; choose another folder"
                )
            return zoo
        try:
            Files(folder).create()
            Tables(folder).create(rows.schemas(settings.space))
        except FAILURES as error:
            raise ZooError(f"cannot make a zoo in {path}: {error}; choose a new folder") from error
        settings.write(folder)
        return cls(folder, settings.space, resolution, settings.base)

    @classmethod
    def open(cls, path: str | Path | None = None) -> Zoo:
        """Open a zoo; the shipped one when no path is given.

        Raises:
            ZooError: it is missing, damaged, or of another schema.
        """
        if path is None:
            folder = Path(str(resources.files("tans") / "assets" / "zoo"))
            settings = read_settings(folder, remedy="reinstall tans")
        else:
            folder = Path(path)
            settings = read_settings(folder)
        return cls(folder, settings.space, settings.resolution, settings.base)

    @property
    def retrieval(self) -> Path:
        """Folder of the retrieval models learnt on this zoo."""
        return self.path / "retrieval"

    # Reading

    def tasks(self) -> list[ZooTask]:
        """Source tasks, in order of name."""
        return rows.to_tasks(self._tables.read("tasks"))

    def task(self, name: str) -> ZooTask:
        """The source task of that name.

        Raises:
            ZooError: there is none.
        """
        tasks = {task.name: task for task in self.tasks()}
        if name not in tasks:
            raise ZooError(f"no task {name!r} in {self.path}; {_nearest(name, tasks)}")
        return tasks[name]

    def entries(self, vectors: bool = True, task: str | None = None) -> list[ZooEntry]:
        """Entries in order of id.

        Args:
            task: whose entries; those of all tasks when None.
            vectors: without them, the three vectors of each entry are empty; ``matrix`` reads
                those of all entries in much less time and memory.
        """
        names = [f.name for f in fields(ZooEntry) if vectors or f.name not in VECTORS]
        where = None if task is None else _equals("task", task)
        return rows.to_entries(self._tables.read("entries", names, where))

    def entry(self, id: str) -> ZooEntry:
        """The entry of that id.

        Raises:
            ZooError: there is none; the message names the nearest.
        """
        found = rows.to_entries(self._tables.read("entries", where=_equals("id", id)))
        if not found:
            ids = self._tables.read("entries", ["id"])["id"].to_pylist()
            raise ZooError(f"no entry {id!r} in {self.path}; {_nearest(id, ids)}")
        return found[0]

    def matrix(self, column: str) -> np.ndarray:
        """One vector of all entries, float32 (n, d), contiguous, in the order of ``entries``.

        Args:
            column: ``topology``, ``functional`` or ``similarities``.
        """
        if column not in VECTORS:
            raise InputError(f"no vector {column!r}; expected one of {', '.join(VECTORS)}")
        return rows.to_matrix(self._tables.read("entries", ["id", column])[column])

    def transfers(self) -> list[Transfer]:
        """Measured transfers, in order of source and target."""
        return rows.to_transfers(self._tables.read("transfers"))

    def thumbnails(self, task: str) -> Tensor:
        """64 images of a source task, uint8 (64, 3, 64, 64).

        Raises:
            ZooError: there is no such task, or it has no images.
        """
        digest = self.task(task).sheet
        if digest is None:
            raise ZooError(f"task {task!r} has no thumbnails: it was added to {self.path} without")
        return sheets.sheet_from_bytes(self.files.get("sheets", digest))

    def features(self, task: str) -> tuple[Tensor, Tensor]:
        """Query features, float32 (n, d), and labels, int64 (n,), of a source task.

        A task without images has none: n is 0.

        Raises:
            ZooError: there is no such task.
        """
        digest = self.task(task).features
        if digest is None:
            return torch.zeros(0, self.space.features), torch.zeros(0, dtype=torch.int64)
        return sheets.features_from_bytes(self.files.get("features", digest))

    # Networks

    def load(self, id: str, classes: int | None = None, seed: int = 0) -> Network:
        """The network of an entry, in evaluation mode.

        Args:
            id: of an entry.
            classes: outputs of a new head; None keeps the source task's head.
            seed: of the new head.

        Raises:
            ZooError: there is no such entry, its files are damaged, or it is stored without a
                head and no number of classes is given.
        """
        entry = self.entry(id)
        network = self.load_subnet(entry.task, entry.weights, entry.architecture, entry.resolution)
        if classes is not None:
            network.replace_head(classes, seed)
        elif not self.has_head(entry.weights):
            raise ZooError(f"{id} is stored without a head; load it with a number of classes")
        return network

    def has_head(self, weights: str) -> bool:
        """Whether stored weights hold a classifier.

        Args:
            weights: SHA-256 of them.

        Raises:
            ZooError: there are none, or they are damaged.
        """
        return has_head(self._states.get(weights))

    def load_subnet(
        self, task: str, weights: str, architecture: Architecture, resolution: int | None = None
    ) -> Network:
        """A subnet of stored weights, in evaluation mode.

        Weights that were stored without a head get one of a single output, which means nothing.
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
        return calibrated(
            self._states.get(weights),
            self.space,
            architecture,
            lambda: sheets.resize(self.thumbnails(task), resolution or self.resolution),
        )

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
        return {name: tensor.clone() for name, tensor in self._states.get(digest).items()}

    # Writing

    def add_weights(self, state: State, base: str | None) -> str:
        """Store weights, whole or as their difference from those of hash ``base``; their hash.

        Raises:
            ZooError: a value is not finite, or the base is missing or does not match.
        """
        return self._states.add(state, base)

    def set_base(self, hash: str) -> None:
        """Make stored weights the shared base.

        Raises:
            ZooError: there are no weights of that hash, or they lack running statistics.
        """
        if not has_statistics(self._states.get(hash)):
            raise ZooError(f"weights {hash} lack running statistics; expected weights stored whole")
        self.base = hash
        Settings(self.space, self.resolution, hash).write(self.path)

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
        self.files.put("weights", other.files.get("weights", other.base))
        self.copy_task(other, IMAGENET)
        self.set_base(other.base)

    def copy_task(self, other: Zoo, name: str) -> None:
        """Take over a task of another zoo of the same base, with its files and all its entries.

        Raises:
            ZooError: the other has no such task, is of another space, or is damaged.
        """
        task, entries = other.task(name), other.entries(task=name)
        for digest in {entry.weights for entry in entries}:
            self.files.put("weights", other.files.get("weights", digest))
        for folder, digest in task.files.items():
            self.files.put(folder, other.files.get(folder, digest))
        self._tables.merge("tasks", rows.from_tasks([task], self.space))
        self.add_entries(entries)

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
            card: provenance, as ``ZooTask.card``.
            thumbnails: uint8 (64, 3, 64, 64).
            features: query features (n, d), kept in 8 bits, and labels (n,).
            weights: SHA-256 of stored weights.
            cost_s: seconds that training took.

        Raises:
            ZooError: the weights are not stored, or a tensor is of another shape or not finite.
        """
        pictures = None if thumbnails is None else sheets.sheet_to_bytes(thumbnails)
        numbers = None if features is None else sheets.features_to_bytes(*features)
        self.files.require("weights", weights)
        task = ZooTask(
            name=name,
            classes=tuple(classes),
            card=dict(card),
            sheet=None if pictures is None else self.files.put("sheets", pictures),
            features=None if numbers is None else self.files.put("features", numbers),
            weights=weights,
            train_images=train_images,
            cost_s=cost_s,
        )
        self._tables.merge("tasks", rows.from_tasks([task], self.space))
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
            self.files.require("weights", digest)
        if entries:
            self._tables.merge("entries", rows.from_entries(entries, self.space))

    def add_transfers(self, transfers: Sequence[Transfer]) -> None:
        """Add measured transfers in one commit; repeated measurements are replaced."""
        if transfers:
            self._tables.merge("transfers", rows.from_transfers(transfers, self.space))

    def compact(self) -> None:
        """Leave few files: merge each table's fragments, drop old versions and unfinished files.

        What is younger than an hour and unfinished may be another writer's, and stays.
        """
        self._tables.compact()
        self.files.clean()


def _equals(column: str, value: str) -> str:
    """An SQL condition."""
    quoted = value.replace("'", "''")
    return f"{column} = '{quoted}'"


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"the nearest are {', '.join(near)}" if near else "'tans zoo list' shows what is there"
