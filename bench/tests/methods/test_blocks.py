"""A latency table has a value for every choice of every slot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tans.networks.families.elastic.specification import LITE0, Specification
from tans_bench.methods import blocks as module
from tans_bench.methods.blocks import Block, block_table, blocks, measure_us
from tests.networks.families.elastic.strategies import TOY


class Clock:
    """Microseconds by the block's own numbers; odd rounds may be slower."""

    def __init__(self, slower: float = 1.0) -> None:
        self.slower, self.calls = slower, 0

    def __call__(self, space: Specification, wanted: Sequence[Block]) -> np.ndarray:  # noqa: ARG002
        self.calls += 1
        row = [1000 * b.stage + 100 * b.first + 10 * b.layer[0] + b.layer[1] for b in wanted]
        return np.array([row, row]) * [[1.0], [self.slower]]


def test_blocks_are_those_that_differ() -> None:
    found = blocks(LITE0, 64)
    assert len(found) == len(set(found)) == 51
    sides = {(b.stage, b.first): b.side for b in found}
    assert sides[0, True] == 32
    assert sides[0, False] == sides[1, True] == 16
    assert sides[5, True] == 2
    assert (5, False) not in sides


def test_every_choice_of_every_slot_has_its_latency() -> None:
    table = block_table(LITE0, 64, Clock())
    rows = table.of_slots(LITE0)
    assert rows.shape == (15, 7)
    for row, slot in zip(rows, LITE0.slots, strict=True):
        start = 1000 * slot.stage + 100 * (slot.place == 0)
        wanted = [start + 10 * k + e for k, e in slot.layers]
        assert row.tolist() == [0, *wanted] + [0] * (6 - len(wanted))


def test_a_table_is_measured_once_and_knows_its_error() -> None:
    clock = Clock(slower=1.25)
    first = block_table(TOY, 32, clock)
    assert block_table(TOY, 32, clock) is first
    assert clock.calls == 1
    assert first.error == pytest.approx(0.2)


def test_a_trusted_table_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    clock = Clock()
    monkeypatch.setattr(module, "measure_us", clock)
    module._block_table.cache_clear()
    first = block_table(LITE0, 48)
    module._block_table.cache_clear()
    assert block_table(LITE0, 48) == first
    assert clock.calls == 1
    for path in tmp_path.rglob("*.json"):
        path.write_text(path.read_text().replace("1133.0", "-1"))
    module._block_table.cache_clear()
    assert block_table(LITE0, 48) == first
    assert clock.calls == 2
    module._block_table.cache_clear()


def test_this_device_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUNDS", 2)
    wanted = blocks(TOY, 16)
    times = measure_us(TOY, wanted)
    assert times.shape == (2, len(wanted))
    assert (times > 0).all()
