from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError
from tans.meta.data import MetaData, parts_of, structures
from tans.meta.presets import PARTS
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.structure import NUMBERS, structure
from tans.training import Recipe
from tans.types import InputSpec, NetworkRef, Transfer
from tests.meta.synthetic import make_data

NAN = float("nan")


LENGTH = Recipe().passes(100)
"""Epochs of the default recipe on 100 images."""


REF = ref_of(LITE0.largest, 64)


@dataclass(frozen=True)
class FakeZoo:
    """What ``MetaData.from_zoo`` asks of a zoo: two tasks with images, and imagenet."""

    images: tuple[int, int, int] = (10, 7, 0)
    ref: NetworkRef = REF

    def tasks(self) -> list[SimpleNamespace]:
        families = {"thai": "script", "flags": "", "imagenet": ""}
        return [SimpleNamespace(name=n, card={"family": f}) for n, f in families.items()]

    def entries(self, vectors: bool) -> list[SimpleNamespace]:
        assert not vectors, "the vectors come as matrices"
        rows = (("a", "imagenet", None), ("b", "flags", 0.5), ("c", "thai", 0.25))
        return [SimpleNamespace(id=i, task=t, accuracy=a, ref=self.ref) for i, t, a in rows]

    def check_tasks(self, entries: list[SimpleNamespace]) -> None:
        assert {entry.task for entry in entries} <= {task.name for task in self.tasks()}

    def features(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        place = ("thai", "flags", "imagenet").index(name)
        count = self.images[place]
        return torch.full((count, 4), float(place)).half(), torch.arange(count) % 2

    def matrix(self, column: str) -> np.ndarray:
        width = {"topology": 2, "functional": 5, "similarities": 3}[column]
        return np.arange(3 * width, dtype=np.float32).reshape(3, width)

    def transfers(self, newest: bool = False) -> list[Transfer]:
        assert newest

        def transfer(
            source: str, target: str, epochs: int = LENGTH, accuracy: float = 0.75
        ) -> Transfer:
            return Transfer(source, target, epochs, 100, accuracy, 0, 1.0, 3, 100)

        return [
            transfer("a", "thai"),
            transfer("a", "thai", 3),
            transfer("a", "flags", 0, 0.25),
            transfer("a", "flags", 0, 0.5),
            transfer("gone", "thai"),
            transfer("b", "elsewhere"),
        ]


def test_a_zoo_becomes_tensors() -> None:
    data = MetaData.from_zoo(FakeZoo())  # type: ignore[arg-type]
    assert data.tasks == ("thai", "flags", "imagenet")
    assert data.families == ("script", "flags", "imagenet")
    assert data.entry_tasks.tolist() == [2, 1, 0]
    assert data.accuracy.isnan().tolist() == [True, False, False]
    assert data.image_tasks.tolist() == [0] * 10 + [1] * 7
    assert data.features.dtype == torch.float32
    assert data.features[:, 0].tolist() == [0] * 10 + [1] * 7
    assert data.has_images.tolist() == [True, True, False]
    assert data.queried.tolist() == [0, 1]
    # of the others, one has other epochs, two are probes, two name an unknown source or target
    assert (data.transfer_entries.tolist(), data.transfer_tasks.tolist()) == ([0], [0])
    assert data.transfer_accuracy.tolist() == [0.75]
    assert data.probe_means[2].tolist() == pytest.approx([NAN, 0.375, NAN], nan_ok=True)
    assert int(data.probe_means.isfinite().sum()) == 1
    assert data.parts["topology"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert data.held_out[:10].sum() == 2


def test_parts_of_a_zoo_are_those_that_are_asked_for() -> None:
    found = parts_of(FakeZoo(), ("structure", "functional"))  # type: ignore[arg-type]
    assert {name: part.shape for name, part in found.items()} == {
        "structure": (3, len(NUMBERS)),
        "functional": (3, 5),
    }
    assert found["structure"][0].tolist() == pytest.approx(structure(FakeZoo().ref))
    assert set(parts_of(FakeZoo())) == set(PARTS)  # type: ignore[arg-type]
    assert structures([]).shape == (0, len(NUMBERS))


@pytest.mark.parametrize("missing", ["timm", None])
def test_a_network_that_cannot_be_built_here_has_no_structure(
    missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = NetworkRef("timm", f"not_installed_{missing}", InputSpec(64))
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    found = structures([unknown, FakeZoo().ref])
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


def test_structures_follow_from_the_ids_and_count_for_no_digest() -> None:
    data = MetaData.from_zoo(FakeZoo())  # type: ignore[arg-type]
    without = {name: part for name, part in data.parts.items() if name != "structure"}
    assert replace(data, parts=without).digest() == data.digest()
    assert replace(data, parts={**data.parts, "topology": torch.zeros(3, 2)}).digest() != (
        data.digest()
    )


def test_a_zoo_without_images_is_told() -> None:
    with pytest.raises(InputError, match="no task"):
        MetaData.from_zoo(FakeZoo((0, 0, 0)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="held_out"):
        MetaData.from_zoo(FakeZoo(), held_out=1.0)  # type: ignore[arg-type]


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0, 0.9), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_each_class_keeps_an_image_and_gives_its_share(
    images: tuple[int, int], share: float, seed: int
) -> None:
    zoo = FakeZoo((*images, 0))
    data = MetaData.from_zoo(zoo, held_out=share, seed=seed)  # type: ignore[arg-type]
    for task in (0, 1):
        for label in (0, 1):
            rows = (data.image_tasks == task) & (data.labels == label)
            held = int((data.held_out & rows).sum())
            assert held <= max(0, int(rows.sum()) - 1)
            assert abs(held - share * int(rows.sum())) <= 1


def test_without_a_family_nothing_of_it_remains() -> None:
    data = make_data()
    data = replace(
        data,
        transfer_entries=torch.tensor([4, 8, 24, 8]),  # of tasks 1, 2, imagenet, 2
        transfer_tasks=torch.tensor([2, 1, 2, 5]),
        transfer_accuracy=torch.tensor([0.1, 0.2, 0.3, 0.4]),
        probe_means=torch.arange(49.0).reshape(7, 7),
    )
    rest = data.without("family1")  # tasks 1 and 4
    assert rest.tasks == ("task0", "task2", "task3", "task5", "imagenet")
    assert rest.probe_means[1].tolist() == [14, 16, 17, 19, 20]
    assert rest.transfer_accuracy.tolist() == pytest.approx([0.3, 0.4])
    for old, new in ((24, rest.transfer_entries[0]), (8, rest.transfer_entries[1])):
        assert rest.entries[int(new)] == data.entries[old]
    assert [rest.tasks[i] for i in rest.transfer_tasks.tolist()] == ["task2", "task5"]
    for name in rest.tasks[:-1]:
        old_rows = data.features[data.image_tasks == data.tasks.index(name)]
        assert torch.equal(rest.features[rest.image_tasks == rest.tasks.index(name)], old_rows)
    for i, entry in enumerate(rest.entries):
        old = data.entries.index(entry)
        assert rest.tasks[int(rest.entry_tasks[i])] == data.tasks[int(data.entry_tasks[old])]
        assert torch.equal(rest.parts["functional"][i], data.parts["functional"][old])


def test_imagenet_counts_as_best_only_against_other_families_with_images() -> None:
    data = make_data()  # families 0 1 2 0 1 2; networks of task t are 4t to 4t + 3
    imagenet, sibling_of_0, other = 24, 12, 4

    def positives(*rows: tuple[int, int, float]) -> list[list[int]]:
        entries, targets, accuracy = zip(*rows, strict=True)
        measured = replace(
            data,
            transfer_entries=torch.tensor(entries),
            transfer_tasks=torch.tensor(targets),
            transfer_accuracy=torch.tensor(accuracy),
        )
        return measured.imageless_positives().tolist()

    assert data.imageless_positives().tolist() == []
    assert positives((imagenet, 0, 0.6), (other, 0, 0.5)) == [[0, 6]]
    assert positives((imagenet, 0, 0.4), (other, 0, 0.5)) == []
    assert positives((imagenet, 0, 0.6)) == []
    assert positives((imagenet, 0, 0.6), (sibling_of_0, 0, 0.5)) == []
    assert positives((imagenet, 0, 0.6), (other, 0, 0.5), (sibling_of_0, 0, 0.9)) == [[0, 6]]


def test_transfer_means_average_repeats() -> None:
    data = replace(
        make_data(),
        transfer_entries=torch.tensor([4, 5, 8]),
        transfer_tasks=torch.tensor([0, 0, 0]),
        transfer_accuracy=torch.tensor([0.2, 0.4, 0.9]),
    )
    means = data.transfer_means()
    assert means[1, 0].item() == pytest.approx(0.3)
    assert means[2, 0].item() == pytest.approx(0.9)
    assert int(means.isfinite().sum()) == 2


def test_the_digest_changes_with_any_content() -> None:
    data = make_data()
    assert data.digest() == make_data().digest()
    parts = {**data.parts, "topology": data.parts["topology"] + 1}
    changed = (
        replace(data, labels=data.labels + 1),
        replace(data, families=("other", *data.families[1:])),
        replace(data, parts=parts),
    )
    assert len({data.digest(), *(c.digest() for c in changed)}) == 4


def test_lengths_that_disagree_are_told() -> None:
    data = make_data()
    with pytest.raises(InputError, match="images"):
        replace(data, labels=data.labels[1:])
    with pytest.raises(InputError, match="networks"):
        replace(data, accuracy=data.accuracy[1:])
    with pytest.raises(InputError, match=r"probe_means has shape \(3, 3\)"):
        replace(data, probe_means=torch.zeros(3, 3))
