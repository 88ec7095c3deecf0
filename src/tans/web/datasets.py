"""Datasets of others, each in a private folder until it is deleted or was not used for long."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tans.errors import ServiceError, visible
from tans.search import Query
from tans.tasks.findings import Overrides
from tans.web.apart import Bounds, run_apart
from tans.web.schemas import DatasetAnswer
from tans.web.settings import Limits
from tans.web.uploads import unpack
from tans.web.work import Upload, understand
from tans.zoo.zoo import Zoo

BUSY, NOT_FOUND = 429, 404
MOST_LETTERS = 80
"""Of a dataset's name."""


@dataclass
class Held:
    """A dataset, and what was understood of it."""

    upload: Upload
    folder: Path
    """Deleted with it."""
    query: Query
    """What a search by an embedding needs of it."""
    answer: DatasetAnswer


class Datasets:
    """What is held; it starts by deleting what another service left.

    Args:
        folder: for what comes; made when missing, its owner's alone.
        zoo: whose retriever embeds images.
    """

    def __init__(
        self, folder: Path, zoo: Zoo, limits: Limits, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._zoo, self._limits, self._clock = folder, zoo, limits, clock
        self._held: dict[str, Held] = {}
        self._coming = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        """Ends what reads images for requests."""
        self.in_use: Callable[[str], bool] = lambda _: False
        """Whether a dataset of that id is held however long it was not asked for."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)

    def __len__(self) -> int:
        return len(self._held)

    def all(self) -> list[Held]:
        """Those that are held, for the service itself."""
        with self._lock:
            return list(self._held.values())

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Keep room for a dataset; yields a file for what comes, which is deleted at the end.

        Raises:
            ServiceError: as many are held as may be.
        """
        self.sweep()
        with self._lock:
            if len(self._held) + self._coming >= self._limits.datasets:
                raise ServiceError(
                    f"the service holds {self._limits.datasets} datasets, as many as it may; try "
                    "again later, or delete one of yours",
                    BUSY,
                )
            self._coming += 1
        try:
            with self.passing() as place:
                yield place
        finally:
            with self._lock:
                self._coming -= 1

    @contextmanager
    def passing(self) -> Iterator[Path]:
        """A file for what is deleted at the end."""
        place = self._folder / f"{new_id()}.arriving"
        try:
            yield place
        finally:
            place.unlink(missing_ok=True)

    def add(self, archive: Path, name: str, overrides: Overrides | None = None) -> Held:
        """Unpack a zip, and tell what it is.

        Raises:
            ServiceError: it cannot be used; nothing of it stays.
        """
        id = new_id()
        folder = self._folder / id
        folder.mkdir(mode=0o700)
        try:
            told = unpack(archive, folder / "images", self._limits)
            archive.unlink(missing_ok=True)  # it is of no more use, and may be large
            upload = Upload(folder / "images", name_of(name), self._read(overrides))
            return self._keep(id, upload, told)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add_folder(self, images: Path, name: str) -> Held:
        """Take a dataset that lies on the machine of the service, where it stays.

        Raises:
            ServiceError: it cannot be used.
        """
        id = new_id()
        (self._folder / id).mkdir(mode=0o700)
        return self._keep(id, Upload(images, name_of(name), self._read(None)), ())

    def get(self, id: str) -> Held:
        """A dataset, which counts as used.

        Raises:
            ServiceError: none of that id is held.
        """
        self.sweep()
        with self._lock:
            if id not in self._held:
                raise ServiceError("no dataset of that id is held; upload it again", NOT_FOUND)
            held = self._held[id]
            until = self._clock() + self._limits.keep_s
            held.answer = held.answer.model_copy(update={"expires": until})
            return held

    def sample(self, id: str, index: int) -> bytes:
        """A picture of a dataset, as WebP.

        Raises:
            ServiceError: there is none of that number.
        """
        held = self.get(id)
        if not 0 <= index < len(held.answer.samples):
            raise ServiceError(
                f"picture {index} was asked for; the dataset shows {len(held.answer.samples)}, "
                "counted from 0",
                NOT_FOUND,
            )
        return (held.folder / "samples" / f"{index}.webp").read_bytes()

    def delete(self, id: str) -> None:
        """Forget a dataset and all its images.

        Raises:
            ServiceError: none of that id is held.
        """
        with self._lock:
            held = self._held.pop(id, None)
        if held is None:
            raise ServiceError("no dataset of that id is held; it may have expired", NOT_FOUND)
        shutil.rmtree(held.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what was not used for long."""
        now = self._clock()
        with self._lock:
            old = [id for id, held in self._held.items() if held.answer.expires <= now]
        for id in (id for id in old if not self.in_use(id)):
            with suppress(ServiceError):  # another did it
                self.delete(id)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._held.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, overrides: Overrides | None) -> Overrides:
        said = overrides or Overrides()
        return Overrides(
            layout=said.layout,
            labels_as_is=said.labels_as_is,
            licence=said.licence,
            max_pixels=self._limits.pixels,
        )

    def _keep(self, id: str, upload: Upload, told: tuple[str, ...]) -> Held:
        folder = self._folder / id
        limits = self._limits
        bounds = Bounds(limits.request_s, limits.memory_bytes, self.stopping)
        try:
            found = run_apart(understand, upload, self._zoo, folder / "samples", bounds=bounds)
        except ServiceError as error:  # its sender knows it by its name
            told_of = str(error).replace(str(upload.folder), upload.name)
            raise ServiceError(told_of, error.status) from error
        query = Query.parse(found.pop("query").encode(), "the query")
        found["warnings"] = [*told, *found["warnings"]]
        until = self._clock() + self._limits.keep_s
        answer = DatasetAnswer(id=id, name=upload.name, expires=until, **found)
        held = Held(upload, folder, query, answer)
        with self._lock:
            self._held[id] = held
        return held


def new_id() -> str:
    """An id that nobody guesses; whoever knows it may use what it names."""
    return secrets.token_hex(16)


def name_of(text: str) -> str:
    """What a dataset is called, of what its sender calls it: no path, and not long."""
    name = re.sub(r"\.zip$", "", re.split(r"[/\\]", text)[-1], flags=re.IGNORECASE)
    return visible(name).strip(" .")[:MOST_LETTERS] or "dataset"
