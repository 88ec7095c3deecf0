"""Building a zoo on a real Ray cluster of two nodes on this machine, some of which die."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tans.build import cluster as clusters
from tans.build.cluster import Cluster, Resources, connected
from tans.build.crew import BuildProgress, Candidate, Here, Listener
from tans.build.engine import build_zoo
from tans.build.plan.construct import Budget
from tans.build.plan.ledger import pairs_of
from tans.build.settings import Choice, subnets_of
from tans.errors import InputError, MissingExtraError, ZooError
from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings
from tans.meta.train import Step, meta_train
from tans.search.look import second_look
from tans.tasks.task import Task
from tans.types import Costs, ZooEntry
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL

SETTINGS = replace(SMALL, subnets=8)
PAIRS = 2 * SETTINGS.subnets


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ray's own cluster utility, with a head and another node of one core each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster as Nodes

    size = {"num_cpus": 1, "object_store_memory": 10**8}
    started = Nodes(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    started.add_node(**size)
    yield started
    started.shutdown()


@pytest.fixture(scope="module")
def plain(small_zoo: Zoo, small_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """The zoo that this process alone builds."""
    with one_thread():
        folder = tmp_path_factory.mktemp("plain") / "zoo"
        return build_zoo(folder, small_tasks, SETTINGS, base_from=small_zoo)


@contextmanager
def one_thread() -> Iterator[None]:
    """As the workers of a cluster have it: with more of them sums differ in the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def build(small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path) -> Callable[..., Zoo]:
    """Builds all pairs in one folder, on a cluster."""

    def build(crew: Cluster, on_progress: Listener | None = None) -> Zoo:
        return build_zoo(
            tmp_path / "zoo",
            small_tasks,
            SETTINGS,
            choice=Choice("grid", Budget(1000), batch=PAIRS, cost="flops"),
            base_from=small_zoo,
            workers=crew,
            on_progress=on_progress,
        )

    return build


def own(zoo: Zoo) -> list[ZooEntry]:
    """Measured networks of the tasks."""
    return [entry for entry in zoo.entries() if entry.task != IMAGENET]


def tell_name(item: str, *, on_progress: Listener | None) -> None:
    """Work that tells what it was given, or fails."""
    if item == "bad":
        raise InputError("bad was given; expected good")
    assert on_progress is not None
    for done in (1, 2):
        on_progress(BuildProgress(item, "train", done, 2))


