"""The store of trained networks, and how each is brought back to life.

    zoo.json                     schema version, shared base
    entries, tasks, transfers    LanceDB tables
    costs, ledger                LanceDB tables of what building it cost
    weights/<sha256>.safetensors networks, whole or as differences from a base
    sheets/<sha256>.webp         64 thumbnails of each task
    features/<sha256>.safetensors query features of each task
    retrieval/                   what meta-learning adds, with seals of its own
    construction.json, .md       what a build by a strategy counts, and what it found
    seals/<sha256>.sha256        hashes of all files above that are not named by theirs

Files are named by their content and come before the rows that name them, so a writer killed at any
moment leaves at most files that no row names, and files without a seal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.files import alone, try_folder
from tans.networks.family import Whole, describe, get_family
from tans.networks.network import Network, Weights
from tans.plugins import is_distant
from tans.types import NetworkRef, Transfer, ZooEntry
from tans.zoo import previews, rows
from tans.zoo.blobs import Files, LocalBlobs, damaged
from tans.zoo.columns import Columns, read_columns
from tans.zoo.ids import at_size, size_of
from tans.zoo.logs import Log
from tans.zoo.manifest import KEY, Base, ZooManifest, read_manifest
from tans.zoo.rows import VECTORS, LedgerLine, StepCost, ZooTask
from tans.zoo.seals import Seals
from tans.zoo.shared import OnFetch, PulledBlobs, open_shared
from tans.zoo.states import States
from tans.zoo.stored import StoreBlobs
from tans.zoo.tables import FAILURES, Tables
from tans.zoo.weights import assemble, calibrated, has_head, has_statistics

Content = TypeVar("Content")

IMAGENET = "imagenet"
"""Task of the entries whose weights are the shared base or its ImageNet origin."""
CALIBRATOR = "judge.json"
"""In a zoo's folder ``retrieval``: the rule that was fitted to all its transfers."""
NOWHERE = Path(os.devnull) / "zoo"
"""Folder of a zoo that has none where it is: nothing can be there."""
QUERY_IMAGES = 240
"""Images that describe a task in a query, at most."""


