import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.meta.evidence import COLUMNS, DOUBLINGS, angle, best_of, evidence, share
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo


@pytest.fixture(scope="module")
def sources(small_zoo: Zoo) -> Sources:
    return Sources.of(small_zoo)


def _probes(sources: Sources) -> dict[str, float]:
    probed = [*sources.largest.values(), *sources.always]
    return {entry.id: 0.5 + 0.05 * k for k, entry in enumerate(probed)}


def test_the_largest_networks_stand_for_their_sources(small_zoo: Zoo, sources: Sources) -> None:
    assert set(sources.largest) == {task.name for task in small_zoo.tasks()} - {IMAGENET}
    for entry in small_zoo.entries(vectors=False):
        own = sources.stand_in(entry)
        assert own.task == entry.task
        assert own.body_params >= entry.body_params
        assert own.weights == entry.weights
    assert [e.resolution for e in sources.whole] == sorted(e.resolution for e in sources.whole)
    assert sources.base.weights == small_zoo.base


def test_a_network_is_compared_with_the_one_that_was_probed(
    small_zoo: Zoo, sources: Sources
) -> None:
    entries = small_zoo.entries(vectors=False)
    probes = _probes(sources)
    rows = evidence(sources, entries, probes)
    assert rows.shape == (len(entries), len(COLUMNS))
    assert rows.isfinite().all()
    column = {name: rows[:, k] for k, name in enumerate(COLUMNS)}
    for k, entry in enumerate(entries):
        assert column["probe"][k] == angle(probes[sources.stand_in(entry).id])
        assert column["size"][k] <= 0
        usual = entry.resolution == sources.base.resolution
        assert 0 <= column["resolution"][k] <= DOUBLINGS
        assert bool(column["resolution"][k]) == (not usual)
    usual_probes = [p for id, p in probes.items() if small_zoo.entry(id).resolution == 32]
    assert set(column["best probe"].tolist()) == {angle(max(usual_probes))}
    largest = [k for k, e in enumerate(entries) if e in sources.largest.values()]
    assert torch.equal(column["size"][largest], torch.zeros(len(largest), dtype=torch.float64))


def test_a_network_in_a_larger_size_is_judged_by_its_own_probe(
    small_zoo: Zoo, sources: Sources
) -> None:
    probes = _probes(sources)
    entries = [sources.largest["red"], small_zoo.entry(f"{sources.largest['red'].id}@48")]
    usual = evidence(sources, entries[:1], probes)
    with pytest.raises(InputError, match="@48 was not probed"):
        evidence(sources, entries, probes)
    # however good, it is not what tells how hard the task is
    rows = evidence(sources, entries, {**probes, entries[1].id: 1.0})
    assert torch.equal(rows[:1], usual)
    column = {name: rows[1, k].item() for k, name in enumerate(COLUMNS)}
    assert column["probe"] == angle(1.0)
    assert column["best probe"] == usual[0, COLUMNS.index("best probe")]
    assert column["resolution"] == pytest.approx(math.log2(48 / 32))
    assert column["size"] == 0


def test_a_source_that_was_not_probed_is_an_error(small_zoo: Zoo, sources: Sources) -> None:
    probes = {e.id: 0.5 for e in sources.always}
    with pytest.raises(InputError, match="was not probed"):
        evidence(sources, small_zoo.entries(vectors=False), probes)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=7))
def test_the_best_of_some_is_the_mean_over_all_ways_to_draw_them(values: list[float]) -> None:
    drawn = itertools.combinations(values, 3)
    assert best_of(3, values) == pytest.approx(statistics.fmean(map(max, drawn)))
    assert best_of(7, values) == max(values)


def test_the_best_of_none_is_nothing() -> None:
    assert best_of(3, []) == 0


@given(st.floats(0, 1))
def test_an_angle_tells_its_accuracy(accuracy: float) -> None:
    found = angle(accuracy)
    assert 0 <= found <= math.pi / 2
    assert share(torch.tensor(found, dtype=torch.float64)).item() == pytest.approx(accuracy)


def test_angles_beyond_the_ends_are_the_ends() -> None:
    assert share(torch.tensor([-0.3, 0.0, math.pi / 2, 9.0])).tolist() == [0, 0, 1, 1]
    assert angle(1.0000001) == math.pi / 2
