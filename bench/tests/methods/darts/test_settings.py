"""Settings of a search for cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench.tests.methods.darts import test_drnas, test_pcdarts

from tans.errors import InputError
from tans_bench.methods.darts.settings import CellSearchSettings, Stage


def test_epochs_are_those_of_all_stages() -> None:
    assert test_drnas.TINY.epochs == 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: replace(test_pcdarts.TINY, channels=5),
        lambda: replace(test_pcdarts.TINY, stages=(Stage(2, 2, 2, 8),)),
    ],
    ids=["parts", "warm-up"],
)
def test_settings_that_cannot_be_are_refused(wrong: Callable[[], CellSearchSettings]):
    with pytest.raises(InputError, match="expected channels that are a multiple of its parts"):
        wrong()
