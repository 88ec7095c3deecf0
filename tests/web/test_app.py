"""The service as those who ask it see it."""

from __future__ import annotations

import json
import re
import stat
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from safetensors.torch import load

import tans
from tans.tasks.task import Task
from tans.web import jobs as jobs_module
from tans.web import service as service_module
from tans.web import work
from tans.web.schemas import DatasetAnswer, SearchAnswer
from tans.web.service import Service
from tans.zoo.zoo import Zoo
from tests.web.conftest import (
    API,
    COLOURS,
    HERE,
    Make,
    colours,
    ended,
    picture,
    run_here,
    uploaded,
    zipped,
)
from tests.web.outcomes import outcome
from tests.web.test_uploads import HOSTILE, LONG

TOKEN = "a-secret-of-many-letters"


def assert_problem(answer: object, status: int, words: str) -> None:
    """A refusal in a sentence, without a path of this machine or a trace."""
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    said = answer.json()  # type: ignore[attr-defined]
    assert set(said) == {"error", "detail"}
    assert re.search(words, said["detail"])
    for hint in ("Traceback", str(Path.home()), "/tmp/", str(Path(tans.__file__).parent)):
        assert hint not in answer.text  # type: ignore[attr-defined]


# The zoo


def test_health_says_what_is_searched(client: TestClient, small_zoo: Zoo) -> None:
    said = client.get(f"{API}/health").json()
    assert said["status"] == "ok"
    assert said["networks"] == len(small_zoo.entries())
    assert re.fullmatch("[0-9a-f]{64}", said["retriever"])


def test_the_zoo_is_listed_page_by_page(client: TestClient, small_zoo: Zoo) -> None:
    total = len(small_zoo.entries())
    seen = []
    for offset in range(0, total, 3):
        page = client.get(f"{API}/zoo", params={"offset": offset, "limit": 3}).json()
        assert page["total"] == total
        seen += [entry["id"] for entry in page["entries"]]
    assert seen == [entry.id for entry in small_zoo.entries()]


def test_the_zoo_is_listed_by_task_and_by_size(client: TestClient) -> None:
    red = client.get(f"{API}/zoo?task=red").json()["entries"]
    assert {entry["task"] for entry in red} == {"red"}
    most = min(entry["body_params"] for entry in red)
    small = client.get(f"{API}/zoo", params={"task": "red", "max_params": most}).json()
    assert [entry["body_params"] for entry in small["entries"]] == [most] * small["total"]
    assert client.get(f"{API}/zoo?task=none").json() == {"total": 0, "offset": 0, "entries": []}


def test_an_entry_says_its_licences(client: TestClient, small_zoo: Zoo) -> None:
    id = small_zoo.entries()[0].id
    said = client.get(f"{API}/zoo/{id}").json()
    assert said["id"] == id
    assert said["licence"]
    assert_problem(client.get(f"{API}/zoo/{id[:-1]}"), 404, f"nearest are .*{id}")


def test_weights_are_those_of_the_network(client: TestClient, small_zoo: Zoo) -> None:
    entry = next(e for e in small_zoo.entries() if e.task == "red")
    answer = client.get(f"{API}/zoo/{entry.id}/weights")
    assert answer.headers["X-Licence"] == client.get(f"{API}/zoo/{entry.id}").json()["licence"]
    expected = small_zoo.load_entry(entry).weights()
    found = load(answer.content)
    assert all((tensor == expected[name]).all() for name, tensor in found.items())


