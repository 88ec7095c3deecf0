"""The generator learns what it is shown, the predictor what there is to learn."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.meta.metrics import spearman
from tans.types import Architecture
from tans_bench.methods.metad2a.graphs import cell_graphs
from tans_bench.methods.metad2a.learning import SMALL, Learnt, MetaD2ASettings, kept, meta_learn
from tans_bench.methods.metad2a.pairs import Pair, Pairs
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

TINY = MetaD2ASettings(
    latent=8,
    generator_width=12,
    predictor_width=12,
    images=3,
    generator_epochs=1,
    predictor_epochs=1,
    batch_size=8,
    batch_tasks=2,
    learning_rate=1e-3,
    candidates=20,
)
"""Of which nothing can be expected."""
LEARNS = replace(TINY, generator_width=32, learning_rate=1e-2, batch_size=16, predictor_width=24)
CONVOLUTION = 3


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    return tmp_path


def dataset(mean: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, 6, generator=generator) + mean, torch.arange(12) % 3


def convolutions(architecture: Architecture) -> int:
    return sum(operation == CONVOLUTION for stage in architecture.stages for operation, _ in stage)


def planted(count: int = 60) -> Pairs:
    """On task ``many`` accuracy rises with the convolutions of a cell, on ``few`` it falls."""
    drawn = random.Random(0)
    sampled = [NAS_BENCH_201.sample(drawn) for _ in range(count)]
    measured = [
        Pair(task, a, 0.5 + sign * 0.05 * convolutions(a), 1)
        for task, sign in (("many", 1), ("few", -1))
        for a in sampled
    ]
    return Pairs(cell_graphs(), {"many": dataset(2.0), "few": dataset(-2.0)}, measured)


def taught(*cells: Architecture) -> Pairs:
    """One cell for each task, named by its place."""
    datasets = {str(k): dataset(3.0 * k) for k in range(len(cells))}
    return Pairs(cell_graphs(), datasets, [Pair(str(k), a, 0.5, 1) for k, a in enumerate(cells)])


@pytest.mark.long
def test_the_generator_writes_the_one_graph_that_a_dataset_was_taught_with() -> None:
    cells = NAS_BENCH_201.cell([0, 1, 2, 3, 4, 0]), NAS_BENCH_201.cell([3, 3, 1, 0, 2, 4])
    pairs = taught(*cells)
    learnt = meta_learn(pairs, replace(LEARNS, generator_epochs=150))
    for place, cell in enumerate(cells):
        types, edges = learnt.generate(pairs.datasets[str(place)], 50, seed=1)
        valid = learnt.graphs.valid(types, edges)
        assert valid.float().mean() > 0.8
        found = learnt.graphs.architectures(types[valid])
        assert found.count(cell) > 0.8 * len(found)


@pytest.mark.long
def test_the_predictor_finds_a_planted_effect_and_what_it_owes_to_the_dataset() -> None:
    pairs = planted()
    settings = replace(LEARNS, predictor_epochs=60, patience=40, learning_rate=1e-3)
    learnt = meta_learn(pairs, settings)
    drawn = random.Random(7)
    unseen = [NAS_BENCH_201.sample(drawn) for _ in range(40)]
    counts = torch.tensor([float(convolutions(a)) for a in unseen])
    types = learnt.graphs.types(unseen)
    for task, sign in (("many", 1), ("few", -1)):
        scores = learnt.predict(pairs.datasets[task], types)
        assert sign * spearman(scores[:, None], counts[:, None]).item() > 0.7


def test_the_predictor_stops_when_it_gets_no_better_and_keeps_its_best() -> None:
    pairs = planted(20)
    settings = replace(LEARNS, predictor_epochs=60, patience=3, learning_rate=0.1)
    learnt = meta_learn(pairs, settings)
    errors = [epoch.held_out for epoch in learnt.curve]
    assert [epoch.epoch for epoch in learnt.curve] == list(range(1, len(errors) + 1))
    assert len(errors) < 60
    assert errors.index(min(errors)) == len(errors) - 1 - settings.patience
    assert learnt.curve[-1].learning_rate < learnt.curve[0].learning_rate
    stopped = replace(settings, predictor_epochs=len(errors) - settings.patience)
    assert same(meta_learn(pairs, stopped), learnt)


def test_the_curve_is_kept_beside_the_weights() -> None:
    pairs = planted(8)
    first = kept(pairs, TINY)
    assert len(first.curve) == TINY.predictor_epochs
    assert kept(pairs, TINY).curve == first.curve


def test_the_same_call_learns_the_same_and_leaves_the_global_generator() -> None:
    pairs, state = planted(8), torch.random.get_rng_state()
    first, second = meta_learn(pairs, TINY), meta_learn(pairs, TINY)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(first, second)
    assert not same(first, meta_learn(pairs, replace(TINY, seed=1)))


def test_what_was_learnt_is_kept_by_pairs_and_settings(cache: Path) -> None:
    pairs = planted(8)
    first = kept(pairs, TINY)
    files = list(cache.rglob("*.safetensors"))
    assert len(files) == 1
    before = files[0].stat().st_mtime_ns
    assert same(kept(pairs, TINY), first)
    assert files[0].stat().st_mtime_ns == before
    kept(pairs.without({"few"}), TINY)
    kept(pairs, replace(TINY, seed=1))
    assert len(list(cache.rglob("*.safetensors"))) == 3
    files[0].write_bytes(b"damaged")
    assert same(kept(pairs, TINY), first)


def test_predictions_do_not_depend_on_what_else_is_asked() -> None:
    pairs = planted(8)
    learnt = meta_learn(pairs, TINY)
    types = pairs.types[:6]
    alone = torch.cat([learnt.predict(pairs.datasets["few"], row[None]) for row in types])
    assert torch.allclose(learnt.predict(pairs.datasets["few"], types), alone, atol=1e-5)


def test_small_is_smaller_than_published() -> None:
    published = MetaD2ASettings()
    assert published.learning_rate == 1e-4
    assert published.latent == SMALL.latent == 56
    assert published.candidates == SMALL.candidates == 200
    assert SMALL.generator_epochs < published.generator_epochs


def same(a: Learnt, b: Learnt) -> bool:
    pairs = zip(
        [*a.generator.state_dict().values(), *a.predictor.state_dict().values()],
        [*b.generator.state_dict().values(), *b.predictor.state_dict().values()],
        strict=True,
    )
    return all(torch.equal(x, y) for x, y in pairs)
