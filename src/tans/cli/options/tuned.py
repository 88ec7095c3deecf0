"""What a fine-tuned network is asked, and how it is exported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Tuned = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `tans finetune` wrote.")]

Images = Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Files or folders.")]

TopLabels = Annotated[int, typer.Option(min=1, metavar="K", help="Labels for each image.")]

Format = Annotated[
    str,
    typer.Option("--format", metavar="onnx|timm|safetensors", help="What to write into DIR."),
]

CheckImages = Annotated[
    list[Path] | None,
    typer.Option(
        "--images",
        metavar="PATH",
        help="Images to check the export on, or a dataset of the network's classes, which tells "
        "the accuracy too; the reference images of tans if not given. Repeatable.",
    ),
]

EightBits = Annotated[
    bool,
    typer.Option(
        "--int8",
        help="With --format onnx and --images: write the network in 8 bits too, a third as large.",
    ),
]

FalseAlarms = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of images of its own classes that may be taken for none of these; 0.05 if not "
        "given. A smaller one lets more strange images pass.",
    ),
]

Closed = Annotated[
    bool, typer.Option("--closed", help="Name a class for each image, however strange it is.")
]

CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="CSV file to write.")]