def test_weights_of_no_stated_licence_are_kept(
    client: TestClient, small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = tans.licences.LicenceChain("unstated")
    monkeypatch.setattr(service_module.Licensing, "chain", lambda *_: chain)
    answer = client.get(f"{API}/zoo/{small_zoo.entries()[0].id}/weights")
    assert_problem(answer, 403, "licence of .* is not stated")


def test_pictures_of_a_source_task_are_shown(client: TestClient) -> None:
    names = [task["name"] for task in client.get(f"{API}/tasks").json() if task["has_images"]]
    answer = client.get(f"{API}/tasks/{names[0]}/images/63")
    assert answer.headers["Content-Type"] == "image/webp"
    assert_problem(client.get(f"{API}/tasks/{names[0]}/images/64"), 404, "there are 64")
    assert_problem(client.get(f"{API}/tasks/none/images/0"), 404, "no task 'none'")


# Datasets


def test_a_dataset_is_understood(client: TestClient) -> None:
    answer = client.post(f"{API}/datasets?name=/home/me/colours.zip", content=colours())
    assert answer.status_code == 201
    said = DatasetAnswer(**answer.json())
    assert (said.name, said.images) == ("colours", 36)
    assert {each.name for each in said.classes} == set(COLOURS)
    assert sum(each.train + each.val + each.test for each in said.classes) == 36
    assert said.warnings
    first = client.get(f"{API}/datasets/{said.id}/images/0")
    assert first.headers["Content-Type"] == "image/webp"
    assert client.get(f"{API}/datasets/{said.id}").json()["name"] == "colours"
    assert_problem(client.get(f"{API}/datasets/{said.id}/images/99"), 404, "picture 99")


def test_a_dataset_lies_where_its_owner_alone_reads_and_goes(
    client: TestClient, tmp_path: Path
) -> None:
    id = uploaded(client)
    uploads = tmp_path / "service" / "uploads"
    assert [path.name for path in uploads.iterdir()] == [id]  # the zip is gone
    for path in (uploads.parent, uploads, uploads / id):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert client.delete(f"{API}/datasets/{id}").status_code == 204
    assert not list(uploads.iterdir())
    assert_problem(client.get(f"{API}/datasets/{id}"), 404, "upload it again")
    assert_problem(client.delete(f"{API}/datasets/{id}"), 404, "expired")


def test_a_dataset_goes_when_it_was_not_used_for_long(make: Make, tmp_path: Path) -> None:
    client = make(keep_s=1e-6)
    id = uploaded(client)
    assert_problem(client.get(f"{API}/datasets/{id}"), 404, "upload it again")
    assert not list((tmp_path / "service" / "uploads").iterdir())


def test_uploads_of_a_service_that_died_are_deleted(make: Make, tmp_path: Path) -> None:
    left = tmp_path / "service" / "uploads" / "left"
    left.mkdir(parents=True)
    (left / "a.png").write_bytes(b"x")
    make()
    assert not left.exists()


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in LONG])
def test_a_hostile_zip_is_answered_and_nothing_of_it_stays(
    make: Make, name: str, tmp_path: Path
) -> None:
    client = make(files=50, unpacked_bytes=2**20)
    data, status, words = HOSTILE[name]
    words = "nothing came" if name == "nothing" else words
    assert_problem(client.post(f"{API}/datasets", content=data()), status, words)
    assert not list((tmp_path / "service" / "uploads").iterdir())
    assert client.get(f"{API}/health").status_code == 200


def test_a_zip_that_is_no_dataset_is_refused_without_a_path(
    client: TestClient, tmp_path: Path
) -> None:
    image = picture((1, 2, 3))
    for files in ({"notes.txt": b"x"}, {"a/1.png": image}, {"1.png": image}, {"a/x.png": b"none"}):
        answer = client.post(f"{API}/datasets?name=mine", content=zipped(files))
        assert_problem(answer, 422, "mine|image")
        assert str(tmp_path) not in answer.text
        assert "uploads" not in answer.text
    assert not list((tmp_path / "service" / "uploads").iterdir())


