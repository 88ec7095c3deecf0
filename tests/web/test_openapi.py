"""The service does what its description says, whatever is asked: schemathesis asks."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.web.conftest import API, COLOURS, colours, picture

EXAMPLES = 40
"""Of each route."""
schemathesis.openapi.media_type("application/zip", st.binary() | st.just(colours(4)))
schemathesis.openapi.media_type("image/*", st.binary() | st.just(picture(COLOURS["red"])))


@pytest.mark.slow
def test_every_route_answers_as_it_is_described(address: str) -> None:
    described = schemathesis.openapi.from_url(f"{address}{API}/openapi.json")
    routes = [found.ok() for found in described.get_all_operations()]
    assert len(routes) > 12
    for route in routes:

        @given(route.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def answers_as_described(case: schemathesis.Case) -> None:
            # no description says what images, queries and ids there are
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        answers_as_described()
