"""Licences as SPDX expressions: one spelling, what they allow, and what several make together.

Reference: SPDX Specification 2.3, annex D. Whether a use is commercial, and what a licence of data
asks of a network that learnt from it, no list decides; what is said here is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

from license_expression import (
    ExpressionError,
    LicenseExpression,
    Licensing,
    get_spdx_licensing,
)

from tans.errors import InputError

UNSTATED = "unstated"
"""Where nobody said what the licence is."""
REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
"""Name of a licence that SPDX does not list."""
OPEN = frozenset({"LicenseRef-public-domain", "LicenseRef-GUST-Font-License"})
"""Of those the ones that are known to allow any use."""
FORBIDS = re.compile(
    r"(^|-)NC(-|$)|noncommercial|^(AFPL|Aladdin|BUSL|NPOSL|PolyForm|JPL-image|JRL)", re.IGNORECASE
)
"""Identifiers of licences that allow no commercial use, or not every one."""


@dataclass(frozen=True)
class LicenceChain:
    """Licences of all that a network came from, each an SPDX expression or ``UNSTATED``."""

    network: str
    """Of its weights."""
    base: str | None = None
    """Of the network that its training began with; None where it began with none."""
    data: str | None = None
    """Of the images that it learnt from; None where nothing is known of them."""

    @property
    def all(self) -> tuple[str, ...]:
        """Each licence once, the network's first."""
        return tuple(dict.fromkeys(licence for licence in astuple(self) if licence is not None))

    def __str__(self) -> str:
        """All of them, as one expression where each is one."""
        return _all_of(self.all)

    @property
    def commercial(self) -> bool:
        """Whether all of them are known, and none forbids commercial use."""
        return all(map(allows_commercial, self.all))

    @classmethod
    def together(cls, chains: Sequence[LicenceChain]) -> LicenceChain:
        """Of a network that came from several others, one at least."""
        parts = zip(*map(astuple, chains), strict=True)
        known = [[each for each in part if each is not None] for part in parts]
        network, base, data = (joined(part) if part else None for part in known)
        return cls(network or UNSTATED, base, data)


def normalised(text: str) -> str:
    """An SPDX expression as SPDX spells it.

    A licence that SPDX does not list is named ``LicenseRef-`` and a name.

    Raises:
        InputError: the text is no such expression.
    """
    try:
        return _parsed(text).render()
    except ExpressionError as error:
        raise InputError(
            f"{text!r} is no SPDX licence expression ({' '.join(str(error).split())}); expected "
            "one such as 'Apache-2.0' or 'MIT AND CC-BY-4.0', or 'LicenseRef-' and a name for a "
            "licence that https://spdx.org/licenses does not list"
        ) from error


def joined(licences: Iterable[str]) -> str:
    """What holds where all of some licences do; ``UNSTATED`` where one is not known."""
    parts = list(dict.fromkeys(licences))
    if UNSTATED in parts:
        return UNSTATED
    return _all_of(parts)


def _all_of(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if " OR " in part else part for part in parts)


@lru_cache(maxsize=4096)
def allows_commercial(text: str) -> bool:
    """Whether a licence is known, and allows commercial use."""
    try:
        return _allows(_parsed(text))
    except ExpressionError:
        return False


def _allows(expression: LicenseExpression) -> bool:
    if isinstance(expression, _spdx().OR):  # whoever uses it chooses
        return any(map(_allows, expression.args))
    if isinstance(expression, _spdx().AND):
        return all(map(_allows, expression.args))
    name = str(getattr(expression, "license_symbol", expression))  # an exception adds rights alone
    return name in OPEN or not (REFERENCE.match(name) or FORBIDS.search(name))


def _parsed(text: str) -> LicenseExpression:
    """An expression of licences that SPDX lists, or that are named as it names others.

    Raises:
        ExpressionError: it is none.
    """
    expression = _spdx().parse(text)
    if expression is None:
        raise ExpressionError("nothing is said")
    unknown = map(str, _spdx().unknown_license_symbols(expression))
    if strange := [name for name in unknown if not REFERENCE.fullmatch(name)]:
        raise ExpressionError(f"SPDX knows no {', '.join(strange)}")
    return expression


@lru_cache(maxsize=1)
def _spdx() -> Licensing:
    return get_spdx_licensing()
