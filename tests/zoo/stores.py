"""Stores: in memory, some of which fail when they are told to, and a real server of S3."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock
from urllib.request import Request, urlopen

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem


class Faulty(MemoryFileSystem):
    """A store whose n-th call fails, in the middle of what it writes; ``faulty://``."""

    protocol = ("faulty",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False
    calls: ClassVar[int] = 0
    fails_at: ClassVar[int | None] = None
    error: ClassVar[Exception] = RuntimeError("the store said 503 Slow Down")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(str(path).replace("faulty://", "memory://", 1))

    @classmethod
    def call(cls) -> None:
        cls.calls += 1
        if cls.fails_at is not None and cls.calls >= cls.fails_at:
            raise cls.error

    def _open(self, path: str, *args: Any, **kwargs: Any) -> Any:
        self.call()
        return super()._open(path, *args, **kwargs)

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        self.call()
        return super().find(path, *args, **kwargs)

    def pipe_file(self, path: str, value: bytes, *_: Any, **__: Any) -> None:
        path = self._strip_protocol(path)
        try:
            self.call()
        except Exception:
            # what is not the commit may be half there, as on stores of files
            if not path.endswith("index.json"):
                self._keep(path, value[: len(value) // 2])
            raise
        self._keep(path, value)

    def _keep(self, path: str, value: bytes) -> None:
        with super()._open(path, "wb") as file:
            file.write(value)


@contextmanager
def emptied(files: type[MemoryFileSystem]) -> Iterator[None]:
    """A store in memory that is empty before and after."""
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    try:
        yield
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]


def keys(address: str) -> list[str]:
    """Files below an address, in order."""
    files, root = fsspec.core.url_to_fs(address)
    return sorted(name[len(root) :].lstrip("/") for name in files.find(root))


def read(address: str) -> bytes:
    with fsspec.open(address, "rb") as file:
        return file.read()


def write(address: str, data: bytes) -> None:
    files, path = fsspec.core.url_to_fs(address)
    files.pipe_file(path, data)


@contextmanager
def s3_server(secret: str = "secret") -> Iterator[Any]:
    """On this machine, with the bucket ``shelf``; address and credentials are in the environment,
    which processes that are begun meanwhile inherit."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    with mock.patch.dict(os.environ, given):
        running.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        urlopen(Request(f"{given['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
        fsspec.filesystem("s3").clear_instance_cache()
        fsspec.filesystem("s3").mkdir("shelf")
        yield running
        running.stop()