def test_a_picture_of_too_many_pixels_is_left_out(make: Make) -> None:
    client = make(pixels=1000)
    large = picture((9, 9, 9), 200)
    answer = client.post(
        f"{API}/datasets",
        content=zipped(
            {
                **{
                    f"{name}/{k}.png": picture(colour, k)
                    for name, colour in COLOURS.items()
                    for k in range(20)
                },
                "red/large.png": large,
            }
        ),
    )
    said = answer.json()
    assert said["images"] == 60
    assert any("large.png" in warning for warning in said["warnings"])


def test_an_upload_of_too_many_bytes_is_refused_however_it_is_sent(make: Make) -> None:
    client = make(upload_bytes=1000)
    data = bytes(2000)
    assert_problem(client.post(f"{API}/datasets", content=data), 413, "more than 1,000 bytes")
    parts = (data[k : k + 100] for k in range(0, 2000, 100))  # with no length said
    assert_problem(client.post(f"{API}/datasets", content=parts), 413, "more than 1,000 bytes")


def test_no_more_datasets_are_held_than_may_be(make: Make) -> None:
    client = make(datasets=1)
    id = uploaded(client)
    answer = client.post(f"{API}/datasets", content=colours())
    assert_problem(answer, 429, "holds 1 datasets")
    assert answer.headers["Retry-After"]
    client.delete(f"{API}/datasets/{id}")
    uploaded(client)


# Searches


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    import io
    import zipfile

    folder = tmp_path_factory.mktemp("task")
    zipfile.ZipFile(io.BytesIO(colours())).extractall(folder)
    return Task.from_path(folder)


def test_a_search_by_upload_finds_what_the_library_finds(
    make: Make, measured_zoo: Zoo, task: Task
) -> None:
    client = make(zoo=measured_zoo)
    for look in (0, 2):
        asked = {"dataset": uploaded(client), "look": look, "top": 4}
        found = SearchAnswer(**client.post(f"{API}/search", json=asked).json()).result()
        expected = tans.search(task, measured_zoo, look=look, top=4)
        assert found.matches == expected.matches
        assert found.looks == expected.looks


def test_a_search_by_a_query_finds_what_the_library_finds(
    client: TestClient, small_zoo: Zoo, task: Task
) -> None:
    query = tans.embed(task, small_zoo)
    asked = {"query": json.loads(query.to_bytes()), "max_params": 1e7, "top": 3}
    found = SearchAnswer(**client.post(f"{API}/search", json=asked).json()).result()
    assert found.matches == tans.search(query, small_zoo, max_params=1e7, top=3).matches


def test_a_query_that_cannot_be_is_refused(client: TestClient, small_zoo: Zoo, task: Task) -> None:
    query = json.loads(tans.embed(task, small_zoo).to_bytes())
    other = {"query": {**query, "retriever": "0" * 64}}
    assert_problem(client.post(f"{API}/search", json=other), 422, "embedded by retriever 00000000")
    assert_problem(client.post(f"{API}/search", json={"query": {}}), 422, "tans embed")
    assert_problem(client.post(f"{API}/search", json={}), 422, "dataset or a query")
    both = {"query": query, "dataset": "x"}
    assert_problem(client.post(f"{API}/search", json=both), 422, "not both")


def test_limits_that_nothing_fits_name_the_nearest(client: TestClient, dataset: str) -> None:
    asked = {"dataset": dataset, "look": 0, "max_params": 10}
    assert_problem(client.post(f"{API}/search", json=asked), 422, "nearest limit")
    asked = {"dataset": dataset, "max_params": -1}
    assert_problem(client.post(f"{API}/search", json=asked), 422, "max_params: .*greater than 0")


