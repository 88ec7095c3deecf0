"""What is only added to a zoo, in tables and in the files of lines that older zoos hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tans.errors import ZooError
from tans.zoo.rows import LedgerLine, StepCost
from tans.zoo.zoo import Zoo

OLD = [StepCost("b", "train", 300, 2.5), StepCost("a", "measure", 2, 0.1)]
ADDED = [StepCost("c", "measure", 4, 0.0), StepCost("a", "measure", 2, 0.1)]


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return Zoo.create(tmp_path / "zoo")


def write_lines(zoo: Zoo, name: str, lines: Sequence[StepCost | LedgerLine]) -> Path:
    """As older zoos hold them."""
    file = zoo.path / f"{name}.jsonl"
    file.write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines))
    return file


def test_lines_come_back_in_the_order_of_adding(zoo: Zoo) -> None:
    assert zoo.costs.read() == zoo.ledger.read() == []
    zoo.costs.add(OLD)
    Zoo.open(zoo.path).costs.add(ADDED)
    assert Zoo.open(zoo.path).costs.read() == [*OLD, *ADDED]
    zoo.compact()
    assert Zoo.open(zoo.path).costs.read() == [*OLD, *ADDED]


def test_numbers_may_be_missing_where_they_are_not_known(zoo: Zoo) -> None:
    lines = [
        LedgerLine("b-1", "b", 0.5, 0.9, None, 0.1, 0.2),
        LedgerLine("a-1", "a", 0.5, 0.9, 0.25, 0.1, 0.2, 1.5),
    ]
    zoo.ledger.add(lines)
    assert Zoo.open(zoo.path).ledger.read() == lines


def test_lines_of_an_older_zoo_are_read_and_nothing_is_written(zoo: Zoo) -> None:
    write_lines(zoo, "costs", OLD)
    (zoo.path / "ledger.jsonl").write_text(
        '{"pair": "a-1", "task": "a", "seconds": 1, "accuracy": 0.5, "expected": null, '
        '"growth": 0.1, "volume": 0.2}\n'
    )
    before = sorted(zoo.path.rglob("*"))
    assert zoo.costs.read() == OLD
    assert zoo.ledger.read() == [LedgerLine("a-1", "a", 1.0, 0.5, None, 0.1, 0.2)]
    assert sorted(zoo.path.rglob("*")) == before


def test_lines_of_an_older_zoo_move_when_some_are_added(zoo: Zoo) -> None:
    file = write_lines(zoo, "costs", OLD)
    zoo.costs.add(ADDED)
    assert not file.exists()
    assert Zoo.open(zoo.path).costs.read() == [*OLD, *ADDED]


def test_a_move_that_was_killed_counts_no_line_twice(zoo: Zoo) -> None:
    file = write_lines(zoo, "costs", OLD)
    kept = file.read_text()
    zoo.costs.add(ADDED[:1])
    file.write_text(kept)  # as if it had been killed before it deleted the file
    assert zoo.costs.read() == [*OLD, *ADDED[:1]]
    zoo.costs.add(ADDED[1:])
    assert Zoo.open(zoo.path).costs.read() == [*OLD, *ADDED]
    assert not file.exists()


@pytest.mark.parametrize(
    "text", ["{half\n", "[]\n", '{"task": "a"}\n', '{"task": "a", "step": 1, "count": {}}\n']
)
def test_a_damaged_file_of_lines_is_named(zoo: Zoo, text: str) -> None:
    (zoo.path / "costs.jsonl").write_text(text)
    for use in (zoo.costs.read, lambda: zoo.costs.add(ADDED)):
        with pytest.raises(ZooError, match=r"costs\.jsonl is damaged"):
            use()


def test_a_damaged_table_is_named(zoo: Zoo) -> None:
    zoo.costs.add(ADDED)
    for file in (zoo.path / "costs.lance").rglob("*.manifest"):
        file.write_bytes(b"nonsense")
    with pytest.raises(ZooError, match=r"costs\.lance is damaged"):
        Zoo.open(zoo.path).costs.read()
