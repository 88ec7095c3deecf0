"""What a fine-tuned network says of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tans.cli import console
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.export.classifier import Prediction
    from tans.novelty import Novelty

NONE_OF_THESE = "none of these"
"""Label of an image that is unlike all that a network learnt from."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What cells begin with that a spreadsheet computes."""


def show_predictions(predictions: Sequence[Prediction]) -> None:
    """A table on a terminal; else a line for each image, whole, with tabs."""
    if not console.is_terminal():
        for p in predictions:
            console.say_fields([p.path, *_said(p, lambda share: f"{share:.4f}")])
        return
    rows = [
        (label, share, str(p.path) if place == 0 else "")
        for p in predictions
        for place, (label, share) in enumerate(_pairs(_said(p, console.percent)))
    ]
    console.show_table(f"{len(predictions)} images", ("class", ">probability", "image"), rows)


def _said(prediction: Prediction, written: Callable[[float], str]) -> list[str]:
    """Labels and probabilities in turn; of an unknown image none of these comes first.

    There are as many as of others, so that lines and columns stay alike.
    """
    ranked = [(label, written(share)) for label, share in prediction.ranked]
    if prediction.known is False:
        ranked = [(NONE_OF_THESE, ""), *ranked[:-1]]
    return [part for pair in ranked for part in pair]


def _pairs(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(parts[::2], parts[1::2], strict=True)


def tell_unknown(predictions: Sequence[Prediction], novelty: Novelty, rate: float) -> None:
    """How many images are none of the classes, and how far that is to be trusted."""
    from tans.novelty import RATE

    unknown = sum(p.known is False for p in predictions)
    if unknown:
        console.tell(
            f"{unknown} of {len(predictions)} images are unlike all that the network learnt from "
            f"({NONE_OF_THESE}); about {100 * rate:g} % of images of its own classes are taken so"
            f"{novelty.measured() if rate == RATE else ''}; --closed names a class for each"
        )


def describe_predictions(
    predictions: Sequence[Prediction], left_out: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Predictions as JSON has them, and how many files are no images, by reason."""
    return {
        "predictions": [
            {
                "path": str(p.path),
                "label": p.label,
                "probability": p.probability,
                "error": p.error,
                "known": p.known,
                "ranked": [{"label": name, "probability": share} for name, share in p.ranked],
            }
            for p in predictions
        ],
        "left_out": {why: len(keys) for why, keys in left_out.items()},
    }


def warn_unread(predictions: Sequence[Prediction], left_out: Mapping[str, Sequence[str]]) -> None:
    """Name the files that gave no prediction, those of one reason together."""
    from tans.tasks.findings import some

    unread: dict[str, list[str]] = {}
    for p in predictions:
        if p.error is not None:
            unread.setdefault(p.error, []).append(str(p.path))
    for error, paths in unread.items():
        console.warn(f"{len(paths)} cannot be read ({some(paths)}): {error}")
    for why, keys in left_out.items():
        console.warn(f"{len(keys)} left out: {why} ({some(keys)})")


def write_predictions(path: Path, predictions: Sequence[Prediction], top: int) -> None:
    """Write a CSV file as a whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    from tans.files import write_file

    numbered = ["" if place == 1 else f"_{place}" for place in range(1, top + 1)]
    head = ["path", *(f"{name}{n}" for n in numbered for name in ("label", "probability"))]
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*head, "error"])
    for p in predictions:
        ranked = _said(p, lambda share: f"{share:.6f}")
        blank = [""] * (2 * top - len(ranked))
        table.writerow([str(p.path), *ranked, *blank, p.error or ""])
    try:
        write_file(path, text.getvalue().encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error}; give a file in a folder that can be written"
        ) from error
    _warn_formulas(path, predictions)


def _warn_formulas(path: Path, predictions: Sequence[Prediction]) -> None:
    """Tell of names that a spreadsheet would compute; they are written as they are."""
    from tans.tasks.findings import some

    names = {str(p.path) for p in predictions} | {n for p in predictions for n, _ in p.ranked}
    found = sorted(name for name in names if name.startswith(FORMULAS))
    if found:
        console.warn(
            f"a spreadsheet takes {len(found)} names in {path} for formulas ({some(found)}); "
            "import them as text"
        )
