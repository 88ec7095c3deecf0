"""Without tans-bench, what it brings is named, and how to install it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tans import plugins
from tans.errors import MissingExtraError
from tans.plugins import library

ALONE = """
from tans import plugins
plugins.entry_points = lambda **_: ()
from tans.cli import main
main()
"""
REMEDY = "comes with tans-bench; run: pip install tans-bench"


@pytest.mark.parametrize("command", [("bench", "run", "all", "--workers", "2"), ("tasks", "list")])
def test_a_command_of_the_bench_says_how_to_install_it(command: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, *command], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"the command 'tans {command[0]}' {REMEDY}" in " ".join(ended.stderr.split())


def test_the_help_names_the_commands_of_the_bench() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, "--help"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.count("(tans-bench)") == 2


def test_the_bench_is_found_where_it_is_installed() -> None:
    assert {"bench", "tasks"} <= plugins.plugins("tans.commands").keys()


def test_a_library_that_is_missing_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library("json", "any") is json
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"timm is needed.*pip install 'tans\[timm\]'"):
        library("timm.models", "timm")
