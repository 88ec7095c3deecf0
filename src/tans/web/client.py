"""Ask a service elsewhere. Needs nothing that tans itself does not.

client = Client("http://127.0.0.1:8000")
found = client.search(tans.embed(task, zoo), max_params=3e6)  # no image leaves this machine

dataset = client.add_dataset("images/")
job = client.wait(client.finetune(dataset.id, network=found.matches[0].id).id)
client.save_file(job.id, "model.safetensors", "tuned/model.safetensors")
"""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any, TypeVar, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import BaseModel, ValidationError

from tans.errors import InputError, ServiceError, visible
from tans.files import replacing
from tans.search import Query
from tans.web.schemas import (
    DatasetAnswer,
    EntryAnswer,
    FinetuneAsked,
    Health,
    JobAnswer,
    PredictAnswer,
    SearchAnswer,
    SearchAsked,
    ZooAnswer,
)

API = "/api/v1"
CHUNK = 2**20
MOST_BYTES = 2**26
"""Of an answer that is no file."""
UNREACHABLE = 503
ENDED = ("done", "failed", "cancelled")
Answer = TypeVar("Answer", bound=BaseModel)


class _Stay(HTTPRedirectHandler):
    """Follows nobody elsewhere: the token is for one service."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Client:
    """A service at an address.

    Every method raises ``ServiceError`` where the service cannot be reached or refuses, with what
    it says.
    """

    url: str
    """Such as ``https://tans.example.org``; what lies behind ``/api/v1`` is asked."""
    token: str | None = None
    """That the service asks for."""
    seconds: float = 660
    """Until an answer is given up."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"{self.url!r} is no address of a service; expected one such as "
                "http://127.0.0.1:8000"
            )
        if parts.username is not None or parts.password is not None:
            raise InputError("the address holds a password; give the token in TANS_TOKEN instead")

    def health(self) -> Health:
        """Whether it is there, and what it searches."""
        return self._asked(Health, "GET", "/health")

    def entries(self, offset: int = 0, limit: int = 100, **asked: Any) -> ZooAnswer:
        """A page of its zoo.

        Args:
            asked: ``task``, ``family``, ``max_params`` or ``max_flops``.
        """
        given = {name: value for name, value in asked.items() if value is not None}
        words = urlencode({"offset": offset, "limit": limit, **given})
        return self._asked(ZooAnswer, "GET", f"/zoo?{words}")

    def entry(self, id: str) -> EntryAnswer:
        """A network of its zoo."""
        return self._asked(EntryAnswer, "GET", f"/zoo/{quote(id)}")

    def save_weights(self, id: str, path: str | Path) -> None:
        """Write the weights of a network to a file, as safetensors."""
        self._save(f"/zoo/{quote(id)}/weights", Path(path))

    def add_dataset(self, images: str | Path, name: str | None = None) -> DatasetAnswer:
        """Send images, a zip or a folder; what the service understood of them.

        Raises:
            InputError: there is no such file or folder.
        """
        images = Path(images).expanduser()
        words = urlencode({"name": name or images.resolve().name})
        with _packed(images) as file:
            return self._asked(DatasetAnswer, "POST", f"/datasets?{words}", file)

    def delete_dataset(self, id: str) -> None:
        """Have a dataset deleted."""
        self._open("DELETE", f"/datasets/{quote(id)}").close()

    def search(self, data: Query | str, **asked: Any) -> SearchAnswer:
        """Networks for a query, which holds no image, or for a dataset that was sent.

        Args:
            data: a query, or the id of a dataset.
            asked: limits and more, as ``SearchAsked`` has them.
        """
        if isinstance(data, Query):
            what = {"query": json.loads(data.to_bytes())}
        else:
            what = {"dataset": data}
        return self._asked(SearchAnswer, "POST", "/search", _body(SearchAsked, what, asked))

    def finetune(self, dataset: str, **asked: Any) -> JobAnswer:
        """Have a network fine-tuned on a dataset that was sent.

        Args:
            asked: ``network`` or limits, and more, as ``FinetuneAsked`` has them.
        """
        body = _body(FinetuneAsked, {"dataset": dataset}, asked)
        return self._asked(JobAnswer, "POST", "/jobs", body)

    def job(self, id: str) -> JobAnswer:
        """How far a fine-tune is."""
        return self._asked(JobAnswer, "GET", f"/jobs/{quote(id)}")

    def end_job(self, id: str) -> JobAnswer:
        """Cancel a fine-tune; delete one that has ended, with all it left."""
        return self._asked(JobAnswer, "DELETE", f"/jobs/{quote(id)}")

    def wait(
        self, id: str, on_change: Callable[[JobAnswer], None] | None = None, every_s: float = 1.0
    ) -> JobAnswer:
        """Ask how far a fine-tune is until it has ended.

        Args:
            on_change: told each time that it went on.
        """
        before: JobAnswer | None = None
        while True:
            job = self.job(id)
            if on_change is not None and job != before:
                on_change(job)
            if job.state in ENDED:
                return job
            before = job
            time.sleep(every_s)

    def file(self, job: str, name: str) -> bytes:
        """A file that a fine-tune left."""
        with self._open("GET", f"/jobs/{quote(job)}/files/{quote(name)}") as answer:
            return answer.read()

    def save_file(self, job: str, name: str, path: str | Path) -> None:
        """Write a file that a fine-tune left to a file here."""
        self._save(f"/jobs/{quote(job)}/files/{quote(name)}", Path(path))

    def predict(self, job: str, image: str | Path, top: int = 3) -> PredictAnswer:
        """What a fine-tuned network says of an image."""
        with _opened(Path(image)) as file:
            return self._asked(
                PredictAnswer, "POST", f"/jobs/{quote(job)}/predict?{urlencode({'top': top})}", file
            )

    def _asked(
        self, kind: type[Answer], method: str, path: str, body: bytes | IO[bytes] | None = None
    ) -> Answer:
        with self._open(method, path, body) as answer:
            try:
                return kind.model_validate_json(answer.read(MOST_BYTES))
            except (ValidationError, HTTPException, OSError) as error:
                raise ServiceError(
                    f"{self.url} answers what no service of this version of tans does; give its "
                    "address without a path, or install the version that it has",
                    UNREACHABLE,
                ) from error

    def _save(self, path: str, place: Path) -> None:
        with (
            self._open("GET", path) as answer,
            replacing(place.expanduser()) as fresh,
            fresh.open("wb") as file,
        ):
            while chunk := answer.read(CHUNK):
                file.write(chunk)

    def _open(self, method: str, path: str, body: bytes | IO[bytes] | None = None) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            sends_json = isinstance(body, bytes)
            headers["Content-Type"] = "application/json" if sends_json else "application/zip"
            if not isinstance(body, bytes):
                headers["Content-Length"] = str(Path(body.name).stat().st_size)
        asked = Request(f"{self.url.rstrip('/')}{API}{path}", body, headers, method=method)
        try:
            return cast(HTTPResponse, build_opener(_Stay).open(asked, timeout=self.seconds))
        except HTTPError as error:
            raise self._refusal(error) from error
        except (URLError, HTTPException, OSError) as error:
            why = getattr(error, "reason", error)
            raise ServiceError(
                f"no service answers at {self.url} ({why}); start one with 'tans serve', or give "
                "another address",
                UNREACHABLE,
            ) from error

    def _refusal(self, error: HTTPError) -> ServiceError:
        """What a service says of why not."""
        try:
            detail = str(json.loads(error.read(2**16))["detail"])
        except (ValueError, LookupError, TypeError, HTTPException, OSError):
            detail = f"status {error.code}"
        if error.code == 401:
            detail += " (tans reads the token from TANS_TOKEN)"
        return ServiceError(f"{self.url} says: {visible(detail)}", error.code)


def _body(kind: type[BaseModel], what: dict[str, Any], asked: dict[str, Any]) -> bytes:
    """A request as JSON.

    Raises:
        InputError: it asks for what cannot be.
    """
    try:
        return kind(**what, **asked).model_dump_json(exclude_none=True).encode()
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _packed(images: Path) -> AbstractContextManager[IO[bytes]]:
    """A zip, open to be read: that at a path, or of the folder there."""
    if not images.is_dir():
        return _opened(images)
    file = tempfile.NamedTemporaryFile(prefix="tans-", suffix=".zip")  # noqa: SIM115
    with zipfile.ZipFile(file, "w") as packed:  # images are packed already
        for path in sorted(images.rglob("*")):
            if path.is_file():
                packed.write(path, path.relative_to(images))
    file.seek(0)
    return cast(AbstractContextManager[IO[bytes]], file)


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    try:
        return path.expanduser().open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}; give a folder or a zip") from error