class Zoo:
    """Trained networks in one folder; get one from ``Zoo.open`` or ``Zoo.create``.

    Shows the rows that were there when a table was first read, and its own additions. Reading
    writes nothing. Several processes may add at once.

    A zoo at an address is only read: its tables lie in a folder of tans's cache, and its weights,
    sheets and features are fetched when they are first needed.

    Args:
        path: its folder.
        manifest: what holds for all of it.
        distant: what reads, and in a build writes, the content of a zoo at an address.
        known: its source tasks, for a worker that has no tables.

    Beside its networks it has two logs: ``costs``, of each step of its building, and ``ledger``, of
    the pairs that a strategy chose. And networks may stand beside it that were fetched and that it
    does not store: ``fetched``, by id, which ``entry`` knows and ``entries`` does not.
    """

    def __init__(
        self,
        path: Path,
        manifest: ZooManifest,
        distant: PulledBlobs | StoreBlobs | None = None,
        known: Sequence[ZooTask] | None = None,
    ) -> None:
        self.path, self.manifest, self._distant, self._known = path, manifest, distant, known
        self.blobs = LocalBlobs(path)
        self.files = Files(distant or self.blobs)
        self.seals = Seals(self.blobs)
        self._tables = Tables(self.blobs, self.seals)
        self._states = States(self.files)
        self._columns: tuple[list[str], Columns] | None = None
        self.fetched: dict[str, ZooEntry] = {}
        self.costs = Log(self._tables, self.blobs, "costs", StepCost)
        self.ledger = Log(self._tables, self.blobs, "ledger", LedgerLine)

    def __reduce__(self) -> tuple[type[Zoo], tuple[object, ...]]:
        # open tables do not travel
        return Zoo, (self.path, self.manifest, self._distant, self._known)

    @classmethod
    def create(cls, path: str | Path) -> Zoo:
        """Make an empty zoo, or open the one that is there, so that a build can go on.

        Raises:
            ZooError: what is there cannot be opened, or the folder cannot be written.
        """
        zoo = cls(Path(path), ZooManifest())
        try:
            with alone(Path(path) / KEY):
                if zoo.seals.exists(KEY):
                    return cls.open(path)
                zoo._tables.create(rows.schemas())
                zoo.seals.put(KEY, zoo.manifest.to_bytes())
        except FAILURES as error:
            raise ZooError(f"cannot make a zoo in {path}: {error}; choose a new folder") from error
        return zoo

    @classmethod
    def open(cls, path: str | Path | None = None, on_fetch: OnFetch | None = None) -> Zoo:
        """Open a zoo; the shipped one when no path is given.

        Where an address does not answer, what was last read from it is opened, with a
        ``TansWarning``.

        Args:
            path: its folder, or an address that fsspec reaches, such as ``s3://bucket/zoo`` or
                ``hf://datasets/owner/name/zoo``.
            on_fetch: told what is fetched from an address, and its size in bytes.

        Raises:
            ZooError: it is missing, damaged, or of another schema, or cannot be reached.
            InputError: an address holds a password.
            MissingExtraError: an extra of tans brings what reaches such an address.
        """
        if isinstance(path, str) and is_distant(path):
            folder, pulled = open_shared(path, on_fetch)
            return cls(folder, read_manifest(LocalBlobs(folder)), pulled)
        if path is None:
            folder = Path(str(resources.files("tans") / "assets" / "zoo"))
            return cls(folder, read_manifest(LocalBlobs(folder), remedy="reinstall tans"))
        return cls(Path(path), read_manifest(LocalBlobs(path)))

    def again(self) -> Zoo:
        """The same zoo with the rows that are there now.

        Raises:
            ZooError: it is damaged.
        """
        return Zoo(self.path, read_manifest(self.blobs), self._distant)

    def portable(self, *tasks: str) -> Zoo:
        """The same zoo for another process or machine, which may not see its tables.

        There it knows its source tasks, loads networks, and stores files; for all else it must see
        the folder.

        Args:
            tasks: those that it needs to know; all when none is named.
        """
        known = self.tasks() if not tasks else [self.task(name) for name in tasks]
        folder = self.path.resolve() if self._distant is None else NOWHERE
        return Zoo(folder, self.manifest, self._distant, known)

    @property
    def place(self) -> str:
        """Its folder or address, as messages say it."""
        return str(self.files.blobs)

    @property
    def address(self) -> str | None:
        """Where it is shared; None for a zoo in a folder."""
        return None if self._distant is None else str(self._distant)

    @property
    def base(self) -> str | None:
        """SHA-256 of the weights that supernets start from and are stored against."""
        return None if self.manifest.base is None else self.manifest.base.weights

    @property
    def base_ref(self) -> NetworkRef:
        """The network that supernets start from, whose features describe images.

        Raises:
            ZooError: this zoo has no base.
        """
        if self.manifest.base is None:
            raise self._baseless()
        return self.manifest.base.ref

    @property
    def resolution(self) -> int:
        """Pixels a side that its tasks are trained at.

        Raises:
            ZooError: this zoo has no base.
        """
        return self.base_ref.input.size

    @property
    def retrieval(self) -> Path:
        """Folder of the retrieval models learnt on this zoo.

        Raises:
            ZooError: it is a link that leads out of the zoo.
        """
        return self.blobs.place("retrieval")

    # Reading

    def state(self, *tables: str) -> str:
        """SHA-256 that tells what some of its tables hold from what they held before a change.

        Args:
            tables: their names, such as ``entries``.
        """
        files = [file for name in tables for file in self._tables.files(name)]
        return hashlib.sha256("\n".join(files).encode()).hexdigest()

    def tasks(self) -> list[ZooTask]:
        """Source tasks, in order of name."""
        if self._known is not None:
            return list(self._known)
        return rows.to_tasks(self._tables.whole("tasks"), self._where("tasks"))

    def task(self, name: str) -> ZooTask:
        """The source task of that name.

        Raises:
            ZooError: there is none.
        """
        tasks = {task.name: task for task in self.tasks()}
        if name not in tasks:
            raise ZooError(f"no task {name!r} in {self.place}; {_nearest(name, tasks)}")
        return tasks[name]

    def entries(self, vectors: bool = True, task: str | None = None) -> list[ZooEntry]:
        """Entries in order of id.

        Args:
            task: whose entries; those of all tasks when None.
            vectors: without them, the three vectors of each entry are None; ``matrix`` reads
                those of all entries in much less time and memory.
        """
        names = [n for n in rows.schemas()["entries"].names if vectors or n not in VECTORS]
        where = None if task is None else _equals("task", task)
        return self._made(self._tables.read("entries", names, where))

    def columns(self) -> Columns:
        """All entries by column, in the order of ``entries``, of which none is made of them.

        They are read once, and again when the table has changed.

        Raises:
            ZooError: the table is missing or damaged.
        """
        files = self._tables.files("entries")
        if self._columns is None or self._columns[0] != files:
            self._columns = files, read_columns(self._tables, self._made)
        return self._columns[1]

    def entry(self, id: str) -> ZooEntry:
        """The entry of that id; ``ID@SIZE`` is entry ID for images of so many pixels a side.

        Raises:
            ZooError: there is none, and the message names the nearest; or it cannot have that size.
        """
        if found := self._stored(id):
            return found
        own, at, _ = id.rpartition("@")
        if at and (found := self._stored(own)):
            return at_size(found, size_of(id, found))
        ids = self._tables.read("entries", ["id"])["id"].to_pylist()
        raise ZooError(f"no entry {id!r} in {self.place}; {_nearest(id, ids)}")

    def matrix(self, column: str) -> np.ndarray:
        """One vector of all entries, float32 (n, d), contiguous, in the order of ``entries``.

        A row is NaN where a network has no such vector.

        Args:
            column: ``topology``, ``functional`` or ``similarities``.
        """
        if column not in VECTORS:
            raise InputError(f"no vector {column!r}; expected one of {', '.join(VECTORS)}")
        stored = self._tables.read("entries", ["id", column])[column]
        try:
            return rows.to_matrix(stored)
        except ZooError as error:
            raise damaged(self._where("entries"), f"column {column}: {error}") from error

    def transfers(self, newest: bool = False) -> list[Transfer]:
        """Measured transfers, in order of source and target.

        Args:
            newest: only those by the newest recipe that any was measured by.
        """
        found = rows.to_transfers(self._tables.read("transfers"), self._where("transfers"))
        last = max((transfer.recipe for transfer in found), default=0)
        return [each for each in found if each.recipe == last] if newest else found

    def thumbnails(self, task: str) -> Tensor:
        """64 images of a source task, uint8 (64, 3, 64, 64).

        Raises:
            ZooError: there is no such task, or it has no images.
        """
        digest = self.task(task).sheet
        if digest is None:
            raise ZooError(f"task {task!r} has no thumbnails: it was added to {self.place} without")
        return self._content("sheets", digest, previews.sheet_from_bytes)

    def features(self, task: str) -> tuple[Tensor, Tensor]:
        """Query features, float32 (n, d), and labels, int64 (n,), of a source task.

        A task without images has none: n is 0.

        Raises:
            ZooError: there is no such task, or they are damaged, of another width than the base's
                or of other classes than the task's.
        """
        stored = self.task(task)
        width = 0 if self.base is None else describe(self.base_ref).width
        if stored.features is None:
            return torch.zeros(0, width), torch.zeros(0, dtype=torch.int64)
        found, labels = self._content("features", stored.features, previews.features_from_bytes)
        expected = width or found.shape[1]
        if found.shape[1] != expected or int(labels.max()) >= len(stored.classes):
            where = self.files.where("features", stored.features)
            raise damaged(
                where,
                f"features {tuple(found.shape)} and labels up to {int(labels.max())} of task "
                f"{task!r}; expected {expected} a row and labels of {len(stored.classes)} classes",
            )
        return found, labels

    def check_tasks(self, entries: Iterable[ZooEntry]) -> None:
        """Make sure that the tasks are there that entries speak for.

        Raises:
            ZooError: one is not.
        """
        known = {task.name for task in self.tasks()}
        for entry in entries:
            if entry.task not in known:
                reason = f"row {entry.id!r}, column origins: no task {entry.task!r} is stored"
                raise damaged(self._where("entries"), reason)

    # Networks

    def load(self, id: str, classes: int | None = None, seed: int = 0) -> Network:
        """The network of an entry, in evaluation mode, on the processor.

        Args:
            id: of an entry.
            classes: outputs of a new head; None keeps the source task's head.
            seed: of the new head.

        Raises:
            ZooError: there is no such entry, its files are damaged, or it is stored without a
                head and no number of classes is given.
        """
        entry = self.entry(id)
        network = self.load_entry(entry).cpu()  # its statistics may have been taken on a card
        if classes is not None:
            network.replace_head(classes, seed)
        elif not self.has_head(entry):
            raise ZooError(f"{id} is stored without a head; load it with a number of classes")
        return network

    def has_head(self, entry: ZooEntry) -> bool:
        """Whether the weights of an entry hold a classifier of its source task.

        Raises:
            ZooError: there are none, or they are damaged.
        """
        return has_head(self._states.get(entry.weights, entry.place))

    def load_entry(self, entry: ZooEntry) -> Network:
        """The network of an entry, as ``load_network`` gives it."""
        return self.load_network(entry.ref, entry.weights, entry.task, entry.place)

    def load_network(
        self, ref: NetworkRef, weights: str, task: str, place: str | None = None
    ) -> Network:
        """A network with stored weights, in evaluation mode.

        Weights that were stored without a head get one of a single output, which means nothing.
        Its batch-norm statistics are those of the task's thumbnails, unless the weights hold
        statistics of their own and the network is no slice of a larger one, or the task has no
        thumbnails. Those of the shared base hold for its own resolution alone.

        Args:
            weights: SHA-256 of stored weights.
            task: whose thumbnails to take.
            place: where weights lie that are not stored here.

        Raises:
            ZooError: there are no such weights or thumbnails, or they are damaged.
        """
        foreign = weights == self.base and ref.input.size != self.resolution
        state = self._states.get(weights, place)
        if has_statistics(state) and not foreign and self.task(task).sheet is None:
            return assemble(state, ref)
        return calibrated(
            state,
            ref,
            lambda: previews.resize(self.thumbnails(task), ref.input.size),
            anew=foreign,
        )

    def query_network(self) -> Network:
        """The shared base, whose features describe images, in evaluation mode.

        Raises:
            ZooError: this zoo has no base.
        """
        return assemble(self.base_state(), self.base_ref)

    def base_state(self, hash: str | None = None) -> Weights:
        """A copy of stored weights, as float32; those of the shared base when no hash is given.

        Raises:
            ZooError: there are none, or they are damaged.
        """
        digest = hash or self.base
        if digest is None:
            raise self._baseless()
        return {name: tensor.clone() for name, tensor in self._states.get(digest).items()}

    # Writing

    def check_writable(self) -> None:
        """Try to write into its folder before anyone waits, and leave it as it was.

        Raises:
            ZooError: it cannot be written, or lies at an address.
        """
        self._refuse_shared()
        try:
            try_folder(self.retrieval)
        except OSError as error:
            raise ZooError(
                f"the zoo in {self.place} cannot be written: {error}; make room or give rights, or "
                "make a copy with 'tans zoo copy' and give that with --zoo"
            ) from error

    def add_weights(self, state: Weights, base: str | None) -> str:
        """Store weights, whole or as their difference from those of hash ``base``; their hash.

        Raises:
            ZooError: a value is not finite, or the base is missing or does not match.
        """
        return self._states.add(state, base)

    def add_exact_weights(self, state: Weights) -> str:
        """Store weights to the last bit, as others trained them; their hash.

        Raises:
            ZooError: a value is not finite.
        """
        return self._states.add_exact(state)

    def set_base(self, hash: str, ref: NetworkRef) -> None:
        """Make stored weights the shared base.

        Raises:
            ZooError: there are no weights of that hash, or they lack running statistics.
        """
        if not has_statistics(self._states.get(hash)):
            raise ZooError(f"weights {hash} lack running statistics; expected weights stored whole")
        self._upgrade()
        self.manifest = ZooManifest(base=Base(ref, hash))
        self.seals.put(KEY, self.manifest.to_bytes())

    def copy_base(self, other: Zoo) -> None:
        """Share another zoo's base: its weights, and its task ``imagenet`` with all entries.

        Raises:
            ZooError: the other has no base or is damaged.
        """
        if other.base is None:
            raise ZooError(f"the zoo in {other.path} has no base; expected one to share")
        self.files.put("weights", other.files.get("weights", other.base))
        self.copy_task(other, IMAGENET)
        self.set_base(other.base, other.base_ref)

    def copy_task(self, other: Zoo, name: str) -> None:
        """Take over a task of another zoo of the same base, with its files and all its entries.

        Raises:
            ZooError: the other has no such task, or is damaged.
        """
        self.copy_rows(other, other.task(name), other.entries(task=name))

    def copy_rows(self, other: Zoo, task: ZooTask | None, entries: Sequence[ZooEntry]) -> None:
        """Take over a task of another zoo of the same base, and some entries, with their files.

        Args:
            task: None where it is here already.

        Raises:
            ZooError: the other lacks a file, or is damaged.
        """
        self._refuse_shared()
        for digest in {entry.weights for entry in entries if entry.place is None}:
            self.files.put("weights", other.files.get("weights", digest))
        if task is not None:
            for folder, digest in task.files.items():
                self.files.put(folder, other.files.get(folder, digest))
            self._tables.merge("tasks", rows.from_tasks([task]))
        self.add_entries(entries)

    def add_task(self, name: str, **parts: Any) -> ZooTask:
        """Add a source task with its files, or replace the one of that name.

        Args:
            parts: as ``store_task`` takes them.

        Raises:
            ZooError: as ``store_task``, or the table cannot be changed.
        """
        task = self.store_task(name, **parts)
        self.put_task(task)
        return task

    def put_task(self, task: ZooTask) -> None:
        """Add the row of a source task whose files are stored, or replace the one of that name."""
        self._refuse_shared()
        self._tables.merge("tasks", rows.from_tasks([task]))

    def store_task(
        self,
        name: str,
        *,
        classes: Sequence[str],
        card: Mapping[str, str],
        thumbnails: Tensor | None,
        features: tuple[Tensor, Tensor] | None,
        weights: str | None,
        train_images: int,
        cost_s: float,
    ) -> ZooTask:
        """Store the files of a source task, and make the row that ``put_task`` adds.

        Args:
            card: provenance, as ``ZooTask.card``.
            thumbnails: uint8 (64, 3, 64, 64).
            features: query features (n, d), kept in 8 bits, and labels (n,).
            weights: SHA-256 of stored weights; None where they are missing.
            cost_s: seconds that training took.

        Raises:
            ZooError: the weights are not stored, or a tensor is of another shape or not finite.
        """
        self._refuse_shared()
        pictures = None if thumbnails is None else previews.sheet_to_bytes(thumbnails)
        numbers = None if features is None else previews.features_to_bytes(*features)
        if weights is not None:
            self.files.require("weights", weights)
        return ZooTask(
            name=name,
            classes=tuple(classes),
            card=dict(card),
            sheet=None if pictures is None else self.files.put("sheets", pictures),
            features=None if numbers is None else self.files.put("features", numbers),
            weights=weights,
            train_images=train_images,
            cost_s=cost_s,
        )

    def add_entry(self, entry: ZooEntry) -> None:
        """Add an entry, or replace the one of that id; see ``add_entries``."""
        self.add_entries([entry])

    def add_entries(self, entries: Sequence[ZooEntry]) -> None:
        """Add entries in one commit; those of the same id are replaced.

        Raises:
            ZooError: their weights are not stored, or a vector is not finite or of another size.
        """
        for digest in {entry.weights for entry in entries if entry.place is None}:
            self.files.require("weights", digest)
        if entries:
            self._upgrade()
            self._tables.merge("entries", rows.from_entries(entries))

    def add_transfers(self, transfers: Sequence[Transfer]) -> None:
        """Add measured transfers in one commit; repeated measurements are replaced."""
        if transfers:
            self._upgrade()
            self._tables.merge("transfers", rows.from_transfers(transfers))

    def compact(self) -> None:
        """Leave few files: merge each table's fragments, drop old versions and unfinished files.

        What is unfinished stays where its writer may live. What has no seal gets one, as in zoos of
        older versions of tans.

        Raises:
            ZooError: a table is damaged; it is left as it is.
        """
        self._refuse_shared()
        self.seals.seal([KEY])
        self._tables.compact()
        self.blobs.sweep()

    def _baseless(self) -> ZooError:
        return ZooError(
            f"the zoo in {self.place} has no base, whose features describe images; build it with "
            "'tans zoo build', or where it was imported, import it again with --query-weights"
        )

    def _refuse_shared(self) -> None:
        if isinstance(self._distant, PulledBlobs):
            self._distant.refuse_change()

    def _stored(self, id: str) -> ZooEntry | None:
        """The row of that id, if there is one, or the network that was fetched."""
        if id in self.fetched:
            return self.fetched[id]
        found = self._made(self._tables.read("entries", where=_equals("id", id)))
        return found[0] if found else None

    def _made(self, stored: pa.Table) -> list[ZooEntry]:
        """Rows as entries, whose families know where their weights lie."""
        found = rows.to_entries(stored, self._where("entries"))
        self._lend(found)
        return found

    def _lend(self, entries: Sequence[ZooEntry]) -> None:
        """Say where weights lie of networks that cannot even be timed without theirs."""
        for family in {entry.ref.family for entry in entries}:
            with suppress(InputError):  # whoever builds such a network is told
                if isinstance(lender := get_family(family), Whole):
                    for entry in (each for each in entries if each.ref.family == family):
                        lender.lend(entry.ref, partial(self._states.get, entry.weights, None))

    def _where(self, table: str) -> str:
        return f"{self.place}/{table}.lance"

    def _content(self, kind: str, digest: str, read: Callable[[bytes], Content]) -> Content:
        data = self.files.get(kind, digest)
        try:
            return read(data)
        except ZooError as error:
            raise damaged(self.files.where(kind, digest), error) from error

    def _upgrade(self) -> None:
        """Give all that is stored the newest schema; first the manifest, which versions read."""
        self._refuse_shared()
        if self._tables.is_old():
            self.seals.put(KEY, self.manifest.to_bytes())
            self._tables.upgrade()
            for log in (self.costs, self.ledger):
                log.add([])


def _equals(column: str, value: str) -> str:
    """An SQL condition."""
    quoted = value.replace("'", "''")
    return f"{column} = '{quoted}'"


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"the nearest are {', '.join(near)}" if near else "'tans zoo list' shows what is there"
