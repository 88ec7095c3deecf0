"""What a service does, without HTTP: a page calls it as routes do."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from tans import __version__
from tans.errors import InputError, ServiceError, ZooError
from tans.licences import UNSTATED, LicenceChain
from tans.meta.retriever import Retriever
from tans.networks.network import without_head
from tans.search import Query, search
from tans.search.query import digest_of
from tans.tasks.findings import Overrides
from tans.types import ZooEntry
from tans.web import apart
from tans.web.apart import Bounds, run_apart
from tans.web.datasets import BUSY, NOT_FOUND, Datasets, Held
from tans.web.jobs import Jobs
from tans.web.schemas import (
    EntryAnswer,
    FinetuneAsked,
    Health,
    JobAnswer,
    PredictAnswer,
    SearchAnswer,
    SearchAsked,
    SourceTask,
    ZooAnswer,
)
from tans.web.settings import Settings
from tans.web.work import classify, look, to_webp
from tans.zoo.ids import asked_size
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo

LATE, FORBIDDEN, UNUSABLE = 503, 403, 422


class Gate:
    """Lets so many in at once; so many others wait, and more are sent away."""

    def __init__(self, most: int, waiting: int, seconds: float) -> None:
        self._free = threading.Semaphore(most)
        self._most, self._seconds = most + waiting, seconds
        self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait until there is room.

        Raises:
            ServiceError: too many wait already, or it took too long.
        """
        with self._lock:
            if self._inside >= self._most:
                raise ServiceError("too many others wait for the service; try again later", BUSY)
            self._inside += 1
        try:
            if not self._free.acquire(timeout=self._seconds):
                raise ServiceError("others keep the service busy; try again later", LATE)
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._inside -= 1