def die(folder: Path, times: int, item: str, *, on_progress: Listener | None) -> None:
    """Work that kills its worker so many times before it is done."""
    for k in range(times):
        if not (folder / f"{item} died {k}").exists():
            (folder / f"{item} died {k}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    (folder / item).touch()
    tell_name(item, on_progress=on_progress)


def linger(head: str, folder: Path, item: str, *, on_progress: Listener | None) -> None:
    """Work that would never end on another node than the head, if nobody tried it before."""
    import ray

    first = not (folder / item).exists()
    (folder / item).touch()
    if first and ray.get_runtime_context().get_node_id() != head:
        time.sleep(3600)
    tell_name(item, on_progress=on_progress)


def remove_a_node(nodes: Any, crew: Cluster) -> None:
    """Kill the node that is not the head, and wait until that is known."""
    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
    until(lambda: crew.slots == 1)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a minute at most."""
    ends = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_without_ray_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tans\[ray\]'"), connected("local"):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:70000", "127.0.0.1:x"])
def test_an_address_without_a_cluster_is_refused_at_once(address: str) -> None:
    with pytest.raises(InputError, match="no Ray cluster can be joined"), connected(address):
        pass


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0), (-1, 0), (1, -1), (float("nan"), 0)])
def test_pairs_that_take_nothing_are_refused(cpus: float, gpus: float) -> None:
    with pytest.raises(InputError, match="expected CPUs above 0"):
        Resources(cpus, gpus)


@pytest.mark.slow
def test_work_on_a_node_that_dies_is_done_by_another(nodes: Any, tmp_path: Path) -> None:
    told: list[str] = []

    def on_progress(step: BuildProgress) -> None:
        told.append(step.task)
        if len(told) == 1:
            until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
            remove_a_node(nodes, crew)

    with connected(nodes.address) as crew:
        work = partial(linger, nodes.head_node.node_id, tmp_path)
        list(crew.each(work, ["a", "b"], on_progress))
    assert sorted(told) == ["a", "b"]


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(nodes: Any, build: Callable[..., Zoo], plain: Zoo) -> None:
    seen: list[int] = []

    def on_progress(step: BuildProgress) -> None:
        if step.step == "measure":
            seen.append(step.done)
            assert step.total == PAIRS
            if step.done == 3:
                remove_a_node(nodes, crew)

    with connected(nodes.address) as crew:
        assert crew.slots == 2
        zoo = build(crew, on_progress)
        assert seen == list(range(1, PAIRS + 1))
        assert own(zoo) == own(plain)
        assert verify_zoo(zoo).ok
        written = (pairs_of(zoo), zoo.costs.read())
        again = build(crew, on_progress)
    assert own(again) == own(plain)
    assert (pairs_of(again), again.costs.read()) == written
    assert len(seen) == PAIRS


@pytest.fixture(scope="module")
def local() -> Iterator[Cluster]:
    """A Ray that is started here, with room for two pieces of work on each core.

    It stays until the end of this file, so what joins another cluster comes before.
    """
    with connected("local", Resources(cpus=0.5)) as crew:
        yield crew


@pytest.mark.long
def test_pairs_are_measured_as_this_process_measures_them(
    local: Cluster, small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    assert local.slots >= 2
    candidates = [
        Candidate("", task, small_zoo.task(task.name).weights, ref, Costs(0, 0))
        for task in small_tasks
        for ref in subnets_of(task.name, SMALL)[:2]
    ]
    with one_thread():
        alone, together = (
            sorted(crew.measure(small_zoo, candidates), key=lambda done: done.number)
            for crew in (Here(), local)
        )
    assert [(d.number, d.entry) for d in together] == [(d.number, d.entry) for d in alone]
    assert [done.number for done in together] == [0, 1, 2, 3]
    assert all(done.seconds > 0 for done in together)


@pytest.mark.long
def test_work_whose_worker_dies_is_done_again(
    local: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[BuildProgress] = []
    list(local.each(partial(die, tmp_path, 1), ["a", "b"], told.append))
    assert {(step.task, step.done) for step in told} == {("a", 2), ("b", 2)}
    monkeypatch.setattr(clusters, "RETRIES", 0)
    with pytest.raises(ZooError, match="lost 1 times"):
        list(Cluster(sys.modules["ray"], local.resources).each(partial(die, tmp_path, 1), ["c"]))
    list(local.each(partial(die, tmp_path, 1), ["c"]))  # as a build that goes on
    assert (tmp_path / "c").exists()


@pytest.mark.long
def test_more_work_than_is_handed_out_at_once_is_all_done(local: Cluster) -> None:
    told: list[BuildProgress] = []
    names = [str(k) for k in range(5 * local.slots)]
    list(local.each(tell_name, names, told.append))
    assert sorted(step.task for step in told) == sorted(names)


@pytest.mark.long
def test_what_the_work_raises_comes_as_it_is(local: Cluster) -> None:
    with pytest.raises(InputError, match="^bad was given; expected good$"):
        list(local.each(tell_name, ["good", "bad"]))


@pytest.mark.long
def test_looks_are_what_they_are_here(
    local: Cluster, small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    stored = small_zoo.entries(vectors=False)
    entries = [e for e in stored if e.resolution > small_zoo.resolution] + stored[::8]
    small_tasks[0].save(tmp_path / "red")
    task = Task.from_path(tmp_path / "red")
    with one_thread():
        here = second_look(task, small_zoo, entries)
        shutil.rmtree(tmp_path / "red")  # which no worker needs to see
        assert second_look(small_tasks[0], small_zoo, entries, local) == here
    assert len({look.resolution for look in here}) > 1


@pytest.mark.long
def test_an_ensemble_is_the_one_that_is_trained_here(local: Cluster, small_zoo: Zoo) -> None:
    settings = MetaSettings(steps=20, query_images=20, query_least=20, evaluate_every=10, members=3)
    data, steps = MetaData.from_zoo(small_zoo), list[Step]()
    with one_thread():
        here = meta_train(data, settings)
    there = meta_train(data, settings, steps.append, local)
    assert there.matrix.equal(here.matrix)
    assert [step.step for step in steps] == [20, 40, 60]


@pytest.mark.long
def test_more_than_any_node_has_is_refused(local: Cluster) -> None:  # noqa: ARG001
    with (
        pytest.raises(InputError, match="no node of the cluster has so many"),
        connected("local", Resources(cpus=10_000)),
    ):
        pass
