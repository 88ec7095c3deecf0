"""Measuring through what the subnets of a task share gives what measuring each alone gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.build.measure import Meter, accuracies
from tans.build.settings import subnets_of
from tans.errors import ZooError
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.features import functional_embedding, reference_similarities
from tans.tasks.task import Task
from tans.training import accuracy
from tans.types import NetworkRef
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL, drawn_task


def subnets(task: Task) -> list[NetworkRef]:
    return subnets_of(task.name, replace(SMALL, subnets=6))


@pytest.mark.long
def test_a_pair_is_measured_as_its_stored_network_is(
    small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    for task in small_tasks:
        weights = small_zoo.task(task.name).weights
        meter = Meter.of(small_zoo, task, weights)
        for ref in subnets(task):
            entry = meter.entry(ref)
            network = small_zoo.load_network(ref, weights, task.name)
            assert accuracy(network, *task.split("val", 32)) == entry.val_accuracy
            assert accuracy(network, *task.split("test", 32)) == entry.accuracy
            assert tuple(functional_embedding(network).tolist()) == entry.functional
            assert tuple(reference_similarities(network).tolist()) == entry.similarities


@pytest.mark.long
def test_what_was_stored_by_a_build_is_measured_again(
    small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    (task, _), stored = small_tasks, {entry.id: entry for entry in small_zoo.entries()}
    meter = Meter.of(small_zoo, task, small_zoo.task(task.name).weights)
    measured = [meter.entry(ref) for ref in subnets(task)]
    known = [entry for entry in measured if entry.id in stored]
    assert len(known) == SMALL.subnets
    for entry in known:
        assert entry.val_accuracy == stored[entry.id].val_accuracy
        assert entry.ref == stored[entry.id].ref


@pytest.mark.parametrize("count", [1, 63, 65, 129, 300, 513])
@pytest.mark.long
def test_accuracies_do_not_depend_on_batches(
    small_zoo: Zoo, small_tasks: list[Task], count: int
) -> None:
    name = small_tasks[0].name
    weights, smallest = small_zoo.task(name).weights, ref_of(LITE0.smallest, 32)
    network = small_zoo.load_network(smallest, weights, name)
    images = drawn_task("grey", "three", n=900).pixels.at(32)[:count]
    labels = torch.arange(count) % 3
    found = accuracies(network, [(images, labels), (images[:0], labels[:0])])
    assert found == [accuracy(network, images, labels), None]


def test_without_held_out_images_nothing_is_measured(small_zoo: Zoo) -> None:
    assert small_zoo.base is not None
    meter = Meter.read(small_zoo, IMAGENET, small_zoo.base, "Apache-2.0", resolution=48)
    entry = meter.entry(ref_of(LITE0.smallest, 48))
    assert (entry.val_accuracy, entry.accuracy, entry.resolution) == (None, None, 48)


def test_a_task_that_is_not_stored_cannot_be_measured(small_zoo: Zoo) -> None:
    with pytest.raises(ZooError, match="no task 'grey'"):
        Meter.of(small_zoo, drawn_task("grey", "three"), "0" * 64)
