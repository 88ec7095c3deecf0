"""How `tans zoo build` reads what it is given; what it builds is tested beside the zoo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tans import cli
from tans.build import cluster, engine
from tans.build.cluster import Resources
from tans.build.crew import BuildProgress
from tans.build.plan.construct import Budget
from tans.build.settings import Choice
from tans.zoo.zoo import Zoo

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
        (("--strategy", "pareto", "--cost", "watts"), "no cost 'watts'; expected one of latency"),
        (("--budget", 5), "without --strategy"),
        (("--cost", "flops"), "without --strategy"),
        (("--cpus-per-pair", 2), "without --ray"),
        (("--ray", "local", "--workers", 2), "--workers and --ray were both given"),
        (("--ray", "local", "--gpus-per-pair", -1), "GPUs of 0 or more"),
        (("--ray", "127.0.0.1:1"), "no Ray cluster can be joined at '127.0.0.1:1'"),
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

    def build_zoo(*positional: Any, **rest: Any) -> Zoo:
        given.update(rest, settings=positional[2])
        rest["on_progress"](BuildProgress("", "measure", 7, 40, 0.125))
        return small_zoo

    monkeypatch.setattr(engine, "build_zoo", build_zoo)
    monkeypatch.setattr("tans.workflow.read_tasks", lambda *_: iter(()))
    arguments = ("--strategy", "thompson", "--budget", 40, "--minutes", 2, "--seed", 3)
    assert run(*arguments, "--subnets", 50, "--cost", "flops") == 0
    assert given["choice"] == Choice("thompson", Budget(40, 2.0), cost="flops")
    assert given["workers"].slots == 1
    assert (given["settings"].subnets, given["settings"].seed) == (50, 3)
    out, err = capsys.readouterr()
    assert "networks: measure 7/40, mean hypervolume 0.1250" in err
    assert f"{len(small_zoo.tasks())} tasks" in out


def test_a_cluster_is_handed_all_pairs_and_left_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, small_zoo: Zoo
) -> None:
    given: list[Any] = []

    @contextmanager
    def connected(address: str, resources: Resources) -> Iterator[str]:
        given.extend([address, resources])
        yield "a crew"
        given.append("left")

    def build_zoo(*_: Any, **rest: Any) -> Zoo:
        given.extend([rest["workers"], rest["choice"]])
        return small_zoo

    monkeypatch.setattr(cluster, "connected", connected)
    monkeypatch.setattr(engine, "build_zoo", build_zoo)
    monkeypatch.setattr("tans.workflow.read_tasks", lambda *_: iter(()))
    assert run("--ray", "10.0.0.1:6379", "--cpus-per-pair", 2, "--gpus-per-pair", 0.25) == 0
    everything = Choice("grid", Budget(sys.maxsize))
    assert given == ["10.0.0.1:6379", Resources(2, 0.25), "a crew", everything, "left"]
