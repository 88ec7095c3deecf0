"""tans with a part left out or put in place of another (Figure 6 c-e): what is each part worth?

All choose by embeddings as in the paper: the most similar networks by cosine, then the best
predicted of them. None has a second look.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from torch import Tensor

from tans.errors import ZooError
from tans.files import cache_dir
from tans.meta.data import MetaData
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tans.networks.features import image_features
from tans.types import ZooEntry
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, QUERY_IMAGES, Zoo
from tans_bench.methods.method import UNTRAINED, Problem, Proposal
from tans_bench.methods.registry import Entrant
from tans_bench.methods.stored import within

DEFAULT = PRESETS["default"]
SHARE = 20
"""The small zoo holds one network in so many."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The stored networks that a problem allows, by a retriever."""

    entries: Sequence[ZooEntry]
    retriever: Retriever
    query: Tensor
    """float32 (w,), embedding of the task."""
    models: Tensor
    """float32 (n, w), embeddings of the networks."""
    once_s: float
    """Seconds of meta-training, or of reading what it left."""

    @cached_property
    def similarity(self) -> Tensor:
        """Cosine (n,) with the query."""
        return self.models @ self.query

    @cached_property
    def predicted(self) -> Tensor:
        """Accuracy (n,) in [0, 1]."""
        return self.retriever.predict(self.query, self.models)

    def best(self, first: int = DEFAULT.top) -> Proposal:
        """The best predicted of the ``first`` most similar."""
        rows = self.similarity.argsort(descending=True, stable=True)[:first]
        return self.propose(int(rows[self.predicted[rows].argmax()]))

    def propose(self, row: int) -> Proposal:
        """One of them."""
        return replace(Proposal.of(self.entries[row]), once_s=self.once_s)

    def take(self, rows: Sequence[int]) -> Scored:
        """Some of them."""
        entries = [self.entries[row] for row in rows]
        return replace(self, entries=entries, models=self.models[torch.tensor(rows)])


def scored(problem: Problem, zoo: Zoo, settings: MetaSettings | None = None) -> Scored:
    """Embed the task and compare it with the networks within its limits.

    Args:
        settings: of meta-training, ``DEFAULT`` when None.

    Raises:
        LimitError: there are none.
    """
    began = time.perf_counter()
    retriever = _retriever(zoo.path, settings or DEFAULT)
    once_s = time.perf_counter() - began
    images, labels = problem.task.sample(QUERY_IMAGES, zoo.resolution)
    query = retriever.encode_query(image_features(zoo.query_network(), images), labels)  # (w,)
    entries = within(zoo.entries(vectors=False), problem)
    places = {id: row for row, id in enumerate(zoo.columns().ids())}
    models = retriever.matrix[torch.tensor([places[entry.id] for entry in entries])]  # (n, w)
    return Scored(entries, retriever, query, models, once_s)


def embeddings(problem: Problem, zoo: Zoo, settings: MetaSettings | None = None) -> Proposal:
    """The whole of the paper's search."""
    return scored(problem, zoo, settings).best()


def without_predictor(problem: Problem, zoo: Zoo) -> Proposal:
    """The most similar network."""
    return scored(problem, zoo).best(first=1)


def farthest(problem: Problem, zoo: Zoo) -> Proposal:
    """The least similar network."""
    found = scored(problem, zoo)
    return found.propose(int(found.similarity.argmin()))


def without_topology(problem: Problem, zoo: Zoo) -> Proposal:
    """A network is known by its answers alone."""
    return embeddings(problem, zoo, replace(DEFAULT, parts=("similarities",)))


def without_function(problem: Problem, zoo: Zoo) -> Proposal:
    """A network is known by its topology alone."""
    return embeddings(problem, zoo, replace(DEFAULT, parts=("topology",)))


def with_random_weights(problem: Problem, zoo: Zoo) -> Proposal:
    """The retrieved architecture, untrained."""
    chosen = embeddings(problem, zoo)
    return replace(chosen, source=UNTRAINED, weights=UNTRAINED, fit_head=False)


def with_imagenet_weights(problem: Problem, zoo: Zoo) -> Proposal:
    """The retrieved architecture as a subnet of the elastic base."""
    return replace(embeddings(problem, zoo), source=IMAGENET, weights=Sources.of(zoo).base.weights)


def of_a_small_zoo(problem: Problem, zoo: Zoo) -> Proposal:
    """The same search in one twentieth of the zoo's networks, drawn at random."""
    found = scored(problem, zoo)
    drawn = random.Random(problem.seed)
    count = max(1, len(found.entries) // SHARE)
    return found.take(drawn.sample(range(len(found.entries)), count)).best()


@lru_cache(maxsize=4)
def _retriever(folder: Path, settings: MetaSettings) -> Retriever:
    """A retriever of these settings on all of a zoo, kept in the cache."""
    data = MetaData.from_zoo(Zoo.open(folder))
    key = hashlib.sha256(f"{data.digest()} {json.dumps(asdict(settings))}".encode()).hexdigest()
    kept = cache_dir("retrievers", key[:16])
    try:
        return Retriever.load(kept)
    except ZooError:
        retriever = meta_train(data, settings)
        retriever.save(kept)
        return retriever


ABLATIONS: Mapping[str, Entrant] = {
    "no-predictor": Entrant(without_predictor, "no predictor", "the most similar network"),
    "no-topology": Entrant(
        without_topology, "no topology", "embeddings of the networks' answers alone"
    ),
    "no-function": Entrant(
        without_function, "no functional embedding", "embeddings of the networks' topology alone"
    ),
    "random-weights": Entrant(
        with_random_weights, "random weights", "the retrieved architecture, untrained"
    ),
    "imagenet-weights": Entrant(
        with_imagenet_weights, "ImageNet's weights", "the retrieved architecture in the base"
    ),
    "small-zoo": Entrant(
        of_a_small_zoo, f"1/{SHARE} of the zoo", "embeddings in a random part of the zoo"
    ),
    "farthest": Entrant(farthest, "farthest", "the least similar network"),
}
