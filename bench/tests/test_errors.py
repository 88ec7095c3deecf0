"""Whoever catches the errors of tans catches those of its bench."""

from __future__ import annotations

import pytest

from tans.errors import TansError
from tans_bench.errors import ResultError, SourceError


@pytest.mark.parametrize("error", [ResultError, SourceError])
def test_errors_of_the_bench_are_errors_of_tans(error: type[TansError]) -> None:
    assert issubclass(error, TansError)
