"""Zoos of one base become one; others are refused before anything is written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tans.errors import InputError, ZooError
from tans.types import Transfer
from tans.zoo.merge import merge_zoos
from tans.zoo.seals import Seals
from tans.zoo.sharing import push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import CALIBRATOR, IMAGENET, Zoo
from tests.zoo.conftest import (
    CARD,
    CLASSES,
    LARGEST,
    SMALLEST,
    Tiny,
    make_entry,
    nearby,
    random_state,
    some_entries,
)


def add_task(zoo: Zoo, tiny: Tiny, name: str, weights: str, **given: object) -> None:
    task = {
        "classes": CLASSES,
        "card": CARD,
        "thumbnails": tiny.thumbnails,
        "features": (tiny.features, tiny.labels),
        "train_images": 6,
        "cost_s": 0.5,
        **given,
    }
    zoo.add_task(name, weights=weights, **task)  # type: ignore[arg-type]


@pytest.fixture
def pair(tiny: Tiny, tmp_path: Path) -> tuple[Zoo, Zoo]:
    """Two zoos with ImageNet and cutlery; one has more of it, the other has chairs too."""
    add_task(tiny.zoo, tiny, IMAGENET, tiny.base)
    tiny.zoo.add_entry(make_entry(tiny.base, LARGEST, task=IMAGENET))
    shutil.copytree(tiny.zoo.path, tmp_path / "other")
    other = Zoo.open(tmp_path / "other")
    tiny.zoo.add_entries(some_entries(tiny.weights, 2, seed=4))
    weights = other.add_weights(nearby(tiny.state, seed=5), base=tiny.base)
    add_task(other, tiny, "chairs", weights)
    chair = make_entry(weights, SMALLEST, task="chairs", seed=3)
    other.add_entry(chair)
    cup = tiny.entries[0]
    for zoo, accuracy in ((tiny.zoo, 0.5), (other, 0.9)):
        zoo.add_transfers([Transfer(cup.id, "chairs", 10, 300, accuracy, 0, 9.5, 3, 30)])
    other.add_transfers([Transfer(chair.id, "cutlery", 10, 300, 0.7, 0, 9.5, 3, 30)])
    return Zoo.open(tiny.zoo.path), Zoo.open(other.path)


def ids(zoo: Zoo) -> set[str]:
    return {entry.id for entry in zoo.entries(vectors=False)}


def test_two_become_one(pair: tuple[Zoo, Zoo], tmp_path: Path) -> None:
    first, second = pair
    merged = merge_zoos(pair, tmp_path / "both")
    assert ids(merged) == ids(first) | ids(second)
    assert [task.name for task in merged.tasks()] == ["chairs", "cutlery", IMAGENET]
    # what both measured is taken from the first
    assert [t.accuracy for t in merged.transfers()] == [0.7, 0.5]
    for zoo in pair:
        known = {entry.id: entry for entry in merged.entries()}
        assert all(known[entry.id] == entry for entry in zoo.entries())
    report = verify_zoo(merged)
    assert (report.ok, report.unused) == (True, ())
    again = merge_zoos(pair, tmp_path / "both")
    assert ids(again) == ids(merged)


@pytest.mark.long
def test_one_is_added_to_another(pair: tuple[Zoo, Zoo]) -> None:
    first, second = pair
    expected = ids(first) | ids(second)
    for given in ([second], [first, second]):
        merged = merge_zoos(given, first.path)
        assert merged.path == first.path
        assert ids(merged) == expected
    assert verify_zoo(merged).ok


def test_a_new_zoo_has_the_calibrator_of_the_first(pair: tuple[Zoo, Zoo], tmp_path: Path) -> None:
    Seals(pair[0].blobs.__class__(pair[0].retrieval)).put(CALIBRATOR, b"{}")
    merged = merge_zoos(pair, tmp_path / "both")
    assert (merged.retrieval / CALIBRATOR).read_bytes() == b"{}"


@pytest.mark.usefixtures("stores")
@pytest.mark.long
def test_a_shared_zoo_is_merged_from_where_it_lies(pair: tuple[Zoo, Zoo], tmp_path: Path) -> None:
    push_zoo(pair[1], "memory://zoo")
    merged = merge_zoos([pair[0], Zoo.open("memory://zoo")], tmp_path / "both")
    assert ids(merged) == ids(pair[0]) | ids(pair[1])
    assert verify_zoo(merged).ok


def refused(zoos: tuple[Zoo, ...], folder: Path, said: str) -> None:
    with pytest.raises(ZooError, match=said):
        merge_zoos(zoos, folder)
    assert not folder.exists()


def test_other_bases_are_refused(pair: tuple[Zoo, Zoo], tmp_path: Path) -> None:
    stranger = Zoo.create(tmp_path / "stranger")
    refused((pair[0], stranger), tmp_path / "both", "starts from the base None|has no base")
    stranger.set_base(stranger.add_weights(random_state(8), None), LARGEST)
    refused((pair[0], stranger), tmp_path / "both", "starts from the base .* expected the same")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"card": {**CARD, "licence": "CC-BY-NC-4.0"}}, "'cutlery' has another card"),
        ({"classes": ("knife", "fork", "spoon")}, "'cutlery' has another classes"),
        ({"train_images": 7}, "'cutlery' has another train_images"),
    ],
)
@pytest.mark.long
def test_tasks_of_one_name_must_be_the_same(
    pair: tuple[Zoo, Zoo], tiny: Tiny, tmp_path: Path, given: dict[str, object], said: str
) -> None:
    add_task(pair[1], tiny, "cutlery", tiny.weights, **given)
    refused(pair, tmp_path / "both", f"{said}.*zoo copy --tasks")


def test_networks_of_one_id_must_be_the_same(
    pair: tuple[Zoo, Zoo], tiny: Tiny, tmp_path: Path
) -> None:
    pair[1].add_entry(replace(tiny.entries[0], licence="MIT"))
    refused(pair, tmp_path / "both", f"network '{tiny.entries[0].id}'.*under MIT")


def test_what_is_no_zoo_is_left_alone(pair: tuple[Zoo, Zoo], tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    with pytest.raises(ZooError, match="is in use and holds no zoo"):
        merge_zoos(pair, tmp_path / "used")
    with pytest.raises(InputError, match="1 zoo was given; expected two or more"):
        merge_zoos(pair[:1], tmp_path / "both")


@pytest.mark.long
def test_a_merge_that_was_stopped_goes_on(
    pair: tuple[Zoo, Zoo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_rows = Zoo.copy_rows
    calls: list[object] = []

    def stopped(*given: object) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        copy_rows(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Zoo, "copy_rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        merge_zoos(pair, tmp_path / "both")
    monkeypatch.undo()
    merged = merge_zoos(pair, tmp_path / "both")
    assert ids(merged) == ids(pair[0]) | ids(pair[1])
    assert verify_zoo(merged).ok
