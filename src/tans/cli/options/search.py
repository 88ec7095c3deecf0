"""How to search, and what a network may need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tans.cli.console import read_count, read_milliseconds
from tans.types import Constraints

QueryFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, .json or .safetensors; standard output if not given.",
    ),
]

MaxParams = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most parameters, head included: 3M, 1.5e6."),
]

MaxFlops = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most multiply-adds for one image: 30M, 1G."),
]

MaxLatency = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=read_milliseconds,
        help="Most time for one image on this device, which is calibrated once: 20ms, 0.02s.",
    ),
]

MaxMinutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Most minutes for a fine-tune by the default recipe on this device, calibrated once.",
    ),
]

Commercial = Annotated[
    bool,
    typer.Option(
        "--commercial",
        help="Leave out networks of which a licence, of weights, base or images, forbids "
        "commercial use or is not known.",
    ),
]

Look = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Sources, beside ImageNet, that are probed on the images for a second look; 0 for "
        "none.",
    ),
]

Method = Annotated[
    str,
    typer.Option(
        metavar="tans|paper",
        help="How to search and to fine-tune: `paper` as TANS was published, with its encoders, "
        "its predictor, limits at the end and its recipe; on first use it is learnt, in about a "
        "minute.",
    ),
]

FromCatalogue = Annotated[
    bool,
    typer.Option(
        "--catalogue",
        help="Fetch and look at a few of timm's pretrained networks too, those that promise most "
        "within the limits; it takes as long as --max-minutes allows, or 10 minutes.",
    ),
]

SearchServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Search at the service there, as `tans serve` starts one: a query is made here and "
        "sent, and no image. Its token is read from TANS_TOKEN.",
    ),
]


@dataclass(frozen=True)
class LimitOptions:
    """What a network may need."""

    max_params: MaxParams = None
    max_flops: MaxFlops = None
    max_latency: MaxLatency = None
    max_minutes: MaxMinutes = None

    def constraints(self) -> Constraints:
        """In the form that a search takes.

        Raises:
            InputError: a limit is not positive.
        """
        return Constraints(self.max_params, self.max_flops, self.max_latency, self.max_minutes)
