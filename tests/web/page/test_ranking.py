from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import ServiceError
from tans.licences import UNSTATED, LicenceChain
from tans.types import Match
from tans.web.page.ranking import Ranked, Rankings, chosen_of, fits, front, least
from tans.web.schemas import LimitsAsked
from tans.web.service import Service
from tans.web.settings import Settings
from tans.zoo.zoo import Zoo
from tests.web.page.matches import match

MATCHES = st.lists(
    st.builds(
        match,
        id=st.uuids().map(str),
        params=st.integers(1, 50),
        latency_ms=st.none() | st.floats(1, 50),
        predicted_accuracy=st.floats(0, 1),
    )
)


def limits(**given: object) -> LimitsAsked:
    return LimitsAsked.model_validate(given)


@given(MATCHES)
def test_no_network_beats_one_of_the_front_at_its_cost_or_less(matches: list[Match]) -> None:
    best = front(matches, "params")
    assert all(
        one.params < other.params and one.predicted_accuracy < other.predicted_accuracy
        for one, other in pairwise(best)
    )
    for each in matches:
        cheaper = [m.predicted_accuracy for m in best if m.params <= each.params]
        assert max(cheaper) >= each.predicted_accuracy


@given(MATCHES)
def test_networks_of_unknown_cost_are_on_no_front(matches: list[Match]) -> None:
    known = [m.latency_ms for m in matches if m.latency_ms is not None]
    best = front(matches, "latency_ms")
    assert all(m.latency_ms is not None for m in best)
    assert bool(best) == bool(known)
    assert least(matches, "latency_ms") == min(known, default=None)


@given(MATCHES, st.integers(1, 50), st.floats(1, 50))
def test_limits_leave_out_what_needs_more_and_keep_the_order(
    matches: list[Match], params: int, latency: float
) -> None:
    within = Ranked(tuple(matches)).within(limits(max_params=params, max_latency_ms=latency))
    expected = [
        m
        for m in matches
        if m.params <= params and m.latency_ms is not None and m.latency_ms <= latency
    ]
    assert list(within) == expected


def test_a_licence_that_is_not_known_allows_no_commercial_use() -> None:
    unknown = match(licences=LicenceChain(UNSTATED))
    assert fits(unknown, limits())
    assert not fits(unknown, limits(commercial=True))
    assert fits(match(), limits(commercial=True))


def test_the_best_is_chosen_where_the_one_that_was_does_not_fit() -> None:
    two = (match("a"), match("b"))
    assert chosen_of(two, "b") is two[1]
    assert chosen_of(two, "gone") is two[0]
    assert chosen_of((), "a") is None


def test_networks_of_a_dataset_that_is_not_held_are_refused(small_zoo: Zoo, tmp_path: Path) -> None:
    rankings = Rankings(Service(small_zoo, Settings(tmp_path / "service")))
    with pytest.raises(ServiceError, match="no dataset of that id"):
        rankings.of("0" * 32, timed=False)
