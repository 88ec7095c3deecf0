"""A network that learns several tasks at once."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.build import base
from tans.build.generalist import GeneralistSettings, train_generalist
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import Network
from tans.tasks.task import Task
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL

FEW = GeneralistSettings(steps=6, tasks=2, images=8, resolutions=(32, 32, 48), learning_rate=0.1)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build(ref_of(LITE0.smallest, 32), classes=4).eval()


def trained(network: Network, tasks: list[Task], settings: GeneralistSettings) -> Network:
    own = copy.deepcopy(network)
    train_generalist(own, tasks, settings)
    return own


@pytest.mark.long
def test_the_body_learns_and_the_head_stays(network: Network, small_tasks: list[Task]) -> None:
    told: list[tuple[int, float, float]] = []
    own = copy.deepcopy(network)
    settings = replace(FEW, steps=60, resolutions=(32,))
    train_generalist(own, small_tasks, settings, lambda *step: told.append(step))
    assert [step for step, _, _ in told] == [20, 40, 60]
    assert told[-1][1] < 0.5 * told[0][1] < math.log(3)  # which is what guessing costs
    assert torch.equal(own.classifier.weight, network.classifier.weight)
    assert not own.training


@pytest.mark.long
def test_the_same_seed_gives_the_same_network(network: Network, small_tasks: list[Task]) -> None:
    one, again, other = (
        trained(network, small_tasks, replace(FEW, seed=seed)).weights() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_what_is_held_on_to_moves_less(network: Network, small_tasks: list[Task]) -> None:
    distances = []
    for keep in (0.0, 1.0):
        own = copy.deepcopy(network)
        settings = replace(FEW, steps=60, keep=keep, learning_rate=0.01, resolutions=(32,))
        train_generalist(own, small_tasks, settings, lambda *step: distances.append(step[2]))
    free, held = distances[2], distances[5]
    assert held < 0.7 * free


@pytest.mark.long
def test_a_stopped_training_goes_on(
    network: Network, small_tasks: list[Task], tmp_path: Path
) -> None:
    settings, checkpoint = replace(FEW, steps=45), tmp_path / "checkpoint"
    whole, parts, again = (copy.deepcopy(network) for _ in range(3))
    train_generalist(whole, small_tasks, settings)
    steps: list[int] = []

    def stop(step: int, *_: float) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_generalist(parts, small_tasks, settings, stop, checkpoint)
    train_generalist(again, small_tasks, settings, lambda *s: steps.append(s[0]), checkpoint)
    assert checkpoint.exists()
    for name, tensor in whole.weights().items():
        assert torch.allclose(again.weights()[name], tensor, atol=1e-5), name
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 45
    # what another training wrote is not gone on from
    train_generalist(parts, small_tasks, replace(FEW, seed=9), None, checkpoint)
    assert torch.load(checkpoint, weights_only=True)["step"] == FEW.steps


@pytest.mark.long
def test_a_base_is_distilled_from_a_generalist(
    small_tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BASE_SUBNETS", 2)
    told: list[str] = []
    for name, general in (("plain", None), ("general", FEW)):
        settings = replace(SMALL, generalist=general)
        zoo = Zoo.create(tmp_path / name)
        base.ensure_base(
            zoo,
            small_tasks,
            settings,
            None,
            lambda step, name=name: told.append(f"{name}: {step.step}"),
        )
    assert "general: learn" in told
    assert "plain: learn" not in told
    plain, learnt = (Zoo.open(tmp_path / name) for name in ("plain", "general"))
    assert plain.base != learnt.base
    assert not list((tmp_path / "general").glob("*.checkpoint"))
    (card,) = (task.card for task in learnt.tasks() if task.name == IMAGENET)
    assert "after learning from the training images of red, blue" in card["made"]
