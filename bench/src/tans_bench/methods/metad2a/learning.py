"""Meta-training of generator and predictor, each by itself, and what is kept of it.

Reference: Lee, Hyung and Hwang, Rapid Neural Architecture Search by Learning to Generate Graphs
from Datasets, ICLR 2021 (sections 3.2 and 3.3, and their released settings).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tans.files import cache_dir, write_file
from tans.networks.device import device
from tans_bench.methods.metad2a.encoder import Sets
from tans_bench.methods.metad2a.generator import Generator
from tans_bench.methods.metad2a.graphs import Graphs
from tans_bench.methods.metad2a.pairs import Dataset, Pairs
from tans_bench.methods.metad2a.predictor import Predictor

SCHEMA = 2
"""Version of what is kept in the cache."""
WEIGHTS, ABOUT = "weights.safetensors", "metad2a.json"
LARGEST = 1000
"""Graphs that are read at once, at most."""


@dataclass(frozen=True)
class MetaD2ASettings:
    """How generator and predictor are learnt, and how many graphs are drawn."""

    latent: int = 56
    """Numbers that a dataset becomes."""
    generator_width: int = 56
    """Numbers of a vertex's state in the generator."""
    predictor_width: int = 512
    """Likewise in the predictor."""
    images: int = 20
    """Of each class that an encoder sees, at most."""
    generator_epochs: int = 400
    """Passes over the good pairs."""
    predictor_epochs: int = 400
    """Passes over the pairs that are not held out, at most."""
    held_out: float = 0.1
    """Share of each task's pairs that tell when the predictor gets no better."""
    patience: int = 20
    """Passes without a lower error on these after which it is done; its best weights are kept."""
    batch_size: int = 32
    """Pairs a step."""
    batch_tasks: int = 32
    """Tasks that the pairs of a step are from, at most."""
    learning_rate: float = 1e-4
    """Of Adam at the start. The generator's falls along a cosine to zero; the predictor's halves
    whenever half of the patience is gone."""
    divergence_weight: float = 5e-3
    """Of the latent's divergence from a standard normal distribution."""
    good: float = 0.25
    """Share of each task's pairs that the generator learns from."""
    candidates: int = 200
    """Architectures within the limits that the predictor chooses from."""
    seed: int = 0
    """Of the first weights, the order of the pairs, and the noise."""


FULL = MetaD2ASettings()
"""As published; a pass is over the pairs that there are here."""
SMALL = MetaD2ASettings(
    predictor_width=96,
    images=6,
    generator_epochs=80,
    predictor_epochs=200,
    batch_size=64,
    batch_tasks=8,
    learning_rate=1e-3,
)
"""Minutes on one core: narrower, at a higher rate, on fewer images; the predictor for as long as it
gets better."""
FULL_CELLS = replace(FULL, candidates=500)
"""As published for NAS-Bench-201."""
SMALL_CELLS = replace(SMALL, generator_epochs=400, candidates=500)
"""Of a few hundred pairs, where a pass is a few steps."""


@dataclass(frozen=True)
class PredictorEpoch:
    """Mean squared errors of the predictor's scores in one pass."""

    epoch: int
    """Counted from 1."""
    loss: float
    """On the pairs that are learnt from, while they are."""
    held_out: float
    """After it, on those that are not; a score that is always the mean has about 1."""
    learning_rate: float


