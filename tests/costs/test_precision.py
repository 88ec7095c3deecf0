from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tans.costs.precision import measure_gain, short_pays
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.types import NetworkRef
from tests.networks.plain import plain_ref


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    short_pays.cache_clear()
    yield tmp_path / "precision"
    short_pays.cache_clear()


@pytest.mark.parametrize(("times", "pays"), [(1.8, True), (1.05, False), (0.2, False)])
def test_16_bits_pay_where_they_are_markedly_faster(times: float, pays: bool) -> None:
    assert short_pays(plain_ref(16), lambda _: times) == pays


def test_what_was_measured_is_kept(cache: Path) -> None:
    calls: list[NetworkRef] = []

    def measure(ref: NetworkRef) -> float:
        calls.append(ref)
        return 2.0

    assert short_pays(plain_ref(16), measure)
    assert len(list(cache.glob("*.json"))) == 1
    short_pays.cache_clear()
    assert short_pays(plain_ref(16), measure)
    assert len(calls) == 2  # both of the first time


def test_a_network_is_measured_on_this_device() -> None:
    assert measure_gain(ref_of(LITE0.smallest, 32)) > 0
