from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.licences import UNSTATED, LicenceChain, allows_commercial, joined, normalised

NAMES = st.sampled_from(["MIT", "Apache-2.0", "CC-BY-NC-4.0", "GPL-3.0-or-later", "LicenseRef-own"])
EXPRESSIONS = st.recursive(
    NAMES,
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda parts: "({} {} {})".format(*parts)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("mit and cc-by-4.0", "MIT AND CC-BY-4.0"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("MIT AND LicenseRef-own", "MIT AND LicenseRef-own"),
        (
            "GPL-2.0-or-later WITH Font-exception-2.0",
            "GPL-2.0-or-later WITH Font-exception-2.0",
        ),
    ],
)
def test_an_expression_is_spelt_as_spdx_spells_it(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    "text", ["", "unstated", "MIT AND", "BSD, data CC-BY-4.0", "LicenseRef-a b"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no SPDX licence expression.*expected"):
        normalised(text)


@given(EXPRESSIONS)
def test_spelling_is_settled_after_once(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later AND OFL-1.1", True),
        ("MIT AND LicenseRef-public-domain", True),
        ("CC-BY-NC-SA-4.0", False),
        ("MIT AND CC-BY-NC-4.0", False),
        ("MIT OR CC-BY-NC-4.0", True),
        ("(MIT OR CC-BY-NC-4.0) AND PolyForm-Noncommercial-1.0.0", False),
        ("LicenseRef-of-my-team", False),
        ("GPL-2.0-or-later WITH Font-exception-2.0", True),
        (UNSTATED, False),
        ("", False),
    ],
)
def test_what_forbids_commercial_use_or_is_unknown_does_not_allow_it(
    text: str, allowed: bool
) -> None:
    assert allows_commercial(text) is allowed


@given(EXPRESSIONS, EXPRESSIONS)
def test_a_chain_allows_what_all_its_licences_allow(network: str, data: str) -> None:
    chain = LicenceChain(network, base="Apache-2.0", data=data)
    assert chain.commercial == (allows_commercial(network) and allows_commercial(data))
    assert allows_commercial(joined(chain.all)) == chain.commercial


def test_a_chain_names_each_licence_once() -> None:
    assert LicenceChain("MIT", base="Apache-2.0", data="MIT").all == ("MIT", "Apache-2.0")
    assert LicenceChain("MIT").all == ("MIT",)
    assert joined(["MIT", "MIT"]) == "MIT"
    assert joined(["MIT", "A OR B"]) == "MIT AND (A OR B)"
    assert joined(["MIT", UNSTATED]) == UNSTATED
