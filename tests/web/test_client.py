"""The client, and the commands that use it, against a service that listens."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

import tans
from tans.errors import InputError, ServiceError
from tans.tasks.task import Task
from tans.web import work
from tans.web.client import Client
from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails, run  # noqa: F401
from tests.web.conftest import COLOURS, colours, picture


@pytest.fixture
def images(tmp_path: Path) -> Path:
    zipfile.ZipFile(io.BytesIO(colours())).extractall(tmp_path)
    return tmp_path / "colours"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "EXPORTS", ())


def red(zoo: Zoo) -> str:
    return next(entry.id for entry in zoo.entries() if entry.task == "red")


def test_the_zoo_of_a_service_is_read(address: str, small_zoo: Zoo, tmp_path: Path) -> None:
    client = Client(f"{address}/")
    assert client.health().networks == len(small_zoo.entries())
    (entry, *_) = client.entries(limit=1, task="red").entries
    assert client.entry(entry.id) == entry
    client.save_weights(entry.id, tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").stat().st_size > 1000


def test_a_query_finds_there_what_it_finds_here(address: str, small_zoo: Zoo, images: Path) -> None:
    query = tans.embed(Task.from_path(images), small_zoo)
    found = Client(address).search(query, max_params=1e7, top=3).result()
    assert found.matches == tans.search(query, small_zoo, max_params=1e7, top=3).matches


@pytest.mark.usefixtures("quick")
@pytest.mark.long
def test_a_folder_is_sent_and_a_network_brought_back(
    address: str, small_zoo: Zoo, images: Path, tmp_path: Path
) -> None:
    client = Client(address)
    dataset = client.add_dataset(images)
    assert (dataset.name, dataset.images) == ("colours", 36)
    job = client.finetune(dataset.id, network=red(small_zoo), epochs=1)
    told: list[str] = []
    job = client.wait(job.id, lambda job: told.append(job.state), every_s=0.02)
    assert job.state == told[-1] == "done"
    client.save_file(job.id, "model.safetensors", tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").read_bytes() == client.file(job.id, "model.safetensors")
    (tmp_path / "one.png").write_bytes(picture(COLOURS["red"]))
    assert len(client.predict(job.id, tmp_path / "one.png", top=2).ranked) == 2
    client.end_job(job.id)
    client.delete_dataset(dataset.id)
    with pytest.raises(ServiceError, match=r"says: no dataset of that id") as gone:
        client.search(dataset.id)
    assert gone.value.status == 404


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no service answers at .*tans serve"):
        Client("http://127.0.0.1:9").health()
    for url in ("127.0.0.1:8000", "ftp://example.org", "http://"):
        with pytest.raises(InputError, match="is no address of a service"):
            Client(url)
    with pytest.raises(InputError, match="holds a password"):
        Client("http://me:secret@example.org")
    with pytest.raises(InputError, match="cannot read"):
        Client("http://127.0.0.1:9").add_dataset(tmp_path / "none")


def test_what_cannot_be_asked_is_not_sent() -> None:
    with pytest.raises(InputError, match="max_params: .*greater than 0"):
        Client("http://127.0.0.1:9").search("id", max_params=-1)


def test_the_command_line_searches_there_and_sends_no_image(
    run: Run,  # noqa: F811
    address: str,
    small_zoo: Zoo,
    images: Path,
) -> None:
    here = ("search", images, "--zoo", small_zoo.path, "--look", 0, "--json")
    there = run(*here, "--server", address)
    assert there.code == 0, there.err
    assert there.json["data"] is None
    assert there.json["matches"] == run(*here).json["matches"]
    assert_fails(run(*here, "--server", "nowhere"), "no address of a service")
    assert_fails(run(*here, "--server", address, "--catalogue"), "expected one of them")


@pytest.mark.usefixtures("quick")
@pytest.mark.long
def test_the_command_line_fine_tunes_there_and_leaves_nothing(
    run: Run,  # noqa: F811
    address: str,
    small_zoo: Zoo,
    images: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "tuned"
    asked = ("finetune", images, "-o", out, "--network", red(small_zoo), "--epochs", 1)
    answer = run(*asked, "--server", address)
    assert answer.code == 0, answer.err
    assert "test accuracy" in answer.out
    assert tans.load_finetuned(out).classes == tuple(sorted(COLOURS))
    for folder in ("uploads", "jobs"):
        assert not list((tmp_path / "service" / folder).iterdir())


def test_what_a_service_is_not_asked_for_is_refused(
    run: Run,  # noqa: F811
    images: Path,
    tmp_path: Path,
) -> None:
    asked = ("finetune", images, "-o", tmp_path / "out", "--server", "http://127.0.0.1:9")
    for more in (("--combine", "distil"), ("--beside", "imagenet"), ("--plain-head",)):
        assert_fails(run(*asked, *more), "a service takes --network")
    assert_fails(run(*asked), "no service answers")
    assert not (tmp_path / "out").exists()
