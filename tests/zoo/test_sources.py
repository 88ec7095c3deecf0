from __future__ import annotations

import pytest

from tans.errors import ZooError
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tests.zoo.conftest import Tiny


def test_the_largest_network_speaks_for_its_source(small_zoo: Zoo) -> None:
    sources = Sources.of(small_zoo)
    assert sources.largest.keys() == {"red", "blue"}
    for entry in small_zoo.entries():
        stands_in = sources.stand_in(entry)
        assert stands_in.task == entry.task
        assert stands_in.body_params >= entry.body_params


def test_slices_of_the_base_are_spoken_for_by_the_whole_base(small_zoo: Zoo) -> None:
    sources = Sources.of(small_zoo)
    imagenet = [entry for entry in small_zoo.entries() if entry.task == IMAGENET]
    slices = [entry for entry in imagenet if entry.weights == small_zoo.base]
    assert len(slices) > 1
    assert {sources.stand_in(entry).id for entry in slices} == {sources.base.id}
    assert sources.base.ref == small_zoo.base_ref


def test_the_imagenet_network_speaks_for_each_of_its_resolutions(small_zoo: Zoo) -> None:
    sources = Sources.of(small_zoo)
    sides = [entry.resolution for entry in sources.whole]
    assert len(sides) > 1
    assert sides == sorted(sides)
    assert all(sources.stand_in(entry) == entry for entry in sources.whole)
    assert [entry.id for entry in sources.always] == [
        sources.base.id, *(entry.id for entry in sources.whole),
    ]  # fmt: skip


def test_a_network_in_another_size_speaks_for_itself(small_zoo: Zoo) -> None:
    sources = Sources.of(small_zoo)
    for stored in (sources.largest["red"], sources.base):
        larger = small_zoo.entry(f"{stored.id}@48")
        assert sources.stand_in(larger) == larger
        assert sources.stand_in(stored).id == stored.id


def test_a_zoo_without_imagenet_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ZooError, match="lacks the elastic base or the ImageNet network"):
        Sources.of(tiny.zoo)