@dataclass(frozen=True, eq=False)
class Learnt:
    """A generator and a predictor of one space."""

    graphs: Graphs
    settings: MetaD2ASettings
    generator: Generator
    predictor: Predictor
    curve: tuple[PredictorEpoch, ...] = ()
    """How the predictor was learnt."""

    @classmethod
    def untrained(cls, graphs: Graphs, inputs: int, settings: MetaD2ASettings) -> Learnt:
        """With first weights, for image features of width ``inputs``."""
        latent = settings.latent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            generator = Generator(graphs, inputs, latent, settings.generator_width)
            predictor = Predictor(graphs, inputs, latent, settings.predictor_width)
        return cls(graphs, settings, generator.eval(), predictor.eval())

    def generate(
        self, dataset: Dataset, count: int, seed: int, *, masked: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Graphs for a dataset: types int64 (count, v), edges bool (count, v, v).

        Args:
            dataset: features (n, f) and labels (n,).
            count: how many.
            seed: of the draws.
            masked: draw only what makes a valid graph, else anything.
        """
        generator = torch.Generator().manual_seed(seed)
        return self.generator.sample(self._set(dataset, generator), count, generator, masked=masked)

    @torch.no_grad()
    def predict(self, dataset: Dataset, types: Tensor) -> Tensor:
        """Scores (n,) of graphs of types (n, v) for a dataset; more is better.

        A score is the deviation from the mean accuracy of the space's architectures on the
        dataset, in their standard deviations: the order is all that a choice needs.
        """
        sets = self._set(dataset, torch.Generator().manual_seed(self.settings.seed))
        which = torch.zeros(len(types), dtype=torch.int64)
        parts = zip(which.split(LARGEST), types.split(LARGEST), strict=True)
        return torch.cat([self.predictor(sets, *part) for part in parts])

    def _set(self, dataset: Dataset, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return Sets.of([dataset]).draw(torch.tensor([0]), self.settings.images, generator)

    @property
    def _modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"generator": self.generator, "predictor": self.predictor})


def meta_learn(pairs: Pairs, settings: MetaD2ASettings) -> Learnt:
    """Train a generator and a predictor; the same call gives the same."""
    inputs = pairs.sets.features.shape[1]
    learnt = Learnt.untrained(pairs.graphs, inputs, settings)
    learnt.generator.encoder.standardise(pairs.sets.features[:-1])
    learnt.predictor.encoder.standardise(pairs.sets.features[:-1])
    _learn_to_generate(learnt.generator, pairs, settings)
    return replace(learnt, curve=tuple(_learn_to_predict(learnt.predictor, pairs, settings)))


def kept(pairs: Pairs, settings: MetaD2ASettings) -> Learnt:
    """What ``meta_learn`` gives, from the cache where it was learnt before."""
    digest = hashlib.sha256(f"{SCHEMA} {pairs.digest()} {asdict(settings)}".encode()).hexdigest()
    folder = cache_dir("metad2a", digest[:16])
    learnt = Learnt.untrained(pairs.graphs, pairs.sets.features.shape[1], settings)
    stored = _read(learnt, folder)
    if stored is None:
        stored = meta_learn(pairs, settings)
        _write(stored, folder, list(pairs.datasets))
    return stored


def _read(untrained: Learnt, folder: Path) -> Learnt | None:
    """The same with what is kept in a folder; None where nothing undamaged is."""
    try:
        untrained._modules.load_state_dict(load_file(folder / WEIGHTS))
        curve = json.loads((folder / ABOUT).read_text())["curve"]
        return replace(untrained, curve=tuple(PredictorEpoch(**epoch) for epoch in curve))
    except (OSError, SafetensorError, RuntimeError, ValueError, LookupError, TypeError):
        return None


def _write(learnt: Learnt, folder: Path, tasks: Sequence[str]) -> None:
    state = {name: value.contiguous() for name, value in learnt._modules.state_dict().items()}
    write_file(folder / WEIGHTS, save(state))
    curve = [asdict(epoch) for epoch in learnt.curve]
    about = {"schema": SCHEMA, "tasks": tasks, "settings": asdict(learnt.settings), "curve": curve}
    write_file(folder / ABOUT, (json.dumps(about, indent=1) + "\n").encode())


def _learn_to_generate(module: Generator, pairs: Pairs, settings: MetaD2ASettings) -> None:
    """Reconstruct each task's good architectures from the task's latent."""

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        sets, which = _sets_of(pairs, rows, settings.images, generator)
        types = pairs.types[rows].to(which.device)
        return module.loss(sets, which, types, settings.divergence_weight, generator)

    rows = pairs.good(settings.good)
    _minimise(module, loss, pairs.tasks, rows, settings.generator_epochs, settings)


def _learn_to_predict(
    module: Predictor, pairs: Pairs, settings: MetaD2ASettings
) -> list[PredictorEpoch]:
    """Squared error of the scores, until that of held-out pairs falls no more; in place."""

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        sets, which = _sets_of(pairs, rows, settings.images, generator)
        types, scores = (values[rows].to(which.device) for values in (pairs.types, pairs.scores))
        return F.mse_loss(module(sets, which, types), scores)

    learnt, held = pairs.held_out(settings.held_out, settings.seed)
    steps = _Steps(module, loss, pairs.tasks, learnt, settings)
    best, curve, stale = deepcopy(module.state_dict()), list[PredictorEpoch](), 0
    for epoch in range(1, settings.predictor_epochs + 1):
        rate = steps.rate
        taught = steps.run(math.ceil(len(learnt) / settings.batch_size))
        error = _error(module, loss, held, settings)
        lowest = min((past.held_out for past in curve), default=math.inf)
        curve.append(PredictorEpoch(epoch, round(taught, 5), round(error, 5), rate))
        stale = 0 if error < lowest else stale + 1
        if not stale:
            best = deepcopy(module.state_dict())
        if stale == settings.patience:
            break
        if stale and stale % max(1, settings.patience // 2) == 0:
            steps.rate /= 2
    module.load_state_dict(best)
    module.cpu().eval()
    return curve


@torch.no_grad()
def _error(
    module: nn.Module,
    loss: Callable[[Tensor, torch.Generator], Tensor],
    rows: Tensor,
    settings: MetaD2ASettings,
) -> float:
    """Mean over some pairs, of the same drawn images each time."""
    generator = torch.Generator().manual_seed(settings.seed)
    module.eval()
    parts = rows.split(LARGEST)
    sums = [loss(part, generator).item() * len(part) for part in parts]
    module.train()
    return sum(sums) / len(rows)


def _sets_of(
    pairs: Pairs, rows: Tensor, images: int, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Drawn images of each task that pairs (n,) are of, and which of them is each pair's (n,)."""
    tasks, which = pairs.tasks[rows].unique(return_inverse=True)
    features, mask = pairs.sets.draw(tasks, images, generator)
    return (features.to(device()), mask.to(device())), which.to(device())


def _minimise(
    module: nn.Module,
    loss: Callable[[Tensor, torch.Generator], Tensor],
    tasks: Tensor,
    rows: Tensor,
    epochs: int,
    settings: MetaD2ASettings,
) -> None:
    """Steps on some rows for so many passes, the rate falling along a cosine; in place."""
    steps = _Steps(module, loss, tasks, rows, settings)
    count = epochs * math.ceil(len(rows) / settings.batch_size)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(steps.optimiser, max(1, count))
    for _ in range(count):
        steps.run(1)
        decay.step()
    module.cpu().eval()


class _Steps:
    """Adam on batches of some rows, whose tasks are given for all rows."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Tensor, torch.Generator], Tensor],
        tasks: Tensor,
        rows: Tensor,
        settings: MetaD2ASettings,
    ) -> None:
        module.to(device()).train()
        self.loss, self.tasks, self.rows, self.settings = loss, tasks[rows], rows, settings
        self.optimiser = torch.optim.Adam(module.parameters(), settings.learning_rate, fused=True)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.present = self.tasks.unique()

    @property
    def rate(self) -> float:
        """Of learning, of the next step."""
        return float(self.optimiser.param_groups[0]["lr"])

    @rate.setter
    def rate(self, value: float) -> None:
        self.optimiser.param_groups[0]["lr"] = value

    def run(self, count: int) -> float:
        """So many steps; their mean loss."""
        return sum(self._step() for _ in range(count)) / count

    def _step(self) -> float:
        settings = self.settings
        order = torch.randperm(len(self.present), generator=self.generator)
        chosen = self.present[order[: settings.batch_tasks]]
        own = self.rows[torch.isin(self.tasks, chosen)]
        drawn = torch.randint(len(own), (settings.batch_size,), generator=self.generator)
        value = self.loss(own[drawn], self.generator)
        self.optimiser.zero_grad()
        value.backward()
        self.optimiser.step()
        return value.item()
