"""How `tans zoo build` reads what it is given; what it builds is tested beside the zoo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tans import cli
from tans.zoo import chosen
from tans.zoo.construct import Budget, Outcome, Step
from tans.zoo.store import Zoo

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`tans zoo build` of a folder that holds one dataset without images; its exit code."""
    (tmp_path / "data").mkdir()

    def run(*arguments: object) -> int:
        given = ["zoo", "build", str(tmp_path / "zoo"), "--tasks", str(tmp_path / "data")]
        with pytest.raises(SystemExit) as stopped:
            cli.main([*given, *map(str, arguments)])
        return stopped.value.code if isinstance(stopped.value.code, int) else 0

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--strategy", "pareto", "--budget", 0), "0 pairs; expected at least 1"),
        (("--strategy", "pareto", "--minutes", -1), "minutes; expected more than 0"),
        (("--strategy", "pareto", "--least-growth", -1), "least growth"),
        (("--strategy", "best"), "no strategy 'best'; expected one of grid, random, pareto"),
        (("--budget", 5), "without --strategy"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[object, ...],
    expected: str,
) -> None:
    assert run(*arguments) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert not (tmp_path / "zoo").exists()


def test_the_choice_is_handed_on_and_the_front_is_shown(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    small_zoo: Zoo,
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setenv("COLUMNS", "300")  # of a bar that shows all there is

    def build_chosen(*positional: Any, **rest: Any) -> Zoo:
        given.update(rest, settings=positional[2])
        rest["on_pair"](Step(Outcome(0, 0.5, 1.0), None, 0.25, 0.125, 7), 40)
        return small_zoo

    monkeypatch.setattr(chosen, "build_chosen", build_chosen)
    monkeypatch.setattr("tans.cli.zoo._tasks", lambda _: iter(()))
    arguments = ("--strategy", "thompson", "--budget", 40, "--minutes", 2, "--seed", 3)
    assert run(*arguments, "--subnets", 50) == 0
    assert given["choice"] == chosen.Choice("thompson", Budget(40, 2.0))
    assert (given["settings"].subnets, given["settings"].seed) == (50, 3)
    out, err = capsys.readouterr()
    assert "7/40" in err
    assert "mean hypervolume 0.1250" in err
    assert f"{len(small_zoo.tasks())} tasks" in out