class Service:
    """Datasets, searches and fine-tunes over one zoo.

    Args:
        zoo: what is searched.
        settings: whose folder no other service may use.
    """

    def __init__(self, zoo: Zoo, settings: Settings) -> None:
        limits = settings.limits
        self.zoo, self.settings = zoo, settings
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.folder.chmod(0o700)
        self.datasets = Datasets(settings.folder / "uploads", zoo, limits)
        self.jobs = Jobs(settings.folder / "jobs", zoo, limits, self.told)
        self.searches = Gate(limits.searches, limits.waiting, limits.request_s)
        self.works = Gate(limits.works, limits.waiting, limits.request_s)
        self.stopping = self.datasets.stopping
        self.datasets.in_use = self.jobs.needs
        self._columns = zoo.columns()
        self._licensing = Licensing.of(zoo, self._columns)
        self._retriever = Retriever.load(zoo.retrieval)

    def start(self) -> None:
        """Begin to work on jobs."""
        apart.prepare()
        self.jobs.start()

    def close(self) -> None:
        """End what runs, and delete all images."""
        self.stopping.set()
        self.jobs.close()
        self.datasets.close()

    def sweep(self) -> None:
        """Delete what has expired."""
        self.datasets.sweep()
        self.jobs.sweep()

    # The zoo

    def health(self) -> Health:
        """That it is there, and what it searches."""
        return Health(
            version=__version__,
            networks=len(self._columns),
            retriever=digest_of(self.zoo, self._retriever),
        )

    def tasks(self) -> list[SourceTask]:
        """What networks of the zoo were trained on."""
        return [
            SourceTask(
                name=task.name,
                classes=task.classes,
                family=task.card["family"],
                licence=task.card["licence"],
                train_images=task.train_images,
                has_images=task.sheet is not None,
            )
            for task in self.zoo.tasks()
        ]

    def task_image(self, name: str, index: int) -> bytes:
        """One of the 64 pictures of a source task, as WebP.

        Raises:
            ServiceError: there is no such task, or it has no such picture.
        """
        with _found():
            pictures = self.zoo.thumbnails(name)  # (64, 3, 64, 64)
        if not 0 <= index < len(pictures):
            raise ServiceError(
                f"picture {index} was asked for; there are {len(pictures)}, counted from 0",
                NOT_FOUND,
            )
        return to_webp(pictures[index])

    def entries(self, asked: Mapping[str, Any], offset: int, limit: int) -> ZooAnswer:
        """A page of the zoo's networks.

        Args:
            asked: values that columns of that name have; ``max_params`` and ``max_flops`` are at
                most, without a head; ``None`` asks nothing.
        """
        kept = np.ones(len(self._columns), dtype=bool)
        for name in ("task", "family"):
            if asked.get(name) is not None:
                kept &= self._columns.equals(name, asked[name])
        for name, column in (("max_params", "body_params"), ("max_flops", "body_flops")):
            if asked.get(name) is not None:
                kept &= self._columns.numbers(column) <= asked[name]
        rows = np.flatnonzero(kept)
        found = self._columns.entries(rows[offset : offset + limit])
        return ZooAnswer(total=len(rows), offset=offset, entries=tuple(map(self._answer, found)))

    def entry(self, id: str) -> EntryAnswer:
        """A network of the zoo.

        Raises:
            ServiceError: there is none of that id.
        """
        return self._answer(self._entry(id))

    def weights(self, id: str) -> tuple[bytes, LicenceChain]:
        """Weights of a network of the zoo as safetensors, and their licences.

        Its classifier is among them where the zoo has one.

        Raises:
            ServiceError: there is none of that id, it has no weights here, or nobody said that
                they may be passed on.
        """
        entry = self._entry(id)
        chain = self._licensing.chain(entry)
        if not entry.has_weights:
            raise ServiceError(
                f"{id} is known here without its weights; expected a network with 'has_weights'",
                NOT_FOUND,
            )
        if UNSTATED in (chain.network, chain.base):
            raise ServiceError(
                f"the licence of {id} is not stated, so its weights are not passed on; ask whoever "
                "made it",
                FORBIDDEN,
            )
        self._check_size(entry)
        with self.works.passed():
            network = self.zoo.load_entry(entry)
            tensors = network.weights()
            if not self.zoo.has_head(entry):
                tensors = without_head(tensors)
            said = {"entry": entry.id, "network": str(entry.ref), "licence": str(chain)}
            return save({name: t.contiguous() for name, t in tensors.items()}, said), chain

    # Datasets, searches, fine-tunes

    def search(self, asked: SearchAsked) -> SearchAnswer:
        """Networks for a dataset or a query, best first.

        Raises:
            ServiceError: no such dataset is held, or neither or both were given.
            InputError: the query is damaged or of another retriever, or nothing fits the limits.
        """
        if (asked.dataset is None) == (asked.query is None):
            raise ServiceError(
                "expected a dataset or a query to search for, and not both", UNUSABLE
            )
        if asked.query is not None:
            return self._by_embedding(_query(asked.query), asked)
        held = self.datasets.get(asked.dataset or "")
        if not asked.look:
            return self._by_embedding(held.query, asked)
        limits = self.settings.limits
        with self.works.passed():
            bounds = Bounds(limits.search_s, limits.memory_bytes, self.stopping)
            given = asked.model_dump(mode="json")
            return SearchAnswer(**run_apart(look, held.upload, self.zoo, given, bounds=bounds))

    def add_dataset(self, archive: Path, name: str, overrides: Overrides | None = None) -> Held:
        """Unpack a zip of images, and tell what it is.

        Raises:
            ServiceError: it cannot be used.
        """
        with self.works.passed():
            return self.datasets.add(archive, name, overrides)

    def delete_dataset(self, id: str) -> None:
        """Forget a dataset; fine-tunes of it that have not ended are cancelled.

        Raises:
            ServiceError: none of that id is held.
        """
        self.jobs.end_of(id)
        self.datasets.delete(id)

    def start_finetune(self, asked: FinetuneAsked) -> JobAnswer:
        """Queue a fine-tune.

        Raises:
            ServiceError: no such dataset is held, there is no such network, too much is asked of
                it, or too many wait.
        """
        held = self.datasets.get(asked.dataset)
        most = self.settings.limits.epochs
        if asked.epochs is not None and asked.epochs > most:
            raise ServiceError(
                f"{asked.epochs} epochs were asked for; expected {most} at most", UNUSABLE
            )
        if asked.network is not None and asked.network not in {t.name for t in self.zoo.tasks()}:
            self._check_size(self._entry(asked.network))
        return self.jobs.add(held, asked)

    def predict(self, job: str, image: Path, top: int) -> PredictAnswer:
        """What the network that a job made says of an image, which is deleted.

        Raises:
            ServiceError: there is no such network, or the image cannot be read.
        """
        folder, limits = self.jobs.result(job), self.settings.limits
        with self.works.passed():
            bounds = Bounds(limits.request_s, limits.memory_bytes, self.stopping)
            return PredictAnswer(
                **run_apart(classify, folder, image, top, limits.pixels, bounds=bounds)
            )

    def told(self, text: str) -> str:
        """An error as anyone may read it: without paths of this machine."""
        for place, name in self._places():
            text = text.replace(place, name)
        return text

    def _places(self) -> list[tuple[str, str]]:
        """Folders that errors may name, the deepest first, and what is said of them."""
        zoo, own = (str(path.absolute()) for path in (self.zoo.path, self.settings.folder))
        named = {
            **{str(held.upload.folder): held.upload.name for held in self.datasets.all()},
            **{zoo: "the zoo", self.zoo.place: "the zoo", own: "the service"},
            **dict.fromkeys((tempfile.gettempdir(), sys.prefix), "the service"),
            **{str(place): "the service" for place in (Path.home(), Path.cwd())},
        }
        deep = (place for place in named if len(Path(place).parts) > 1)
        return [(place, named[place]) for place in sorted(deep, key=len, reverse=True)]

    def _by_embedding(self, query: Query, asked: SearchAsked) -> SearchAnswer:
        with self.searches.passed():
            found = search(
                query,
                self.zoo,
                **vars(asked.constraints()),
                commercial=asked.commercial,
                top=asked.top,
            )
        return SearchAnswer.of(found)

    def _entry(self, id: str) -> ZooEntry:
        with _found():
            return self.zoo.entry(id)

    def _answer(self, entry: ZooEntry) -> EntryAnswer:
        return EntryAnswer.of(entry, self._licensing.chain(entry))

    def _check_size(self, entry: ZooEntry) -> None:
        most = self.settings.limits.input_size
        if asked_size(entry.id) is not None and entry.resolution > most:
            raise ServiceError(
                f"{entry.id} takes images of {entry.resolution} pixels a side; the service allows "
                f"{most}",
                UNUSABLE,
            )


@contextmanager
def _found() -> Iterator[None]:
    """Say of what a zoo lacks that it is not found."""
    try:
        yield
    except ZooError as error:
        raise ServiceError(str(error), NOT_FOUND) from error


def _query(given: dict[str, Any]) -> Query:
    """A query of a request.

    Raises:
        InputError: it is damaged.
    """
    try:
        data = json.dumps(given).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"the query is damaged ({error}); {Query.REMEDY}") from error
    return Query.parse(data, "the query")
