"""Every path computes on a card, as well as on the processor, and goes back and forth in no loop.

The card is one that is not there (``tests.pretended``). PyTorch forgets no device, and must know of
it before it first computes: these tests have a process of their own, which ``test_on_a_card`` runs.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from tans.build.generalist import GeneralistSettings, train_generalist
from tans.build.measure import Meter
from tans.build.supernets import distil, train_supernet
from tans.costs.pace import measure_s
from tans.meta.presets import MetaSettings
from tans.meta.train import meta_train
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.specification import LITE0, get_space, ref_of
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.family import build
from tans.networks.features import functional_embedding, image_features, reference_similarities
from tans.networks.network import Network
from tans.networks.probe import linear_head, logme, probe_accuracy
from tans.search.look import look_at
from tans.tasks.task import Task
from tans.training import Recipe, finetune, predict, probe
from tans.types import InputSpec, NetworkRef
from tans.zoo.zoo import Zoo
from tests.meta.synthetic import QUICK, make_data
from tests.pretended import KIND, card
from tests.training.bars import bars

T = TypeVar("T")
SMALL = NetworkRef("timm", "test_byobnet", InputSpec(32))
FAMILIES = [
    ref_of(LITE0.smallest, 32),
    ref_of(get_space("ofa-mbv3").smallest, 32),
    NetworkRef("timm", "test_efficientnet", InputSpec(32)),
    NetworkRef("timm", "test_vit", InputSpec(160)),
    NetworkRef("torchvision", "resnet18", InputSpec(32)),
    pytest.param(NetworkRef("torchvision", "swin_t", InputSpec(32)), marks=pytest.mark.long),
    NetworkRef(
        "transformers",
        'vit {"hidden_size":24,"image_size":32,"intermediate_size":24,"num_attention_heads":2,'
        '"num_hidden_layers":2,"patch_size":8}',
        InputSpec(32),
    ),
]


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    network = build(SMALL, 2)
    recalibrate(network, noise(32, 32))
    return network


def noise(count: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def counted(act: Callable[[], T]) -> tuple[T, Counter[str]]:
    """What an act gives on a card, how often it was waited for, and what moved."""
    with card() as found:
        return act(), found.counts


@pytest.mark.parametrize("ref", FAMILIES, ids=lambda ref: f"{ref.family}-{ref.name[:12]}")
def test_networks_of_each_family_pass_forward_and_back(ref: NetworkRef) -> None:
    torch.manual_seed(0)
    network, images = build(ref, 3), noise(4, ref.input.size)
    network.replace_head(3, deep=True)
    recalibrate(network, images)
    expected = predict(network, images)
    features = image_features(network, images, of_head=True)

    def passes() -> tuple[Tensor, Tensor, list[bool]]:
        given = predict(network, images), image_features(network, images, of_head=True)
        x = noise(4, ref.input.size).float().to(network.classifier.weight.device)
        network.train()(x).sum().backward()
        assert {p.device.type for p in network.parameters()} == {KIND}
        return *given, [p.grad is not None for p in network.parameters() if p.requires_grad]

    (scores, read, moved), _ = counted(passes)
    assert scores.device.type == read.device.type == "cpu"
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(read, features, rtol=1e-3, atol=1e-3)
    assert any(moved)


def test_many_batches_are_moved_in_one_go(network: Network) -> None:
    few, many = (
        counted(lambda n=n: predict(copy.deepcopy(network), noise(n, 32)))[1] for n in (200, 1200)
    )
    assert few["wait"] == many["wait"] == 0
    assert few["up"] == many["up"]
    assert few["down"] == many["down"] == 2  # scores and lengths


def test_statistics_and_embeddings_are_taken_there(network: Network) -> None:
    expected = functional_embedding(network), reference_similarities(network)

    def taken() -> tuple[Tensor, Tensor]:
        recalibrate(network, noise(32, 32))
        return functional_embedding(network), reference_similarities(network)

    found, counts = counted(taken)
    assert counts["wait"] == 0
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_look_gives_the_same_accuracy(network: Network) -> None:
    task = bars(40)
    network.replace_head(2, deep=True)
    expected = probe(copy.deepcopy(network), task)
    found, counts = counted(lambda: probe(network, task))
    assert found == pytest.approx(expected, abs=0.05)
    assert counts["wait"] == 0
    assert counts["down"] == 1


def tuned_on(network: Network, task: Task, **settings: float) -> tuple[Network, Counter[str]]:
    recipe = replace(Recipe(epochs=2, batch_size=8), **settings)
    run, counts = counted(lambda: finetune(network, task, recipe=recipe))
    assert run.network.classifier.weight.device.type == KIND
    return run, counts


@pytest.mark.long
def test_a_fine_tune_learns_there_as_it_does_here(network: Network) -> None:
    task = bars(60)
    found, _ = tuned_on(network, task, epochs=3)
    expected = finetune(network, task, recipe=Recipe(epochs=3, batch_size=8))
    assert found.test_accuracy == pytest.approx(expected.test_accuracy, abs=0.1)
    losses = [[e.train_loss for e in run.history] for run in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05, abs=1e-3)


@pytest.mark.parametrize("average", [True, False])
def test_a_step_of_training_waits_for_nothing_and_brings_nothing_back(
    network: Network, average: bool
) -> None:
    task = bars(60)
    one, other = (
        tuned_on(copy.deepcopy(network), task, batch_size=size, average=average)[1]
        for size in (16, 8)
    )
    steps = [Recipe(batch_size=size).steps(int((task.splits == 0).sum())) for size in (16, 8)]
    assert steps[1] > steps[0]
    assert one["wait"] == other["wait"] == 2  # the loss of each epoch
    assert one["down"] == other["down"]
    assert other["up"] - one["up"] == 2 * (steps[1] - steps[0])  # how images are changed, in one go


def test_images_beyond_the_memory_of_a_card_are_moved_batch_by_batch(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = bars(60)
    monkeypatch.setattr("tans.networks.device.free_bytes", lambda _: 1)
    found, counts = tuned_on(network, task)
    assert counts["wait"] == 2
    assert len(found.history) == 3


def test_teachers_are_asked_there(network: Network) -> None:
    task = bars(24)
    other = build(replace(SMALL, input=InputSpec(48)), 2)
    recalibrate(other, noise(8, 48))
    more = task.split("test", 32)[0]
    recipe = Recipe(epochs=1, batch_size=8)
    _, counts = counted(
        lambda: finetune(network, task, recipe=recipe, teachers=[other], unlabelled=more)
    )
    assert counts["wait"] == 1


@pytest.mark.long
def test_a_supernet_is_trained_and_distilled_there() -> None:
    images, labels = bars(24).split("train", 32)
    recipe = Recipe(epochs=1, batch_size=8, augment=0)
    supernet, teacher = Supernet(LITE0, 2, 32), build(ref_of(LITE0.largest, 32), 2)

    def train() -> None:
        train_supernet(supernet, images, labels, recipe)
        distil(supernet, teacher, images, recipe)

    _, counts = counted(train)
    assert {p.device.type for p in supernet.parameters()} == {KIND}
    assert counts["wait"] == counts["down"] == 0


def test_a_generalist_is_trained_there(network: Network, small_tasks: list[Task]) -> None:
    settings = GeneralistSettings(steps=3, tasks=2, images=4, resolutions=(32,))
    told: list[tuple[int, float, float]] = []
    _, counts = counted(
        lambda: train_generalist(network, small_tasks, settings, lambda *step: told.append(step))
    )
    assert len(told) == 1
    assert counts["wait"] == 0
    assert counts["down"] == 1


def test_pairs_are_measured_there_and_images_moved_once(
    small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    task = small_tasks[0]
    stored = small_zoo.entries(task=task.name)

    found = []
    with card() as pretended:
        meter = Meter.of(small_zoo, task, small_zoo.task(task.name).supernet)
        for entry in stored[:2]:
            pretended.counts.clear()
            found.append((meter.entry(entry.ref).accuracy, pretended.counts.copy()))
    for entry, (accuracy, moves) in zip(stored, found, strict=False):
        assert entry.accuracy is not None
        assert accuracy == pytest.approx(entry.accuracy, abs=0.1)
        assert moves["wait"] == 0
        assert moves["down"] == 4  # scores of two splits, and two embeddings


def test_a_zoo_gives_networks_on_the_processor_and_looks_at_them_on_the_card(
    small_zoo: Zoo, small_tasks: list[Task]
) -> None:
    entry = next(e for e in small_zoo.entries() if e.task == "red")

    def look() -> tuple[float, str]:
        own = small_zoo.load(entry.id, 3)
        return look_at(small_tasks[1], small_zoo, entry).accuracy, own.classifier.weight.device.type

    (accuracy, where), _ = counted(look)
    assert where == "cpu"
    assert accuracy == pytest.approx(look_at(small_tasks[1], small_zoo, entry).accuracy, abs=0.1)


RANKED = replace(QUICK, normalisation="separate", part_dropout=0.2, ranking_weight=1.0)


@pytest.mark.parametrize("settings", [QUICK, RANKED, replace(RANKED, pooling="attention")])
def test_meta_training_learns_there_what_it_learns_here(settings: MetaSettings) -> None:
    settings, data = replace(settings, steps=30, evaluate_every=15), make_data()
    expected = meta_train(data, settings)
    losses: list[float] = []
    found, counts = counted(lambda: meta_train(data, settings, lambda s: losses.append(s.loss)))
    torch.testing.assert_close(found.matrix, expected.matrix, rtol=1e-2, atol=1e-3)
    assert counts["wait"] == 4  # losses of the first step, of those judged, and of each 20th
    assert len(losses) == 30
    assert {p.device.type for m in found.members for p in m.parameters()} == {"cpu"}


@pytest.mark.parametrize("blocks", [None, (5, 7)])
def test_probes_fit_features_of_a_card(blocks: tuple[int, ...] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(30, 12, generator=generator), torch.arange(30) % 3

    def fitted(where: str) -> tuple[Tensor, float, float]:
        x, y = features.to(where), labels.to(where)
        weight, _ = linear_head(x, y, 3, blocks=blocks)
        accuracy = probe_accuracy(x, y, torch.arange(30) % 5, blocks)
        return weight.cpu(), accuracy, logme(x, y)

    expected = fitted("cpu")
    (weight, accuracy, evidence), _ = counted(lambda: fitted(KIND))
    torch.testing.assert_close(weight, expected[0], rtol=1e-3, atol=1e-4)
    assert (accuracy, evidence) == pytest.approx(expected[1:])


def test_pace_is_that_of_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tans.costs.pace.ROUNDS", 2)
    pace, counts = counted(lambda: measure_s([ref_of(LITE0.smallest, 16)]))
    assert pace.training[0] > 0
    assert counts["wait"] == 0


def test_what_is_mixed_fails() -> None:
    with card(), pytest.raises(RuntimeError, match="one device"):
        torch.ones(3, device=KIND) + torch.ones(3)
