"""The command itself, in a process that is killed, stopped and started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tans.errors import ServiceError
from tans.web.client import Client
from tans.zoo.zoo import Zoo
from tests.web.conftest import colours

MANY = 200
"""Epochs that do not end before the test does."""
Start = Callable[[], tuple[Client, subprocess.Popen[str]]]


@pytest.fixture
def start(small_zoo: Zoo, tmp_path: Path) -> Iterator[Start]:
    """Start the command, and wait until it says where it serves."""
    begun: list[subprocess.Popen[str]] = []

    def start() -> tuple[Client, subprocess.Popen[str]]:
        own = ("--port", "0", "--folder", str(tmp_path / "held"), "--zoo", str(small_zoo.path))
        # whoever runs tests in the background may have them ignore interrupts
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"if __name__ == '__main__':\n {heard}\n from tans.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *own],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        begun.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"serves at (http://\S+)", line):
                return Client(found[1]), process
        raise AssertionError("it ended")

    yield start
    for process in begun:
        process.kill()
        process.wait()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "colours.zip").write_bytes(colours(30))
    return tmp_path / "colours.zip"


def red(zoo: Zoo) -> str:
    return next(entry.id for entry in zoo.entries() if entry.task == "red")


def below(process: int) -> set[int]:
    """All processes that one started, and those that they did."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = {process}
    while more := {pid for pid, parent in pairs if parent in found} - found:
        found |= more
    return found - {process}


def are_gone(processes: set[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in processes)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never held")


@pytest.mark.long
def test_a_service_that_is_killed_in_a_job_starts_again_cleanly(
    start: Start, small_zoo: Zoo, images: Path, tmp_path: Path
) -> None:
    client, process = start()
    dataset = client.add_dataset(images)
    done = client.wait(client.finetune(dataset.id, network=red(small_zoo), epochs=1).id)
    assert done.state == "done"
    going = client.finetune(dataset.id, network=red(small_zoo), epochs=MANY)
    until(lambda: bool(client.job(going.id).history))
    others = below(process.pid)
    assert others
    process.kill()
    process.wait()
    until(lambda: are_gone(others))  # nobody trains for nobody
    assert list((tmp_path / "held" / "uploads").iterdir())
    again, _ = start()
    assert not list((tmp_path / "held" / "uploads").iterdir())
    job = again.job(going.id)
    assert job.state == "failed"
    assert "the service was stopped" in (job.error or "")
    assert again.job(done.id).outcome == done.outcome
    assert again.file(done.id, "model.json")
    with pytest.raises(ServiceError, match="upload it again"):
        again.search(dataset.id)
    fresh = again.add_dataset(images)
    assert again.search(fresh.id, look=0).matches


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_all_that_it_started(
    start: Start, small_zoo: Zoo, images: Path, tmp_path: Path, number: int, code: int
) -> None:
    client, process = start()
    dataset = client.add_dataset(images)
    job = client.finetune(dataset.id, network=red(small_zoo), epochs=MANY)
    until(lambda: bool(client.job(job.id).history))
    others = below(process.pid)
    process.send_signal(number)
    assert process.wait(60) == code
    until(lambda: are_gone(others))
    assert not (tmp_path / "held" / "uploads").exists()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


@pytest.mark.long
def test_two_services_do_not_share_a_folder(start: Start, small_zoo: Zoo, tmp_path: Path) -> None:
    start()
    own = ("serve", "--port", "0", "--folder", str(tmp_path / "held"), "--zoo", str(small_zoo.path))
    code = "from tans.cli import main; main()"
    second = subprocess.run([sys.executable, "-c", code, *own], capture_output=True, text=True)
    assert second.returncode == 1
    assert "another service keeps its things" in second.stderr
