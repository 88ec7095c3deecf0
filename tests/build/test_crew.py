"""Work that is done here, by one process or by several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tans.build.crew import BuildProgress, Candidate, Here, Listener
from tans.build.settings import subnets_of
from tans.errors import InputError
from tans.tasks.task import Task
from tans.types import Costs
from tans.zoo.zoo import Zoo
from tests.pretended import pretend
from tests.small_zoo import SMALL


def write_process(folder: Path, name: str, *, on_progress: Listener | None) -> None:
    """Work that writes down who does it, or fails."""
    if name == "bad":
        raise InputError("bad was given; expected good")
    (folder / name).write_text(str(os.getpid()))
    if on_progress:
        on_progress(BuildProgress(name, "train", 1, 1))


def processes(folder: Path, names: Sequence[str]) -> set[int]:
    return {int((folder / name).read_text()) for name in names}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_all_is_done_and_told(tmp_path: Path, workers: int) -> None:
    told: list[BuildProgress] = []
    names = ["a", "b", "c"]
    list(Here(workers).each(partial(write_process, tmp_path), names, told.append))
    assert (os.getpid() in processes(tmp_path, names)) == (workers == 1)
    assert sorted(step.task for step in told) == names


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_what_the_work_raises_comes_as_it_is(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match="^bad was given; expected good$"):
        list(Here(workers).each(partial(write_process, tmp_path), ["good", "bad"]))


def twice(given: Tensor, *, on_progress: Listener | None) -> tuple[bool, Tensor]:
    """Work on a tensor; whether its memory is another process's too, and what comes of it."""
    del on_progress
    return given.is_shared(), 2 * given


@pytest.mark.long
def test_no_memory_is_shared_with_a_process_that_may_be_killed() -> None:
    given = [torch.arange(3.0), torch.ones(2)]
    for number, (shared, result) in Here(2).each(twice, given):
        assert torch.equal(result, 2 * given[number])
        assert not any((shared, result.is_shared(), given[number].is_shared()))


def test_pairs_are_measured_task_by_task_and_keep_their_numbers(
    small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    candidates = [
        Candidate("", task, small_zoo.task(task.name).weights, architecture, Costs(0, 0))
        for architecture in subnets_of(small_tasks[0].name, SMALL)[:2]
        for task in small_tasks
    ]
    done = list(Here().measure(small_zoo, candidates))
    tasks = [each.entry.task for each in done]
    assert tasks[0] == tasks[1] != tasks[2] == tasks[3]
    for each in done:
        candidate = candidates[each.number]
        assert (each.entry.task, each.entry.ref) == (
            candidate.task.name,
            candidate.ref,
        )


def write_device(folder: Path, name: str, *, on_progress: Listener | None) -> None:
    """Work that writes down where it is to compute, when another does the same."""
    del on_progress
    (folder / name).write_text(os.environ["TANS_DEVICE"])
    while len(list(folder.iterdir())) < 2:  # so that one worker does not do both
        pass


@pytest.mark.long
def test_workers_share_the_cards_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    list(Here(2).each(partial(write_device, tmp_path), ["a", "b"]))
    assert {path.read_text() for path in tmp_path.iterdir()} == {"cuda:0", "cuda:1"}
