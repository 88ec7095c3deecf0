"""The commands as a user meets them: exit codes, what goes to which stream, and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tans import cli
from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails

COMMANDS = [
    ("check",),
    ("search",),
    ("finetune",),
    ("predict",),
    ("export",),
    ("train",),
    ("zoo", "list"),
    ("zoo", "show"),
    ("zoo", "build"),
    ("zoo", "add"),
    ("zoo", "transfers"),
    ("zoo", "copy"),
    ("zoo", "verify"),
    ("tasks", "list"),
    ("tasks", "fetch"),
    ("tasks", "export"),
    ("bench", "run"),
    ("bench", "import"),
    ("bench", "report"),
    ("bench", "methods"),
    ("bench", "tasks"),
]
HEAVY = {"torch", "torchvision", "numpy", "lancedb", "pyarrow", "matplotlib", "sklearn", "PIL"}


@pytest.mark.parametrize("command", [(), ("zoo",), ("tasks",), ("bench",), *COMMANDS])
def test_every_command_has_help(run: Run, command: tuple[str, ...]) -> None:
    answer = run(*command, "--help")
    assert answer.code == 0
    assert " ".join(("tans", *command)) in answer.out
    assert answer.err == ""


@pytest.mark.long
def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom tans.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sorted(m.partition('.')[0] for m in sys.modules))"
    )
    for command in ([], ["search"], ["zoo", "build"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *command, "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "typer" in loaded
        assert not loaded & HEAVY


def test_version(run: Run) -> None:
    answer = run("--version")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("tans 0.")


def test_the_reference_page_names_every_command_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in page.split("## `")[1:]}
    for name, command in _walk(typer.main.get_command(cli.app), "tans"):
        assert name in sections, f"{name} is missing; run: make docs"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in sections[name], f"{name} {option} is missing; run: make docs"


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield name, command
    for child, inner in children.items():
        yield from _walk(inner, f"{name} {child}")


def test_wrong_usage_is_code_2(run: Run) -> None:
    assert run("search").code == 2
    assert run("search", "x", "--no-such-option").code == 2
    assert run("no-such-command").code == 2
    assert run("search", "x", "--top", "0").code == 2
    assert run("search", "x", "--look", "-1").code == 2
    assert run("search", "x", "--max-minutes", "few").code == 2


def test_missing_zoo(run: Run, dataset: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert_fails(run("search", dataset, "--zoo", nowhere), "no zoo in", "nowhere")
    assert_fails(run("zoo", "list", "--zoo", nowhere), "no zoo in", "nowhere")
    assert_fails(run("train", "--zoo", nowhere), "no zoo in", "nowhere")


def test_unknown_names(run: Run, tmp_path: Path) -> None:
    assert_fails(run("tasks", "fetch", "no-such-task"), "no-such-task", "choose one of")
    assert_fails(run("train", "--preset", "best"), "'best'", "default")
    assert_fails(run("predict", tmp_path, tmp_path), "no fine-tuned network")


def test_interrupt_is_code_130(run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Zoo, "open", interrupt)
    answer = run("search", dataset)
    assert answer.code == 130
    assert "Traceback" not in answer.err


def test_an_unwritable_place_is_an_error(
    run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/there")

    monkeypatch.setattr(Zoo, "open", refuse)
    assert_fails(run("search", dataset), "Permission denied", "/there")


@pytest.mark.long
def test_names_that_a_terminal_cannot_write_are_escaped(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Bücher"
    shutil.copytree(dataset, folder / "data")
    (folder / "data" / "red").rename(folder / "data" / "röt")
    done = subprocess.run(
        [sys.executable, "-c", "from tans.cli import main; main()", "check", str(folder / "data")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )
    assert done.returncode == 0
    assert b"r\\xf6t" in done.stdout
    assert b"Traceback" not in done.stderr


def test_a_device_is_chosen_for_all_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_DEVICE", "mps")
    assert run("--device", "cpu", "zoo", "list", "--help").code == 0
    assert os.environ["TANS_DEVICE"] == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_DEVICE", "cpu")
    answer = run("--device", name, "zoo", "list")
    assert answer.code == 1
    assert f"the device is '{name}'" in answer.err
    assert "Traceback" not in answer.err
