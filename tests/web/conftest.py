"""A service over the small zoo whose work is done in this process, and zips for it."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from tans.errors import ServiceError, TansError
from tans.web import apart, datasets, jobs, service
from tans.web.apart import Bounds, CancelledError, Tell
from tans.web.app import create_app
from tans.web.schemas import JobAnswer
from tans.web.settings import Limits, Settings
from tans.zoo.zoo import Zoo

HERE = "http://localhost"
API = "/api/v1"
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
LIMITS = Limits(files=100, upload_bytes=2**20, unpacked_bytes=2**21, body_bytes=2**14, epochs=5)

Make = Callable[..., TestClient]


def picture(colour: tuple[int, int, int], step: int = 0) -> bytes:
    """A little PNG."""
    held = io.BytesIO()
    shade = tuple(min(255, channel + step) for channel in colour)
    Image.new("RGB", (20 + step, 20), shade).save(held, "PNG")
    return held.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of files by name."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return held.getvalue()


def colours(count: int = 12) -> bytes:
    """A zip of three classes of so many images each."""
    return zipped(
        {
            f"colours/{name}/{step}.png": picture(colour, step)
            for name, colour in COLOURS.items()
            for step in range(count)
        }
    )


def run_here(
    work: Callable[..., Any], *arguments: Any, bounds: Bounds, on_told: Tell | None = None
) -> Any:
    """As ``run_apart``, in this process."""

    def tell(told: dict[str, Any]) -> None:
        if bounds.cancelled is not None and bounds.cancelled.is_set():
            raise CancelledError
        if on_told is not None:
            on_told(json.loads(json.dumps(told)))

    try:
        return json.loads(json.dumps(work(*arguments, tell=tell)))
    except ServiceError:
        raise
    except TansError as error:
        raise ServiceError(str(error), apart._status(error)) from error


def work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no processes for work."""
    for module in (datasets, jobs, service):
        monkeypatch.setattr(module, "run_apart", run_here)
    monkeypatch.setattr(apart, "prepare", lambda: None)


@pytest.fixture
def make(small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Start a service with limits; what is asked of it comes from this machine."""
    work_here(monkeypatch)
    started: list[TestClient] = []

    def start(
        token: str | None = None, folder: Path | None = None, zoo: Zoo = small_zoo, **limits: Any
    ) -> TestClient:
        settings = Settings(
            folder or tmp_path / "service", token=token, limits=replace(LIMITS, **limits)
        )
        client = TestClient(create_app(zoo, settings), base_url=HERE, raise_server_exceptions=False)
        client.__enter__()
        started.append(client)
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make: Make) -> TestClient:
    return make()


@pytest.fixture
def dataset(client: TestClient) -> str:
    """Id of three classes of colours."""
    return uploaded(client)


def uploaded(client: TestClient, data: bytes | None = None) -> str:
    """Id of a dataset that is taken."""
    answer = client.post(f"{API}/datasets?name=colours.zip", content=data or colours())
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def ended(client: TestClient, id: str) -> JobAnswer:
    """A job once it has ended."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        job = JobAnswer(**client.get(f"{API}/jobs/{id}").json())
        if job.state not in ("queued", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"job {id} goes on")


@pytest.fixture
def address(small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a service that listens."""
    work_here(monkeypatch)
    app = create_app(small_zoo, Settings(tmp_path / "service", limits=LIMITS))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    (listening,) = server.servers
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
