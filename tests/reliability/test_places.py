"""No home, no cache, no rights: commands as they are run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from tans.zoo.zoo import Zoo
from tests.reliability.counting import ROOT, Trials

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has other places and rights"),
]
RUN = """
import sys
from tans.cli import main
for arguments in {commands!r}:
    try:
        main(arguments)
    except SystemExit as stopped:
        print("CODE", stopped.code or 0, file=sys.stderr)
"""
GONE = "import os, tempfile; here = tempfile.mkdtemp(); os.chdir(here); os.rmdir(here)\n"
NO_RIGHTS = "-dac_override,-dac_read_search"
"""What lets root read and write whatever the rights say."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("places") / "data"
    for name, colour in {"red": (200, 30, 30), "blue": (30, 30, 200)}.items():
        (root / name).mkdir(parents=True)
        for k in range(10):
            shade = tuple(channel + 2 * k for channel in colour)
            Image.new("RGB", (20 + 7 * k, 20), shade).save(root / name / f"{k}.png")
    return root


def bound() -> list[str]:
    """What stands before a command so that rights hold for it, as they do not for root."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root has all rights, and there is no command setpriv that would drop them")
    return ["setpriv", f"--bounding-set={NO_RIGHTS}", f"--inh-caps={NO_RIGHTS}"]


def run(
    commands: list[list[str]],
    changes: Mapping[str, str | None],
    before: list[str] | None = None,
    gone: bool = False,
) -> tuple[list[int], str, str]:
    """Run commands one after another in one process; their codes, and what they said."""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    own |= {name: value for name, value in changes.items() if value is not None}
    for name in (name for name, value in changes.items() if value is None):
        own.pop(name, None)
    script = (GONE if gone else "") + RUN.format(commands=commands)
    done = subprocess.run(
        [*(before or []), sys.executable, "-c", script],
        env=own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    lines = done.stderr.splitlines()
    codes = [int(line.split()[1]) for line in lines if line.startswith("CODE ")]
    return codes, done.stdout, done.stderr


def use(data: Path, zoo: Path, out: Path) -> list[list[str]]:
    """Commands that read, measure this device, train, write and predict."""
    tuned = [str(data), "--zoo", str(zoo), "--epochs", "1", "-o", str(out / "tuned")]
    return [
        ["check", str(data), "-o", str(out / "page.html")],
        ["search", str(data), "--zoo", str(zoo), "--max-latency", "10s", "--json"],
        ["finetune", *tuned],
        ["predict", str(out / "tuned"), str(data), "--csv", str(out / "p.csv")],
    ]


PLACES: Mapping[str, Mapping[str, str | None]] = {
    "no home": {"HOME": None, "XDG_CACHE_HOME": None, "TANS_CACHE": None},
    "a home that is missing": {"HOME": "/nonexistent/home", "TANS_CACHE": None},
    "a cache that is a file": {"TANS_CACHE": "{file}"},
    "a cache below a file": {"TANS_CACHE": "{file}/cache"},
    "a cache in /proc": {"TANS_CACHE": "/proc/tans"},
    "an odd XDG": {"XDG_CACHE_HOME": "{file}", "TANS_CACHE": None, "HOME": "/proc"},
    "no place for temporary files": {"TMPDIR": "/nonexistent", "TEMP": None, "TMP": None},
    "none for matplotlib and others": {"MPLCONFIGDIR": "{file}", "HF_HOME": "{file}"},
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_odd_places(trials: Trials, tmp_path: Path, data: Path, small_zoo: Zoo, place: str) -> None:
    """There is no home, no cache, or no place for temporary files: all commands go on"""
    (tmp_path / "file").write_text("")
    changes = {
        name: value and value.format(file=tmp_path / "file")
        for name, value in PLACES[place].items()
    }
    with trials.trial(place):
        codes, _, said = run(use(data, small_zoo.path, tmp_path), changes)
        assert codes == [0, 0, 0, 0], said


def test_a_working_folder_that_is_gone(
    trials: Trials, tmp_path: Path, data: Path, small_zoo: Zoo
) -> None:
    """The working folder was deleted: one error says so"""
    commands = use(data, small_zoo.path, tmp_path)
    codes, out, said = run(commands, {}, gone=True)
    for command, code in zip(commands, codes, strict=True):
        with trials.trial(command[:2]):
            assert code == 1
    with trials.trial("told"):
        assert said.count("error: the folder that tans runs in is not there any more") == 4
        assert not out
        assert not list(tmp_path.iterdir())


def test_folders_without_rights(trials: Trials, tmp_path: Path, data: Path, small_zoo: Zoo) -> None:
    """Home, cache, zoo and data may only be read: used where that is enough, else one error"""
    zoo, own = tmp_path / "zoo", tmp_path / "data"
    shutil.copytree(small_zoo.path, zoo)
    shutil.copytree(data, own)
    (own / "red" / "0.png").chmod(0)
    (tmp_path / "home").mkdir()
    (tmp_path / "out").mkdir()
    closed = [*zoo.rglob("*"), zoo, tmp_path / "home", own / "red", own]
    for path in closed:
        if path.is_dir():
            path.chmod(0o500)
    commands = [
        *use(own, zoo, tmp_path / "out"),
        ["zoo", "list", "--zoo", str(zoo)],
        ["zoo", "copy", str(tmp_path / "copy"), "--zoo", str(zoo)],
        ["train", "--zoo", str(zoo)],
        ["zoo", "add", "tf_efficientnet_lite1", "--size", "32", "--zoo", str(zoo)],
        ["check", str(own), "-o", str(own / "page.html")],
        ["finetune", str(own), "--zoo", str(zoo), "-o", str(own / "tuned")],
    ]
    try:
        before = {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file()}
        home = {"HOME": str(tmp_path / "home"), "TANS_CACHE": None, "XDG_CACHE_HOME": None}
        codes, _, said = run(commands, home, bound())
        # one image of those to predict may not be read: 3
        for command, code, wanted in zip(
            commands, codes, (0, 0, 0, 3, 0, 0, 1, 1, 1, 1), strict=True
        ):
            with trials.trial(command[:2]):
                assert code == wanted, said
        with trials.trial("told"):
            assert "without the right to read it (red/0.png)" in said
            assert said.count("error: ") == 4
        with trials.trial("unchanged"):
            now = {path: path.read_bytes() for path in zoo.rglob("*") if path.is_file()}
            assert now == before
    finally:
        for path in reversed(closed):
            if path.is_dir():
                path.chmod(0o700)
        (own / "red").chmod(0o700)


def test_a_package_that_cannot_be_written(trials: Trials, tmp_path: Path, data: Path) -> None:
    """Installed where nothing can be written, the shipped zoo is read, and training it is refused
    at once"""
    package = tmp_path / "site" / "tans"
    shutil.copytree(ROOT / "src/tans", package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    commands = [
        ["search", str(data), "--look", "0", "--json"],
        ["train"],
        ["zoo", "show", "imagenet"],
    ]
    try:
        elsewhere = os.pathsep.join(
            [str(package.parent), *(path for path in sys.path if path != str(ROOT / "src"))]
        )
        script = {"PYTHONPATH": elsewhere, "TANS_CACHE": str(tmp_path / "cache")}
        codes, out, said = run(commands, script, bound())
        with trials.trial("search"):
            assert codes[0] == 0, said
            assert json.JSONDecoder().raw_decode(out)[0]["matches"]
        with trials.trial("train"):
            assert codes[1] == 1, said
            assert str(package) in said
            assert "zoo copy" in said
        with trials.trial("nothing written"):
            assert not list(package.rglob("*.tmp"))
            assert not list(package.rglob("__pycache__"))
    finally:
        for path in folders:
            path.chmod(0o700)