def test_a_search_that_takes_too_long_is_given_up(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(waiting=1, works=1, request_s=0.2)
    id = uploaded(client)
    going, let_go = threading.Event(), threading.Event()

    def slow(*given: object, **more: object) -> object:
        going.set()
        let_go.wait(30)
        return run_here(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(service_module, "run_apart", slow)
    first = threading.Thread(
        target=client.post, args=(f"{API}/search",), kwargs={"json": {"dataset": id}}
    )
    first.start()
    assert going.wait(30)
    assert_problem(client.post(f"{API}/search", json={"dataset": id}), 503, "busy")
    assert client.get(f"{API}/health").status_code == 200
    let_go.set()
    first.join()


# Fine-tunes


@pytest.mark.long
def test_a_fine_tune_is_followed_used_and_deleted(
    client: TestClient,
    dataset: str,
    small_zoo: Zoo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "EXPORTS", ("safetensors",))
    network = next(e.id for e in small_zoo.entries() if e.task == "red")
    asked = {"dataset": dataset, "network": network, "epochs": 2}
    answer = client.post(f"{API}/jobs", json=asked)
    assert answer.status_code == 202
    id = answer.json()["id"]
    job = ended(client, id)
    assert (job.state, job.network, job.epochs) == ("done", network, 2)
    assert [epoch.epoch for epoch in job.history] == [0, 1, 2]
    assert job.outcome is not None
    assert job.outcome.network == network
    names = {file.name: file.bytes for file in job.files}
    assert {"model.safetensors", "model.json", "report.html", "network.safetensors"} <= names.keys()
    for name, size in names.items():
        assert len(client.get(f"{API}/jobs/{id}/files/{name}").content) == size
    report = client.get(f"{API}/jobs/{id}/files/report.html")
    assert report.headers["Content-Security-Policy"].startswith("sandbox")
    assert str(tmp_path) not in report.text
    said = client.post(f"{API}/jobs/{id}/predict?top=2", content=picture(COLOURS["red"])).json()
    assert len(said["ranked"]) == 2
    assert_problem(client.post(f"{API}/jobs/{id}/predict", content=b"x"), 422, "cannot be read")
    assert_problem(client.get(f"{API}/jobs/{id}/files/..%2Fjob.json"), 404, "")
    assert_problem(client.get(f"{API}/jobs/{id}/files/job.json"), 404, "no file of that name")
    client.delete(f"{API}/jobs/{id}")
    assert_problem(client.get(f"{API}/jobs/{id}"), 404, "no job of that id")
    assert not list((tmp_path / "service" / "jobs").iterdir())


def test_a_fine_tune_that_cannot_be_says_why(
    client: TestClient, dataset: str, tmp_path: Path
) -> None:
    asked = {"dataset": dataset, "max_params": 10}
    job = ended(client, client.post(f"{API}/jobs", json=asked).json()["id"])
    assert job.state == "failed"
    assert "nearest limit" in (job.error or "")
    assert str(tmp_path) not in (job.error or "")
    for more, words in (
        ({"network": "none"}, "no entry 'none'"),
        ({"epochs": 6}, "expected 5 at most"),
        ({"network": "x" * 301}, "network: "),
    ):
        answer = client.post(f"{API}/jobs", json={"dataset": dataset, **more})
        assert answer.status_code in (404, 422)
        assert words in answer.json()["detail"]


def test_a_network_of_a_size_that_asks_too_much_is_refused(
    client: TestClient, dataset: str, small_zoo: Zoo
) -> None:
    id = next(e.id for e in small_zoo.entries() if e.task == "red")
    asked = {"dataset": dataset, "network": f"{id}@2048"}
    assert_problem(client.post(f"{API}/jobs", json=asked), 422, "2048 pixels a side")


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Fine-tunes end when it is set, with a file, or are cancelled."""
    let_go = threading.Event()

    def slow(*given: object, bounds: object, **_: object) -> object:
        while not let_go.wait(0.01) and not bounds.cancelled.is_set():  # type: ignore[attr-defined]
            pass
        if bounds.cancelled.is_set():  # type: ignore[attr-defined]
            raise jobs_module.CancelledError
        folder = given[-1]
        folder.mkdir()  # type: ignore[attr-defined]
        (folder / "model.json").write_text("{}")  # type: ignore[operator]
        return outcome().model_dump()

    monkeypatch.setattr(jobs_module, "run_apart", slow)
    return let_go


def running(client: TestClient, id: str) -> None:
    while client.get(f"{API}/jobs/{id}").json()["state"] == "queued":
        pass


def test_fine_tunes_wait_in_turn_and_can_be_cancelled(
    make: Make, held_back: threading.Event
) -> None:
    client = make(each=3)
    id = uploaded(client)
    started = []
    for _ in range(3):
        started.append(client.post(f"{API}/jobs", json={"dataset": id, "epochs": 1}).json()["id"])
        running(client, started[0])
    ahead = [client.get(f"{API}/jobs/{job}").json()["ahead"] for job in started]
    assert ahead == [None, 0, 1]
    assert client.delete(f"{API}/jobs/{started[1]}").json()["state"] == "cancelled"
    assert client.delete(f"{API}/jobs/{started[0]}").json()["state"] == "cancelled"
    held_back.set()
    assert ended(client, started[2]).state == "done"
    assert client.get(f"{API}/jobs/{started[0]}").json()["files"] == []


@pytest.mark.usefixtures("held_back")
def test_no_more_fine_tunes_wait_than_may(make: Make) -> None:
    client = make(each=2, queued=2)
    first, second = uploaded(client), uploaded(client)
    one = client.post(f"{API}/jobs", json={"dataset": first}).json()["id"]
    running(client, one)
    client.post(f"{API}/jobs", json={"dataset": first})
    assert_problem(client.post(f"{API}/jobs", json={"dataset": first}), 429, "2 fine-tunes of this")
    client.post(f"{API}/jobs", json={"dataset": second})
    assert_problem(client.post(f"{API}/jobs", json={"dataset": second}), 429, "2 fine-tunes wait")


@pytest.mark.usefixtures("held_back")
def test_a_dataset_that_is_deleted_takes_its_fine_tunes_along(
    client: TestClient, dataset: str
) -> None:
    job = client.post(f"{API}/jobs", json={"dataset": dataset}).json()["id"]
    running(client, job)
    assert client.delete(f"{API}/datasets/{dataset}").status_code == 204
    assert client.get(f"{API}/jobs/{job}").json()["state"] == "cancelled"


def test_a_dataset_is_held_while_a_fine_tune_needs_it(
    make: Make, held_back: threading.Event, tmp_path: Path
) -> None:
    client = make(keep_s=3600)
    id = uploaded(client)
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    job = client.post(f"{API}/jobs", json={"dataset": id}).json()["id"]
    service.datasets._clock = lambda: time.time() + 4000
    service.datasets.sweep()
    assert [path.name for path in (tmp_path / "service" / "uploads").iterdir()] == [id]
    held_back.set()
    assert ended(client, job).state == "done"
    service.datasets.sweep()
    assert not list((tmp_path / "service" / "uploads").iterdir())


@pytest.mark.long
def test_what_a_fine_tune_left_goes_after_a_while(make: Make, tmp_path: Path) -> None:
    client = make(keep_s=0.5)
    id = uploaded(client)
    job = client.post(f"{API}/jobs", json={"dataset": id, "max_params": 10}).json()["id"]
    while client.get(f"{API}/jobs/{job}").status_code == 200:
        pass
    assert not list((tmp_path / "service" / "jobs").iterdir())


def test_a_service_that_starts_again_knows_what_had_ended(
    make: Make, held_back: threading.Event
) -> None:
    first = make()
    id = uploaded(first)
    held_back.set()
    done = first.post(f"{API}/jobs", json={"dataset": id, "epochs": 1}).json()["id"]
    assert ended(first, done).state == "done"
    held_back.clear()
    going, waiting = (first.post(f"{API}/jobs", json={"dataset": id}).json()["id"] for _ in "ab")
    running(first, going)
    first.__exit__(None, None, None)
    again = make()
    assert ended(again, done).outcome is not None
    assert again.get(f"{API}/jobs/{done}/files/model.json").status_code == 200
    for stopped in (going, waiting):
        job = ended(again, stopped)
        assert job.state == "failed"
        assert "the service was stopped" in (job.error or "")


def test_a_job_file_that_is_damaged_is_forgotten(make: Make, tmp_path: Path) -> None:
    for name, text in (("a", "{}"), ("b", '{"schema": 1, "job": 3}'), ("c", "")):
        (tmp_path / "service" / "jobs" / name).mkdir(parents=True)
        (tmp_path / "service" / "jobs" / name / "job.json").write_text(text)
    make()
    assert not list((tmp_path / "service" / "jobs").iterdir())


# Who may ask


def test_every_route_but_health_asks_for_the_token(make: Make) -> None:
    client = make(token=TOKEN)
    assert client.get(f"{API}/health").status_code == 200
    for path in ("/zoo", "/metrics", "/openapi.json", "/docs", "/tasks", "/none"):
        answer = client.get(f"{API}{path}")
        assert_problem(answer, 401, "Authorization: Bearer")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for given in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer \xfc"):
        headers = {"Authorization": given.encode("latin-1")}
        assert client.get(f"{API}/zoo", headers=headers).status_code == 401  # type: ignore[arg-type]
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(f"{API}/zoo", headers=right).status_code == 200
    assert client.get(f"{API}/zoo", headers={"Cookie": f"tans_token={TOKEN}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[", "10.0.0.1"])
def test_without_a_token_other_names_of_the_machine_are_refused(
    client: TestClient, host: str
) -> None:
    assert_problem(client.get(f"{API}/zoo", headers={"Host": host}), 403, "ask it as localhost")


def test_pages_of_other_places_are_refused(client: TestClient) -> None:
    for origin in ("http://evil.example", "null", "http://localhost:81"):
        answer = client.post(f"{API}/datasets", content=colours(), headers={"Origin": origin})
        assert_problem(answer, 403, "page of another place")
    own = client.post(f"{API}/datasets", content=colours(), headers={"Origin": HERE})
    assert own.status_code == 201


def test_answers_are_kept_by_nobody(client: TestClient) -> None:
    headers = client.get(f"{API}/zoo").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


# Bad requests, faults, counts


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 10_000, b"[]", b'{"top": 1e999}', b'{"top": NaN}', b"\xff\xfe"]
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{API}/search", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error", "detail"}


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    answer = client.post(f"{API}/search", content=b" " * 20_000)
    assert_problem(answer, 413, "more than 16,384 bytes")


def test_an_unknown_route_is_said_so(client: TestClient) -> None:
    assert_problem(client.get("/none"), 404, "Not Found")
    assert_problem(client.put(f"{API}/search"), 405, "Not Allowed")


def test_a_fault_is_told_without_a_trace(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Service, "tasks", fails)
    answer = client.get(f"{API}/tasks")
    assert_problem(answer, 500, "no fault of yours")
    assert "secret" not in answer.text
    assert client.get(f"{API}/health").status_code == 200


def test_counts_are_in_the_form_of_prometheus(client: TestClient, dataset: str) -> None:
    client.get(f"{API}/datasets/{dataset}")
    answer = client.get(f"{API}/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "tans_datasets 1.0" in answer.text
    assert 'tans_jobs{state="queued"} 0.0' in answer.text
    assert f'route="{API}/datasets/{{id}}",status="200"' in answer.text
    assert dataset not in answer.text  # ids are secrets


def test_the_description_has_examples_and_errors(client: TestClient) -> None:
    said = client.get(f"{API}/openapi.json").json()
    assert said["components"]["schemas"]["SearchAsked"]["examples"]
    for path, methods in said["paths"].items():
        for method, route in methods.items():
            assert route["summary"], (path, method)
            assert "Problem" in json.dumps(route["responses"]["422"])
