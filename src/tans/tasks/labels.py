"""Labels that are none, or that write one class in two ways: asked about, never guessed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from tans.errors import TaskError
from tans.tasks.findings import NAMED, some

NO_LABEL = frozenset(
    {"nan", "none", "null", "nil", "na", "n/a", "#n/a", "#na", "<na>", "nat", "undefined"}
    | {"-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
)
"""What programs write where a label is missing, in lower case."""
_NUMBER = re.compile(r"[+]?(?P<sign>-?)(?P<whole>\d*)\.?(?P<part>\d*)", re.ASCII)


def check_written(place: str, labels: Sequence[tuple[str, str]], as_is: bool) -> None:
    """Refuse labels of a table that are missing or stand for a missing one.

    Args:
        place: the table, for the message.
        labels: where each stands, such as ``line 3``, and the label.
        as_is: whether all but empty ones are taken as they are.

    Raises:
        TaskError: some have no label.
    """
    empty = [where for where, label in labels if not label]
    if empty:
        raise TaskError(
            f"{place} has no label in {some(empty)}; expected one in each row; fill them in, or "
            "remove the rows"
        )
    missing = [f"{where} ({label})" for where, label in labels if label.lower() in NO_LABEL]
    if missing and not as_is:
        raise TaskError(
            f"{place} has labels that programs write for a missing one in {some(missing)}; "
            "fill them in or remove the rows, or add --labels-as-is if that is a class"
        )


def check_spelling(name: str, classes: Iterable[str], as_is: bool) -> None:
    """Refuse classes that look like one class, written in several ways.

    Raises:
        TaskError: two differ only in case, spaces, punctuation between words, or as numbers are
            written.
    """
    if as_is:
        return
    alike: dict[str, list[str]] = {}
    for label in sorted(set(classes)):
        alike.setdefault(_plain(label), []).append(label)
    twins = [" = ".join(map(repr, labels)) for labels in alike.values() if len(labels) > 1]
    if twins:
        more = f" and {len(twins) - NAMED} more" if len(twins) > NAMED else ""
        raise TaskError(
            f"these labels of {name!r} look like one class written in several ways: "
            f"{', '.join(twins[:NAMED])}{more}; write each class in one way, or add "
            "--labels-as-is if they are different classes"
        )


def _plain(label: str) -> str:
    """What is left of a label without the ways to write it."""
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    number = _NUMBER.fullmatch(text)
    if number and (number["whole"] or number["part"]):
        # digit by digit, as a float takes two long article numbers for one
        whole, part = number["whole"].lstrip("0"), number["part"].rstrip("0")
        return f"{number['sign']}{whole or 0}.{part}"
    return re.sub(r"(?<=\w)[-_\s]+(?=\w)", " ", text)
