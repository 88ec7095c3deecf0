"""A bench opens a zoo, and tells one zoo from another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import unseen

from tans.errors import ZooError
from tans_bench.runs.bench import Bench
from tans_bench.runs.roles import prepared


def test_the_digest_is_of_networks_and_of_what_retrieves_them(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Bench.open(tmp_path, bench.zoo.path)
    assert again.digest == bench.digest
    fewer = bench.zoo.entries(vectors=False)[1:]
    monkeypatch.setattr(type(bench.zoo), "entries", lambda *_, **__: fewer)
    assert replace(bench).digest != bench.digest


def test_tasks_are_the_packaged_ones_if_no_others_are_given(bench: Bench, tmp_path: Path) -> None:
    assert Bench.open(tmp_path, bench.zoo.path).tasks is prepared
    assert Bench.open(tmp_path, bench.zoo.path, unseen).tasks is unseen


def test_a_missing_zoo_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="nothing"):
        Bench.open(tmp_path, tmp_path / "nothing")
