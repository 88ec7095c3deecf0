import math

import pytest
import torch

from tans.errors import InputError
from tans.meta.evidence import COLUMNS, DOUBLINGS, EDGE, evidence, logit
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
        assert column["probe"][k] == logit(probes[sources.stand_in(entry).id])
        assert column["size"][k] <= 0
        usual = entry.resolution == sources.base.resolution
        assert 0 <= column["resolution"][k] <= DOUBLINGS
        assert bool(column["resolution"][k]) == (not usual)
    usual_probes = [p for id, p in probes.items() if small_zoo.entry(id).resolution == 32]
    assert set(column["best probe"].tolist()) == {logit(max(usual_probes))}
    largest = [k for k, e in enumerate(entries) if e in sources.largest.values()]
    assert torch.equal(column["size"][largest], torch.zeros(len(largest), dtype=torch.float64))


def test_a_source_that_was_not_probed_is_an_error(small_zoo: Zoo, sources: Sources) -> None:
    probes = {e.id: 0.5 for e in sources.always}
    with pytest.raises(InputError, match="was not probed"):
        evidence(sources, small_zoo.entries(vectors=False), probes)


def test_log_odds_have_bounds() -> None:
    assert logit(0.5) == 0
    assert logit(0.0) == logit(EDGE) == pytest.approx(-logit(1.0))
    assert math.isfinite(logit(1.0))
