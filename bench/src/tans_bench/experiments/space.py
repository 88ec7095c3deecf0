"""Figure 6 c: the shared space of tasks and networks, drawn in two dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from sklearn.manifold import TSNE

from tans.zoo.zoo import IMAGENET
from tans_bench.methods.ablations import scored
from tans_bench.methods.method import Problem
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Plot, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.results import Result, Results
from tans_bench.runs.roles import FIRST_DEV

NEAR, LINE = 3.0, 10
"""Distance of queries whose names would overlap, and points from one line to the next."""


@dataclass(frozen=True)
class Map:
    """Lay the zoo's networks, and some tasks as queries, out in a plane by t-SNE."""

    tasks: tuple[str, ...]
    images: int = 300
    """Training images of a task, at most."""
    seed: int = 0
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"space/map-n{self.images}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        stored = bench.results.read(self.name)
        if stored is None or stored["zoo"] != bench.digest:
            return False
        return set(stored["queries"]) == set(self.tasks)

    def run(self, bench: Bench) -> Result:
        found = [scored(Problem(bench.tasks(name, self.images)), bench.zoo) for name in self.tasks]
        rows = torch.cat([found[0].models, torch.stack([each.query for each in found])])
        perplexity = min(30.0, (len(rows) - 1) / 3)
        # embeddings have unit length, so that Euclidean neighbours are neighbours by cosine
        plane = TSNE(perplexity=perplexity, random_state=self.seed).fit_transform(rows.numpy())
        places = [[round(float(value), 2) for value in row] for row in plane]
        networks: dict[str, list[list[float]]] = {}
        for entry, place in zip(found[0].entries, places, strict=False):
            networks.setdefault(entry.task, []).append(place)
        queries = dict(zip(self.tasks, places[len(found[0].entries) :], strict=True))
        return {"zoo": bench.digest, "networks": networks, "queries": queries}


@dataclass(frozen=True)
class Layout:
    """A plan of one map."""

    map: Map

    def jobs(self, bench: Bench) -> Sequence[Map]:
        del bench  # all can be named at once
        return [self.map]

    def scaled(self, preset: str) -> Layout:
        """With twice the images on a GPU."""
        if preset == "cpu":
            return self
        return Layout(replace(self.map, images=2 * self.map.images))


def draw(plan: Layout, results: Results) -> Sequence[Drawing]:
    stored = results.read(plan.map.name)
    return [_figure(stored)] if stored else []


def _figure(stored: Result) -> Plot:
    figure = canvas(7.5, 6)
    axis = figure.subplots()
    for place, (task, points) in enumerate(sorted(stored["networks"].items())):
        across, up = zip(*points, strict=True)
        colour = "0.4" if task == IMAGENET else f"C{place % 10}"
        axis.scatter(across, up, s=5, color=colour, alpha=0.5, linewidths=0)
        axis.annotate(task, (sorted(across)[len(across) // 2], sorted(up)[len(up) // 2]), size=6)
    places = list(stored["queries"].values())
    for count, (task, place) in enumerate(stored["queries"].items()):
        axis.plot(*place, "*", color="black", markersize=11)
        # the names of queries in one place stand below each other
        above = sum(math.dist(place, other) < NEAR for other in places[:count])
        offset = (5, 4 - LINE * above)
        axis.annotate(task, place, size=8, weight="bold", xytext=offset, textcoords="offset points")
    axis.set_axis_off()
    caption = (
        "t-SNE of the zoo's networks (dots, coloured and named by source task) and of unseen tasks "
        "(stars). Distances in the plane are those of near neighbours alone."
    )
    return Plot("space", caption, figure)


EXPERIMENT = Experiment(
    name="space",
    title="The space of tasks and networks (Figure 6 c)",
    question="Where do unseen tasks lie among the networks of the zoo?",
    plan=Layout(Map(FIRST_DEV)),
    drawn=draw,
)
