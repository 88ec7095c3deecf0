import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError, LimitError, ZooError
from tans.licences import UNSTATED
from tans.meta.retriever import Retriever
from tans.networks.family import describe
from tans.search import search
from tans.search.result import SearchResult
from tans.tasks.task import Task
from tans.types import NetworkRef
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)


def test_costs_are_those_of_the_network_with_the_users_head(small_zoo: Zoo) -> None:
    for match in search(QUERY, small_zoo, top=5):
        network = small_zoo.load(match.id, classes=len(QUERY.classes))
        network.replace_head(len(QUERY.classes), deep=True)
        assert match.params == sum(p.numel() for p in network.parameters())
        assert network.input.size == match.resolution
        costs = describe(network.ref).costs(len(QUERY.classes), deep=True)
        assert match.flops == costs.flops
        assert match.licences == Licensing.of(small_zoo).chain(small_zoo.entry(match.id))


@pytest.mark.long
def test_what_forbids_commercial_use_or_is_unknown_is_left_out(
    small_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    for task, licence in (("red", "CC-BY-NC-SA-4.0"), ("blue", UNSTATED)):
        zoo.add_entries([replace(e, licence=licence) for e in zoo.entries(task=task)])
    found = search(QUERY, zoo, commercial=True, top=10_000)
    assert {match.task for match in found} == {"imagenet"}
    assert found.forbidden == len(zoo.entries()) - len(found)
    assert search(QUERY, zoo, top=10_000).forbidden == 0
    with pytest.raises(LimitError, match=r"nearest limit that one would fit is max_params \d+"):
        search(QUERY, zoo, commercial=True, max_params=1000)
    zoo.add_entries([replace(e, licence="NPOSL-3.0") for e in zoo.entries()])
    with pytest.raises(LimitError, match="none of .* allows commercial use"):
        search(QUERY, zoo, commercial=True)


def test_matches_are_the_most_similar_in_order_of_predicted_accuracy(small_zoo: Zoo) -> None:
    everything = search(QUERY, small_zoo, top=10_000)
    assert len(everything) == len(small_zoo.entries())
    few = search(QUERY, small_zoo, top=5)
    nearest = sorted(everything, key=lambda m: -m.similarity)[:10]
    best = sorted(nearest, key=lambda m: -m.predicted_accuracy)
    assert [m.id for m in few] == [m.id for m in best[:5]]
    assert [m.id for m in search(QUERY, small_zoo, top=1)] == [best[0].id]
    predicted = [m.predicted_accuracy for m in few]
    assert predicted == sorted(predicted, reverse=True)
    assert all(0 <= m.predicted_accuracy <= 1 and -1.001 <= m.similarity <= 1.001 for m in few)
    assert few.matches == search(QUERY, small_zoo, top=5).matches
    assert few.embedding_s > 0
    assert few.search_s > 0
    assert few[0] == next(iter(few))


@pytest.fixture(scope="module")
def everything(small_zoo: Zoo) -> SearchResult:
    return search(QUERY, small_zoo, top=10_000)


@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.3, 1.2), name=st.sampled_from(["params", "flops"]))
@pytest.mark.long
def test_a_limit_never_empties_the_list_while_something_fits(
    small_zoo: Zoo, everything: SearchResult, share: float, name: str
) -> None:
    costs = sorted(getattr(match, name) for match in everything)
    limit = share * costs[-1]
    fitting = [cost for cost in costs if cost <= limit]
    if fitting:
        found = search(QUERY, small_zoo, top=3, **{f"max_{name}": limit})
        assert len(found) == min(3, len(fitting))
        assert all(getattr(match, name) <= limit for match in found)
    else:
        with pytest.raises(LimitError, match=f"max_{name}"):
            search(QUERY, small_zoo, **{f"max_{name}": limit})


def test_the_limit_named_when_nothing_fits_is_one_that_works(small_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="nearest limit") as caught:
        search(QUERY, small_zoo, max_params=1000, max_flops=1e9)
    named = float(str(caught.value).rsplit("max_params ", 1)[1])
    found = search(QUERY, small_zoo, max_params=named, max_flops=1e9)
    assert found[0].params <= named
    with pytest.raises(LimitError, match="smallest needs max_params .* max_flops"):
        search(QUERY, small_zoo, max_params=1000, max_flops=1000)


def test_latency_is_this_devices(
    small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clock(refs: Sequence[NetworkRef]) -> list[float]:
        return [describe(ref).costs(10).flops / 1e6 for ref in refs]

    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    monkeypatch.setattr("tans.costs.latency.measure_ms", clock)
    without = search(QUERY, small_zoo, top=1)
    assert without[0].latency_ms is without.latency_error is None
    found = search(QUERY, small_zoo, top=3, max_latency_ms=10_000)
    for match in found:
        assert match.latency_ms == pytest.approx(match.flops / 1e6, rel=0.05)
    assert found.latency_error is not None
    assert 0 <= found.latency_error < 1
    with pytest.raises(LimitError, match="max_latency_ms"):
        search(QUERY, small_zoo, max_latency_ms=1e-6)


def test_networks_that_joined_after_meta_training_are_found(small_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    joined = replace(zoo.entries()[0], id="mine-00000000")
    zoo.add_entry(joined)
    found = search(QUERY, zoo, top=10_000)
    twin = next(m for m in found if m.id == zoo.entries()[0].id)
    mine = next(m for m in found if m.id == joined.id)
    assert mine.similarity == pytest.approx(twin.similarity, abs=1e-5)


def test_embeddings_of_fewer_networks_than_they_are_said_to_be_of_are_refused(
    small_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    learnt = Retriever.load(zoo.retrieval)
    replace(learnt, matrix=learnt.matrix[1:]).save(zoo.retrieval)
    with pytest.raises(ZooError, match="train it anew"):
        search(QUERY, zoo, look=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"top": 0},
        {"look": -1},
        {"max_params": -1},
        {"max_flops": float("nan")},
        {"max_minutes": 0},
    ],
)
def test_senseless_arguments_are_refused(small_zoo: Zoo, wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        search(QUERY, small_zoo, **wrong)  # type: ignore[arg-type]


def test_a_zoo_without_a_retrieval_model_is_an_error(
    small_zoo: Zoo, small_tasks: list[Task], tmp_path: Path
) -> None:
    shutil.copytree(small_zoo.path, tmp_path / "zoo", ignore=shutil.ignore_patterns("retrieval"))
    with pytest.raises(ZooError, match="tans train"):
        search(small_tasks[0], Zoo.open(tmp_path / "zoo"))
