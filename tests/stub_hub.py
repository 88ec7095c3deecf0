"""A hub of networks on this machine: as much of its protocol as fetching files takes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.file_download
import pytest
from safetensors.torch import save_file
from torch import nn

COMMIT = "a" * 40


@dataclass(frozen=True)
class StubHub:
    """What it holds, what is wrong with it, and what it was asked for."""

    held: Path
    """Files below a folder for each owner and name."""
    ails: dict[str, str] = field(default_factory=dict)
    """By repository: ``broken`` sends other bytes than it tells, ``half`` hangs up in the middle,
    ``busy`` answers 503."""
    asked: list[str] = field(default_factory=list)
    """Repositories whose weights were sent."""

    @property
    def cache(self) -> Path:
        """Where what is fetched from it is kept."""
        return self.held.with_name("cache")

    def put(self, repository: str, network: nn.Module) -> Path:
        """Hold the weights of a network."""
        path = self.held / repository / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_file(network.state_dict(), path)
        return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    """It is empty, and what is fetched from it goes to caches of its own."""
    stub = StubHub(tmp_path / "held")

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            content = self.answer()
            owner, name, *_ = self.path.strip("/").split("/")
            stub.asked.append(f"{owner}/{name}")
            ails = stub.ails.get(f"{owner}/{name}", "")
            if ails == "broken":
                content = bytes(len(content))
            self.wfile.write(content[: len(content) // 2] if ails == "half" else content)

        def answer(self) -> bytes:
            owner, name, _, _, *rest = self.path.strip("/").split("/")
            path = stub.held / owner / name / "/".join(rest)
            content = path.read_bytes() if path.is_file() else b""
            busy = stub.ails.get(f"{owner}/{name}") == "busy"
            self.send_response(503 if busy else 200 if path.is_file() else 404)
            if not path.is_file():
                known = (stub.held / owner / name).is_dir()
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return content

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("TANS_CACHE", str(tmp_path / "tans"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(stub.cache))
        monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda _: None)
        yield stub
        server.shutdown()
