"""A zoo on a real server of S3, on this machine, and in a Hub repository as fsspec shows one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from tans.errors import TansWarning, ZooError
from tans.zoo.sharing import pull_zoo, push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import Tiny, some_entries
from tests.zoo.stores import read, s3_server, write

ADDRESS = "s3://shelf/zoos/mine"
SECRET = "do-not-tell"


@pytest.fixture
def server() -> Iterator[Any]:
    with s3_server(SECRET) as running:
        yield running


@pytest.mark.long
@pytest.mark.usefixtures("stores")
def test_a_zoo_on_s3(tiny: Tiny, tmp_path: Path, server: Any) -> None:
    made = push_zoo(tiny.zoo, ADDRESS)
    assert made.sent == made.files
    zoo = Zoo.open(ADDRESS)
    assert zoo.entries() == tiny.zoo.entries()
    images = torch.rand(1, 3, 32, 32)
    own, there = (z.load(tiny.entries[0].id)(images) for z in (tiny.zoo, zoo))
    assert torch.equal(own, there)
    assert push_zoo(tiny.zoo, ADDRESS).sent == 0
    tiny.zoo.add_entries(some_entries(tiny.weights, 1, seed=5))
    assert 0 < push_zoo(tiny.zoo, ADDRESS).sent < 8
    assert pull_zoo(ADDRESS, tmp_path / "back").sent > made.files
    back = Zoo.open(tmp_path / "back")
    assert back.entries() == Zoo.open(ADDRESS).entries() == tiny.zoo.entries()
    assert verify_zoo(Zoo.open(ADDRESS)).ok
    key = f"{ADDRESS}/weights/{tiny.weights}.safetensors"
    write(key, read(key)[::-1])
    with pytest.raises(ZooError, match="weights/.* is damaged"):
        pull_zoo(ADDRESS, tmp_path / "again")
    with pytest.raises(ZooError, match="no zoo at s3://shelf/nothing"):
        Zoo.open("s3://shelf/nothing")
    with pytest.raises(ZooError, match="s3://no-such-bucket/zoo"):
        push_zoo(tiny.zoo, "s3://no-such-bucket/zoo")
    server.stop()
    with pytest.warns(TansWarning, match="cannot be reached"):
        offline = Zoo.open(ADDRESS)
    assert offline.entries() == tiny.zoo.entries()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not any(SECRET.encode() in path.read_bytes() for path in kept)


class Hub(MemoryFileSystem):
    """As ``huggingface_hub`` shows repositories: ``hf://datasets/<owner>/<name>/<path>``."""

    protocol = ("hf",)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(str(path).replace("hf://", "memory://", 1))


@pytest.mark.usefixtures("stores")
def test_a_folder_in_a_repository(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    # fsspec gives the name of that module to what it holds
    monkeypatch.setitem(vars(sys.modules["fsspec.registry"])["_registry"], "hf", Hub)
    repository = "hf://datasets/somebody/things"
    Hub().put(str(tiny.zoo.path), "/datasets/somebody/things/zoo", recursive=True)
    write(f"{repository}/zoo/.gitattributes", b"*.safetensors filter=lfs")
    zoo = Zoo.open(f"{repository}/zoo")
    assert zoo.entries() == tiny.zoo.entries()
    assert zoo.load_entry(tiny.entries[0])
    push_zoo(tiny.zoo, f"{repository}/pushed")
    assert Zoo.open(f"{repository}/pushed").entries() == tiny.zoo.entries()
