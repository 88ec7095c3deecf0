"""What building a zoo cost is on record."""

from __future__ import annotations

import pytest

from tans.build.spending import seconds_per_network, seconds_spent
from tans.tasks.task import Task
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL


def test_every_step_is_in_the_log_of_costs(small_zoo: Zoo, small_tasks: list[Task]) -> None:
    costs = small_zoo.costs.read()
    steps = [(cost.task, cost.step) for cost in costs]
    own = [(task.name, step) for task in small_tasks for step in ("train", "measure")]
    assert steps == [(IMAGENET, "distil"), *own]
    assert all(cost.seconds > 0 and cost.count > 0 for cost in costs)


@pytest.mark.long
def test_what_a_zoo_cost_is_known_by_step(measured_zoo: Zoo) -> None:
    spent = seconds_spent(measured_zoo)
    assert spent.keys() == {"distil", "train", "measure", "transfer"}
    assert min(spent.values()) > 0


def test_what_a_network_cost_is_known_by_task(measured_zoo: Zoo, small_tasks: list[Task]) -> None:
    each = seconds_per_network(measured_zoo)
    assert each.keys() == {task.name for task in small_tasks}
    assert sum(each.values()) * SMALL.subnets == pytest.approx(
        seconds_spent(measured_zoo)["measure"]
    )


def test_the_shipped_zoo_says_what_it_cost() -> None:
    spent = seconds_spent(Zoo.open())
    assert spent["distil"] == pytest.approx(1322.9)
    assert min(seconds_per_network(Zoo.open()).values()) > 0
