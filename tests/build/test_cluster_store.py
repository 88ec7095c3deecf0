"""Building a zoo at an address of S3 on real Ray nodes, with no folder that they share.

Each node has a cache of its own. The store is a real server of S3 on this machine, in memory.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from tans.build.cluster import connected
from tans.build.crew import BuildProgress, Listener
from tans.build.engine import build_zoo
from tans.build.plan.construct import Budget
from tans.build.plan.ledger import pairs_of
from tans.build.settings import Choice
from tans.errors import ZooError
from tans.tasks.task import Task
from tans.zoo.building import worked_on
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.build.test_cluster import one_thread, own, plain, until  # noqa: F401 - a fixture
from tests.small_zoo import SMALL
from tests.zoo.stores import keys, s3_server

SETTINGS = replace(SMALL, subnets=8)
PAIRS = 2 * SETTINGS.subnets
ADDRESS = "s3://shelf/zoos/built"
PATIENCE_S = 120
pytestmark = pytest.mark.slow


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Of a node or driver of that name."""
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "test"))
    return lambda name: tmp_path / f"cache-{name}"


@pytest.fixture
def server() -> Iterator[Any]:
    with s3_server() as running:
        yield running


@pytest.fixture
def nodes(
    server: Any, caches: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A head without cores, and the nodes that a test adds."""
    del server  # comes first, so that nodes inherit where it is
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster as Nodes

    head = {"num_cpus": 0, "object_store_memory": 10**8, "include_dashboard": False}
    started = Nodes(initialize_head=True, head_node_args=head)

    def join(name: str) -> Any:
        cache = {"TANS_CACHE": str(caches(name)), "OMP_NUM_THREADS": "1"}
        return started.add_node(num_cpus=1, object_store_memory=10**8, env_vars=cache)

    started.join = join
    yield started
    started.shutdown()


def build(tasks: list[Task], base: Zoo, crew: Any, on_progress: Listener | None = None) -> Zoo:
    return build_zoo(
        ADDRESS,
        tasks,
        SETTINGS,
        choice=Choice("grid", Budget(1000), batch=2, cost="flops"),
        base_from=base,
        workers=crew,
        on_progress=on_progress,
    )


def fetched(cache: Path) -> list[str]:
    """What a node has read of the store, as ``weights/<hash>``."""
    root = cache / "zoos" / "files"
    found = [path.relative_to(root).as_posix() for path in root.rglob("*.safetensors")]
    return sorted(found)


def look_around(item: Zoo, *, on_progress: Listener | None) -> tuple[str, bool, bool]:
    """Work that tells where it is, and whether it sees the zoo's folder, and its content."""
    del on_progress
    return os.environ["TANS_CACHE"], item.path.exists(), bool(item.base_state())


def test_a_node_dies_and_another_joins(
    nodes: Any,
    caches: Callable[[str], Path],
    small_zoo: Zoo,
    small_tasks: list[Task],
    plain: Zoo,  # noqa: F811
) -> None:
    first, second = nodes.join("first"), nodes.join("second")
    nodes.wait_for_nodes()
    seen: list[int] = []
    grown: list[int] = []

    def on_progress(step: BuildProgress) -> None:
        if step.step != "measure":
            return
        seen.append(step.done)
        if step.done == 3:
            nodes.remove_node(second, allow_graceful=False)
            until(lambda: crew.slots == 1)
        if step.done == 5:
            nodes.join("third")
            until(lambda: crew.slots == 2)
            grown.append(crew.slots)

    with connected(nodes.address) as crew:
        zoo = build(small_tasks, small_zoo, crew, on_progress)
        with worked_on(ADDRESS) as site:
            around = [told for _, told in crew.each(look_around, [site.zoo.portable()] * 4)]
    assert first
    assert seen == list(range(1, PAIRS + 1))
    assert grown == [2]
    assert own(zoo) == own(plain)
    assert {task.name: task.weights for task in zoo.tasks()} == {
        task.name: task.weights for task in plain.tasks()
    }
    assert verify_zoo(zoo).ok
    assert len(pairs_of(zoo)) == PAIRS
    # none saw the folder of the driver, all read the store, the one that joined too
    assert {seen for _, seen, _ in around} == {False}
    assert all(content for _, _, content in around)
    for name in ("first", "third"):
        assert {name.partition("/")[0] for name in fetched(caches(name))} == {"weights", "build"}
        assert not list(caches(name).rglob("*.lance"))
    assert not [key for key in keys(ADDRESS) if key.startswith("build/")]
    assert crew.traffic.read_bytes > 0


def drive(cache: Path, address: str, base: Path, tasks: list[Task], heard: Any) -> None:
    """In a process of its own: the driver, which tells what is done."""
    os.environ["TANS_CACHE"] = str(cache)
    torch.set_num_threads(1)
    with connected(address) as crew:
        build(tasks, Zoo.open(base), crew, lambda step: heard.put((step.step, step.done)))
    heard.put(("ended", 0))


def test_a_driver_dies_and_another_machine_goes_on(
    nodes: Any,
    caches: Callable[[str], Path],
    small_zoo: Zoo,
    small_tasks: list[Task],
    plain: Zoo,  # noqa: F811
) -> None:
    nodes.join("first")
    nodes.join("second")
    nodes.wait_for_nodes()
    forks = get_context("spawn")

    def drive_until(name: str, last: tuple[str, int]) -> None:
        """Begin a driver, and kill it when it has told that."""
        heard = forks.Queue()  # one that died may hold its lock for ever
        given = (caches(name), nodes.address, small_zoo.path, small_tasks, heard)
        driver = forks.Process(target=drive, args=given)
        driver.start()
        try:
            while heard.get(timeout=PATIENCE_S) != last:
                pass
        finally:
            os.kill(driver.pid or 0, signal.SIGKILL)
            driver.join()

    drive_until("one", ("measure", 7))
    left = Zoo.open(ADDRESS)  # whole, with the batches that were committed
    measured = own(left)
    assert 0 < len(measured) < PAIRS
    assert verify_zoo(left).ok
    trained = [cost for cost in left.costs.read() if cost.step == "train"]
    drive_until("two", ("ended", 0))
    zoo = Zoo.open(ADDRESS)
    assert own(zoo) == own(plain)
    assert verify_zoo(zoo).ok
    assert [cost for cost in zoo.costs.read() if cost.step == "train"] == trained
    assert len(trained) == len(small_tasks)
    assert {entry.id for entry in measured} <= {entry.id for entry in zoo.entries()}
    # a pair of the batch that was lost may stand in the ledger once; none was measured thrice
    assert len(pairs_of(zoo)) == PAIRS
    assert IMAGENET in {task.name for task in zoo.tasks()}


def test_a_store_that_is_gone_ends_the_build_with_a_message(
    nodes: Any, server: Any, small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    nodes.join("first")
    nodes.wait_for_nodes()

    def on_progress(step: BuildProgress) -> None:
        if (step.step, step.done) == ("measure", 2):
            server.stop()

    with connected(nodes.address) as crew, pytest.raises(ZooError, match="cannot be reached"):
        build(small_tasks, small_zoo, crew, on_progress)
