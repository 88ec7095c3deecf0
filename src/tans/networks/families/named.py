"""Names of networks that hold all it takes to build them: a word, and facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tans.errors import InputError

LONGEST = 2**16
"""Characters of a name that is read, at most."""


def written(word: str, facts: Mapping[str, Any]) -> str:
    """As in ``vit {"hidden_size":192}``; the same facts give the same name."""
    return f"{word} {json.dumps(facts, sort_keys=True, separators=(',', ':'))}"


def read(name: str) -> tuple[str, dict[str, Any]]:
    """Inverse of ``written``.

    Raises:
        InputError: it is no such name.
    """
    word, _, text = name[:LONGEST].partition(" ")
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _foreign(name) from error
    if not word or not isinstance(facts, dict):
        raise _foreign(name)
    return word, facts


def _foreign(name: str) -> InputError:
    return InputError(
        f"{name[:80]!r} names no network; expected a word and facts as JSON, as 'tans zoo add' "
        "writes them"
    )
