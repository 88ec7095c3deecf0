"""A tiny zoo with random weights."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import fsspec
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from torch import Tensor

from tans.networks.families.elastic.specification import SPACES, ref_of
from tans.networks.family import build, describe
from tans.networks.features import REFERENCES
from tans.types import NetworkRef, ZooEntry
from tans.zoo.ids import entry_id
from tans.zoo.zoo import Zoo
from tests.zoo.stores import Faulty, emptied

SPACE = SPACES["lite0"]
LARGEST, SMALLEST = (ref_of(a, 32) for a in (SPACE.largest, SPACE.smallest))
CLASSES = ("cup", "fork", "spoon")
CARD = {
    "source": "drawn here",
    "version": "1",
    "licence": "CC0-1.0",
    "made": "at random",
    "family": "noise",
    "notes": "",
}


@dataclass(frozen=True)
class Tiny:
    """A zoo of one task with two subnets, and what was put into it."""

    zoo: Zoo
    base: str
    weights: str
    state: dict[str, Tensor]
    thumbnails: Tensor
    features: Tensor
    labels: Tensor
    entries: list[ZooEntry]


def random_state(seed: int, classes: int = len(CLASSES)) -> dict[str, Tensor]:
    """Weights of the largest network, drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(LARGEST, classes).weights()


def nearby(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights as training might have moved it."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: t + 0.01 * torch.randn(t.shape, generator=generator) if t.dim() > 1 else t
        for name, t in state.items()
    }


def make_entry(weights: str, ref: NetworkRef, task: str = "cutlery", seed: int = 0) -> ZooEntry:
    """An entry with measurements drawn from a seed, as float16 holds them."""
    known = describe(ref)
    generator = torch.Generator().manual_seed(seed)
    functional = torch.randn(known.width, generator=generator).half()
    similarities = torch.rand(REFERENCES * (REFERENCES - 1) // 2, generator=generator).half()
    return ZooEntry(
        id=entry_id(task, weights, ref),
        ref=ref,
        weights=weights,
        origins=(task,),
        licence="CC0-1.0",
        width=known.width,
        body_params=known.body_params,
        body_flops=known.body_flops,
        val_accuracy=None,
        accuracy=0.1 + 0.01 * seed,
        similarities=tuple(similarities.tolist()),
        topology=known.topology,
        functional=tuple(functional.tolist()),
    )


def some_entries(weights: str, count: int, seed: int = 0) -> list[ZooEntry]:
    """Entries of different random architectures."""
    rng = random.Random(seed)
    drawn = dict.fromkeys(SPACE.sample(rng) for _ in range(2 * count))
    return [make_entry(weights, ref_of(a, 32), seed=i) for i, a in enumerate(list(drawn)[:count])]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Made once; tests take a copy through ``tiny``."""
    zoo = Zoo.create(tmp_path_factory.mktemp("made") / "zoo")
    base_state = random_state(0)
    base = zoo.add_weights(base_state, base=None)
    zoo.set_base(base, LARGEST)
    state = nearby(base_state, seed=1)
    weights = zoo.add_weights(state, base=base)
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=generator)
    thumbnails = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)  # (64, 3, 64, 64)
    features, labels = torch.randn(6, SPACE.features, generator=generator), torch.arange(6) % 3
    zoo.add_task(
        "cutlery",
        classes=CLASSES,
        card=CARD,
        thumbnails=thumbnails,
        features=(features, labels),
        weights=weights,
        train_images=6,
        cost_s=1.5,
    )
    entries = [make_entry(weights, ref) for ref in (LARGEST, SMALLEST)]
    zoo.add_entries(entries)
    entries = sorted(entries, key=lambda entry: entry.id)
    return Tiny(zoo, base, weights, state, thumbnails, features, labels, entries)


@pytest.fixture
def tiny(made: Tiny, tmp_path: Path) -> Tiny:
    shutil.copytree(made.zoo.path, tmp_path / "zoo")
    return replace(made, zoo=Zoo.open(tmp_path / "zoo"))


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Empty stores in memory, and an empty cache."""
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    Faulty.calls, Faulty.fails_at = 0, None
    with emptied(MemoryFileSystem), emptied(Faulty):
        yield
