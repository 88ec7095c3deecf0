"""What a zoo is built and trained from, and which pairs are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

BuildPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="Folder of the zoo, or an address such as s3://bucket/zoo."
    ),
]

TrainedOn = Annotated[
    list[str],
    typer.Option(
        "--tasks",
        metavar="NAME|FOLDER",
        help="A packaged source, as `tans tasks list` names it, `train` for all that are "
        "for training, a folder of datasets, or the address of one, such as s3://bucket/flags. "
        "Repeatable.",
    ),
]

TunedOn = Annotated[
    list[str],
    typer.Option("--tasks", metavar="NAME|FOLDER", help="Tasks to fine-tune on, as for `build`."),
]

TransferImages = Annotated[int, typer.Option(min=2, help="Training images of each task.")]

TransferEpochs = Annotated[
    int | None,
    typer.Option(min=1, help="Of each fine-tune; the default's if not given.", show_default=False),
]

Subnets = Annotated[int, typer.Option(min=2, help="Networks for each task.")]

SupernetEpochs = Annotated[int, typer.Option(min=1, help="For each task's supernet.")]

NewBase = Annotated[
    bool,
    typer.Option(
        "--new-base",
        help="Distil an elastic base from ImageNet weights on these tasks (about 40 minutes), "
        "instead of sharing the shipped zoo's.",
    ),
]

Space = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Search space: `lite0`, or `ofa-mbv3` or `ofa-mbv3-1.2`, which want --base-weights.",
    ),
]

BaseWeights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="Elastic base in the form that Once-for-All publishes, such as "
        "ofa_mbv3_d234_e346_k357_w1.2.",
    ),
]

Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Measure networks in this order, after all supernets are trained: `grid`, "
        "`random`, `pareto` for what the Pareto fronts are expected to grow by most, "
        "`pareto-per-second` or `thompson`. All networks, task by task, if not given.",
    ),
]

PairBudget = Annotated[
    int | None,
    typer.Option("--budget", metavar="N", help="With --strategy: networks to measure in all."),
]

Minutes = Annotated[
    float | None,
    typer.Option(metavar="M", help="With --strategy: time to measure networks for."),
]

LeastGrowth = Annotated[
    float,
    typer.Option(
        metavar="G",
        help="With --strategy: stop when no network is expected to add so much hypervolume.",
    ),
]

CountedCost = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --strategy: what the Pareto fronts count beside accuracy and parameters: "
        "`latency` on this device, calibrated once when the build begins, or `flops`, "
        "multiply-adds. What the build began with, or latency, if not given.",
    ),
]

Preset = Annotated[str, typer.Option(help="Settings: `default`, or the published ones, `paper`.")]

PresetSeed = Annotated[
    int | None, typer.Option(help="Of everything random; the preset has its own.")
]

Members = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Retrieval models of different seeds whose predictions are averaged; the preset has "
        "its own.",
    ),
]


@dataclass(frozen=True)
class ChoiceOptions:
    """Which pairs a build measures."""

    strategy: Strategy = None
    pairs: PairBudget = None
    minutes: Minutes = None
    least_growth: LeastGrowth = 0.0
    cost: CountedCost = None
