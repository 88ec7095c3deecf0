"""Every method of the comparisons has a name, a title and a line about it."""

from __future__ import annotations

import pytest

from tans.errors import InputError
from tans_bench.methods.entrants import METHODS, get_method
from tans_bench.methods.registry import BASELINES


def test_titles_tell_methods_apart() -> None:
    titles = [entrant.title for entrant in METHODS.values()]
    assert len(set(titles)) == len(titles)
    assert all(entrant.about for entrant in METHODS.values())
    assert METHODS.keys() > BASELINES.keys()


def test_a_method_is_found_by_name() -> None:
    assert get_method("tans").title == "tans"
    with pytest.raises(InputError, match="no method 'nothing'; expected one of tans, "):
        get_method("nothing")
