"""Zoos are built, copied and read for, start to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tans import workflow
from tans.build.crew import Here
from tans.build.plan.construct import Budget
from tans.errors import InputError
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever
from tans.tasks.task import Task
from tans.workflow import BuildSettings
from tans.zoo.sharing import push_zoo
from tans.zoo.zoo import Zoo
from tests.small_zoo import SMALL
from tests.zoo.conftest import stores  # noqa: F401 - a fixture


def test_tasks_are_read_from_folders_of_datasets(tmp_path: Path, task: Task) -> None:
    task.save(tmp_path / "all" / "one")
    replace(task, name="second").save(tmp_path / "all" / "two")
    (tmp_path / "empty").mkdir()
    names = [task.name for task in workflow.read_tasks([str(tmp_path / "all")])]
    assert names == ["green", "second"]
    (alone,) = workflow.read_tasks([str(tmp_path / "all" / "one")])
    assert alone.name == "green"
    read = workflow.read_tasks([str(tmp_path / "all")], lambda path: replace(task, name=path.name))
    assert [task.name for task in read] == ["one", "two"]
    with pytest.raises(InputError, match="holds no dataset"):
        list(workflow.read_tasks([str(tmp_path / "empty")]))


def test_pairs_are_chosen_by_a_strategy_and_its_limits() -> None:
    assert workflow.choose_pairs() is None
    choice = workflow.choose_pairs("pareto", 9, minutes=2.0, cost="flops")
    assert choice is not None
    assert (choice.strategy, choice.budget, choice.cost) == ("pareto", Budget(9, 2.0), "flops")
    everything = workflow.choose_pairs(pair_by_pair=True)
    assert everything is not None
    assert everything.strategy == "grid"
    for wrong in ({"pairs": 5}, {"minutes": 1.0}, {"least_growth": 0.1}, {"cost": "flops"}):
        with pytest.raises(InputError, match="without --strategy"):
            workflow.choose_pairs(**wrong)  # type: ignore[arg-type]


def test_a_crew_is_here_unless_there_is_an_address() -> None:
    with workflow.gather_crew(workers=3) as crew:
        assert isinstance(crew, Here)
        assert crew.workers == 3
    with pytest.raises(InputError, match="without --ray"):
        workflow.gather_crew(cpus_per_pair=2)
    with pytest.raises(InputError, match="both given"):
        workflow.gather_crew(workers=2, ray="local")


def test_a_base_is_shared_where_one_is_shipped(tmp_path: Path) -> None:
    settings = BuildSettings()
    shared = workflow.find_base(tmp_path, settings)
    assert shared is not None
    assert shared.base == Zoo.open().base
    assert workflow.find_base(tmp_path, settings, new=True) is None
    published = replace(settings, space="ofa-mbv3", base_weights="there")
    assert workflow.find_base(tmp_path, published) is None
    with pytest.raises(InputError, match="both given"):
        workflow.find_base(tmp_path, published, new=True)
    with pytest.raises(InputError, match="is shipped; expected --base-weights"):
        workflow.find_base(tmp_path / "new", replace(published, base_weights=None))


@pytest.mark.parametrize("strategy", [None, "random"])
@pytest.mark.long
def test_a_zoo_is_built_and_what_is_done_is_told(
    small_zoo: Zoo, task: Task, tmp_path: Path, strategy: str | None
) -> None:
    told: list[tuple[float, str]] = []
    choice = workflow.choose_pairs(strategy, 2 if strategy else None, cost=strategy and "flops")
    made = workflow.build(
        tmp_path / "zoo",
        [task],
        SMALL,
        Here(),
        choice=choice,
        base_from=small_zoo,
        on_progress=lambda share, words: told.append((share, words)),
    )
    assert len(made.entries(task="green")) == (2 if strategy else SMALL.subnets)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert told[0][1] == "green: train 1/1"
    assert ("mean hypervolume" in told[-1][1]) == bool(strategy)


def test_some_or_all_tasks_of_a_zoo_are_copied(small_zoo: Zoo, tmp_path: Path) -> None:
    def copied(name: str, **which: Any) -> list[str]:
        made = workflow.copy_zoo(small_zoo, tmp_path / name, **which)
        return [stored.name for stored in made.tasks()]

    assert copied("all") == ["blue", "imagenet", "red"]
    assert copied("one", tasks=["red"]) == ["imagenet", "red"]
    assert len(copied("diverse", diverse=1)) == 2
    with pytest.raises(InputError, match="both given"):
        copied("both", tasks=["red"], diverse=1)
    assert not (tmp_path / "both").exists()


@pytest.mark.usefixtures("stores")
def test_a_zoo_at_an_address_is_trained_where_it_lies(small_zoo: Zoo) -> None:
    push_zoo(small_zoo, "memory://zoos/mine")
    settings = MetaSettings(steps=2, query_images=20, query_least=20, evaluate_every=0, seed=3)
    with workflow.worked_on("memory://zoos/mine") as site:
        workflow.train(site.zoo, settings)
        site.publish()
    stored = Retriever.load(Zoo.open("memory://zoos/mine").retrieval)
    assert stored.settings == settings


def test_a_task_is_read_from_an_address() -> None:
    read = workflow.read_tasks(["memory://data/flags"], lambda path: str(path))  # type: ignore[arg-type, return-value]
    assert list(read) == ["memory://data/flags"]
