"""Work without a network, and commands that need one where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.counting import Trials
from tests.reliability.test_outputs import folder_of_classes

GUARD = """
import os, socket

def refuse(*arguments, **options):
    with open(os.environ["TRIED"], "a") as file:
        file.write(f"{arguments}\\n")
    raise OSError("there is no network")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = refuse
socket.getaddrinfo = socket.gethostbyname = refuse
"""
NOWHERE = "http://127.0.0.1:9"


class Offline:
    """Runs commands in processes that note whoever asks for a connection."""

    def __init__(self, folder: Path) -> None:
        self.tried = folder / "tried"
        (folder / "guard").mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
        self.env = {
            **os.environ,
            **proxies,
            **{name.upper(): place for name, place in proxies.items()},
            "PYTHONPATH": os.pathsep.join([str(folder / "guard"), *filter(None, sys.path)]),
            "TANS_CACHE": str(folder / "cache"),
            "TRIED": str(self.tried),
            "PIP_INDEX_URL": NOWHERE,
            "PIP_RETRIES": "0",
            "npm_config_registry": NOWHERE,
            "npm_config_fetch_retries": "0",
            "npm_config_cache": str(folder / "npm"),
        }

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from tans.cli import main; main()", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.env,
        )


@pytest.fixture
def offline(tmp_path: Path) -> Offline:
    return Offline(tmp_path)


@pytest.mark.slow
def test_no_command_asks_for_a_connection(trials: Trials, offline: Offline, tmp_path: Path) -> None:
    """Each command on images and zoos, where every connection is noted: none is asked for"""
    data = folder_of_classes(tmp_path / "data")
    plain = ("--network", "imagenet", "--plain-head")
    for command in (
        ("check", data, "-o", tmp_path / "page.html"),
        ("search", data, "--look", 1),
        ("finetune", data, "-o", tmp_path / "out", "--epochs", 1, *plain),
        ("predict", tmp_path / "out", data),
        ("export", tmp_path / "out", "--format", "onnx", "--images", data, "--int8"),
        ("export", tmp_path / "out", "--format", "timm"),
        ("zoo", "list"),
        ("zoo", "copy", tmp_path / "zoo", "--diverse", 1),
        ("zoo", "show", "--zoo", tmp_path / "zoo", "imagenet-none"),
        ("zoo", "add", "tf_efficientnet_lite0", "--zoo", tmp_path / "zoo"),
        ("zoo", "verify", "--zoo", tmp_path / "zoo"),
        ("tasks", "list"),
        ("bench", "methods"),
    ):
        with trials.trial(command):
            done = offline.run(*command)
            assert done.returncode == (1 if command[:2] == ("zoo", "show") else 0), done.stderr
            assert not offline.tried.exists(), offline.tried.read_text()


@pytest.mark.long
def test_what_needs_a_network(trials: Trials, offline: Offline, tmp_path: Path) -> None:
    """A download without a network: one error that says what to do, and nothing half written"""
    data = folder_of_classes(tmp_path / "all" / "data").parent
    weights = ("--base-weights", f"{NOWHERE}/weights.pth")
    for command in (
        ("tasks", "fetch", "flags"),
        ("tasks", "fetch", "script-greek"),
        ("zoo", "build", tmp_path / "zoo", "--tasks", data, "--space", "ofa-mbv3", *weights),
    ):
        with trials.trial(command):
            done = offline.run(*command)
            assert (done.returncode, done.stdout) == (1, "")
            *_, last = done.stderr.splitlines()
            assert last.startswith("error: ")
            assert "; " in last
            assert "Traceback" not in done.stderr
            left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
            assert [path.name for path in left] == ["CACHEDIR.TAG"]
