"""Networks that come into a zoo, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.options.common import folder_here
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.networks.incoming.incoming import Stated

AddedSources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="timm:NAME or the bare name; torchvision:NAME; hf-hub:OWNER/NAME; a folder of that "
        "layout; an .onnx file; or a folder that `tans finetune` wrote. tf_efficientnet_lite0, -1, "
        "-2 and mobilenetv2_100 come from packages, and are referenced and not copied.",
    ),
]

Sizes = Annotated[
    list[int] | None,
    typer.Option(
        "--size",
        min=1,
        metavar="PX",
        help="Pixels a side of their images; those they were made for if not given. Repeatable.",
    ),
]

OwnWeights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights of timm:NAME or torchvision:NAME: safetensors, or a state_dict of torch.",
    ),
]

GraphOutput = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NAME",
        help="Tensor of an ONNX graph that is its features; the last pooled one if not given.",
    ),
]

Licence = Annotated[
    str | None,
    typer.Option(metavar="SPDX", help="Of the weights, where none stands with them."),
]

Origin = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What it was trained on: imagenet, or the name of a task, which is added if new.",
    ),
]

TaskFamily = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Kind of image of that task; its name if not given."),
]

Mean = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        help="What is subtracted from pixels of 0 to 255, where that stands nowhere.",
    ),
]

Std = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="What they are then divided by, likewise.")
]

OwnZoo = Annotated[
    Path,
    typer.Option("--zoo", metavar="PATH", parser=folder_here, help="Zoo to add them to."),
]


@dataclass(frozen=True)
class StatedOptions:
    """What a user says of networks that are added."""

    weights: OwnWeights = None
    output: GraphOutput = None
    licence: Licence = None
    origin: Origin = None
    family: TaskFamily = None
    mean: Mean = None
    std: Std = None

    def stated(self, sources: Sequence[str]) -> Stated:
        """In the form that adding takes.

        Raises:
            InputError: what one source can have alone came with several, or colours are not written
                as they should be.
        """
        from tans.networks.incoming.incoming import Stated

        if len(sources) > 1 and (self.weights or self.output):
            raise InputError(
                f"--weights or --output came with {len(sources)} networks; expected one with them"
            )
        mean, std = _colours("--mean", self.mean), _colours("--std", self.std)
        return Stated(
            self.weights, self.output, self.licence, self.origin, self.family, mean=mean, std=std
        )


def _colours(option: str, text: str | None) -> tuple[float, float, float] | None:
    """Three values, from ``R,G,B`` or one number for all.

    Raises:
        InputError: they are not written so.
    """
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
        red, green, blue = values * 3 if len(values) == 1 else values
    except ValueError as error:
        raise InputError(
            f"{option} is {text!r}; expected one number or three, such as 123.675,116.28,103.53"
        ) from error
    return red, green, blue
