"""What to fine-tune, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.options.common import Seed

if TYPE_CHECKING:
    from tans.training import Recipe

FinetuneServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Send the images to the service there, fine-tune there, and bring back what comes of "
        "it; both are deleted there at the end. Its token is read from TANS_TOKEN.",
    ),
]

Combine = Annotated[
    str,
    typer.Option(
        metavar="one|distil",
        help="Fine-tune the best match alone, or the few best, and let the best learn from their "
        "ensemble.",
    ),
]

UnlabelledFolder = Annotated[
    Path | None,
    typer.Option(
        "--unlabelled",
        metavar="DIR",
        help="With --combine distil: images without labels, which the ensemble says something of.",
    ),
]

Network = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Network to take, without a search; the best match if not given. ID@PIXELS takes it "
        "for images of another size than its own.",
    ),
]

GoOn = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Go on from the network in a folder that `tans finetune` wrote, with DATA that may "
        "hold more images, new classes, or fewer; nothing is searched. It learns from DATA alone, "
        "so leave the images of before in it.",
    ),
]

Beside = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        help="Also fine-tune this network, for comparison; the name of a source task means its "
        "largest, and imagenet the network as published. Repeatable.",
    ),
]

Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the training images; what suits them, or fits into --max-minutes, if "
        "not given.",
        show_default=False,
    ),
]

PlainHead = Annotated[
    bool,
    typer.Option(
        "--plain-head",
        help="Let the head read the last features alone, as `tans export --format timm` needs it; "
        "else those of all stages.",
    ),
]


@dataclass(frozen=True)
class TrainingOptions:
    """How to fine-tune."""

    epochs: Epochs = None
    seed: Seed = 0
    plain_head: PlainHead = False

    def recipe(self, usual: Recipe | None = None) -> Recipe:
        """A recipe but for these; the default one when None."""
        from tans.training import Recipe

        usual = usual or Recipe()
        return replace(
            usual,
            epochs=usual.epochs if self.epochs is None else self.epochs,
            seed=self.seed,
            deep_head=usual.deep_head and not self.plain_head,
        )
