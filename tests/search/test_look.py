"""The second look: probes on the user's images, and the judge that weighs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from tans.build.crew import Here
from tans.costs import limits
from tans.costs.pace import Pace
from tans.errors import TaskError, ZooError
from tans.meta.calibrator import FILE, Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks.family import describe
from tans.networks.network import Network
from tans.search import SearchResult, look, search
from tans.search.look import in_memory, second_look
from tans.tasks.task import Task
from tans.types import Match, NetworkRef
from tans.zoo.ids import at_size
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=3)
Judged = Callable[..., Zoo]


@pytest.fixture
def judged(small_zoo: Zoo, tmp_path: Path) -> Judged:
    """Makes the zoo judge by the probe in log odds, and by a weight for other evidence."""

    def judged(margin: float = 0.5, **weights: float) -> Zoo:
        by_name = {"probe": 1.0, **{name.replace("_", " "): w for name, w in weights.items()}}
        shutil.copytree(small_zoo.path, tmp_path / "zoo")
        zoo = Zoo.open(tmp_path / "zoo")
        columns = tuple(by_name.get(column, 0.0) for column in COLUMNS)
        Calibrator((0.0,) * len(COLUMNS), columns, bias=0.0, strength=1.0, margin=margin).save(
            zoo.retrieval
        )
        return zoo

    return judged


def assert_not_looked(result: SearchResult) -> None:
    assert (result.looks, result.look_s, result.related) == ((), 0.0, None)
    assert all(match.low is match.high is None for match in result)


def _stored(zoo: Zoo) -> set[str]:
    """Ids of the networks that sources and the base are looked at by."""
    sources = Sources.of(zoo)
    return {sources.base.id, *(entry.id for entry in sources.largest.values())}


def _match(result: SearchResult, id: str) -> Match:
    return next(match for match in result if match.id == id)


@pytest.mark.long
def test_sources_and_imagenet_are_probed(judged: Judged) -> None:
    zoo = judged()
    sources = Sources.of(zoo)
    result = search(QUERY, zoo, top=1000)
    assert {look.task for look in result.looks[:2]} == {"red", "blue"}
    assert [look.id for look in result.looks[2:5]] == [entry.id for entry in sources.always]
    assert result.looks == second_look(QUERY, zoo, [zoo.entry(look.id) for look in result.looks])
    assert all(0 <= look.accuracy <= 1 for look in result.looks)
    assert [look.resolution for look in result.looks] == [32, 32, 32, 32, 48, 48]
    assert result.look_s > 0
    assert len(result) == len(zoo.entries()) + 1


@pytest.mark.long
def test_accuracies_are_those_that_the_judge_expects(judged: Judged) -> None:
    result = search(QUERY, judged(), top=1000)
    probes = {look.id: look.accuracy for look in result.looks}
    matches = {match.id: match for match in result}
    for id, accuracy in probes.items():
        assert matches[id].predicted_accuracy == pytest.approx(accuracy)
    for match in result:
        assert match.low is not None
        assert match.high is not None
        assert 0 <= match.low <= match.predicted_accuracy <= match.high <= 1
        assert match.low < match.high
    expected = [match.predicted_accuracy for match in result]
    assert expected == sorted(expected, reverse=True)


@pytest.mark.long
def test_few_looks_leave_only_what_was_seen(judged: Judged) -> None:
    result = search(QUERY, judged(), top=1000, look=1)
    assert len(result.looks) == 1 + 3 + 1
    assert {match.task for match in result} == {result.looks[0].task, IMAGENET}


@pytest.mark.long
def test_the_best_stored_network_is_looked_at_in_larger_sizes(judged: Judged) -> None:
    zoo = judged()
    result = search(QUERY, zoo, top=1000)
    usual = [look for look in result.looks if look.id in _stored(zoo)]
    best = max(usual, key=lambda look: look.accuracy)
    (larger,) = (look for look in result.looks if "@" in look.id)
    assert (larger.id, larger.task) == (f"{best.id}@48", best.task)
    assert (larger,) == second_look(QUERY, zoo, [zoo.entry(larger.id)])
    match, stored = (_match(result, id) for id in (larger.id, best.id))
    assert (match.task, match.resolution) == (stored.task, 48)
    assert match.licences == stored.licences
    assert match.similarity == pytest.approx(stored.similarity)
    assert match.predicted_accuracy == pytest.approx(larger.accuracy)


@pytest.mark.long
def test_more_pixels_are_proposed_where_they_are_expected_to_help(judged: Judged) -> None:
    zoo = judged(probe=0.3, resolution=0.3)
    found = search(QUERY, zoo, top=1000)
    larger = next(match for match in found if "@" in match.id)
    stored = _match(found, larger.id.partition("@")[0])
    assert larger.predicted_accuracy > stored.predicted_accuracy
    assert larger.flops > stored.flops
    assert larger.params == stored.params


@pytest.mark.long
@pytest.mark.parametrize("spare", [0, -1])
def test_a_larger_size_has_to_fit_the_limits(judged: Judged, spare: int) -> None:
    zoo = judged(probe=0.3, resolution=0.3)
    without = search(QUERY, zoo, top=1000)
    needed = next(match for match in without if "@" in match.id)
    found = search(QUERY, zoo, top=1000, max_flops=needed.flops + spare)
    assert (needed.id in {match.id for match in found}) == (spare == 0)
    assert (needed.id in {look.id for look in found.looks}) == (spare == 0)
    assert all(match.flops <= needed.flops + spare for match in found)


@pytest.mark.long
def test_time_for_a_larger_size_is_counted(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "cached_pace", lambda ref: Pace(ref.name, 0.0, 1e-8, 0.3, 0.1))

    def latencies(refs: Sequence[NetworkRef], _: int) -> tuple[np.ndarray, float]:
        return np.array([ref.input.size / 10 for ref in refs]), 0.1

    monkeypatch.setattr(limits, "latencies", latencies)
    zoo = judged()
    found = search(QUERY, zoo, top=1000, max_latency_ms=4.8, max_minutes=1000)
    larger = next(match for match in found if "@" in match.id)
    stored = _match(found, larger.id.partition("@")[0])
    assert (stored.latency_ms, larger.latency_ms) == (3.2, 4.8)
    assert stored.minutes is not None
    assert larger.minutes == pytest.approx(stored.minutes * larger.flops / stored.flops)
    for less in ({"max_latency_ms": 4.7}, {"max_minutes": 0.99 * larger.minutes}):
        assert not any("@" in match.id for match in search(QUERY, zoo, top=1000, **less))
    # where nothing fits for as many epochs as usual, those of a larger size are shortened alike
    least = min(match.minutes or 0 for match in found)
    short = search(QUERY, zoo, top=1000, max_minutes=0.99 * least)
    assert short.shortened is not None
    assert all(match.minutes is not None for match in short)
    assert all((match.minutes or 0) <= 0.99 * least for match in short)


@pytest.mark.long
def test_sizes_grow_until_one_is_clearly_worse(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = judged()
    entries = [zoo.entry(f"{Sources.of(zoo).base.id}@{size}") for size in (40, 48, 56, 64, 72)]
    error = (0.7 * 0.3 / int((QUERY.splits == 0).sum())) ** 0.5
    seen = {40: 0.5, 48: 0.7, 56: 0.7 - 1.1 * error, 64: 0.8, 72: 0.9}
    monkeypatch.setattr(look, "probe", lambda network, *_, **__: seen[network.input.size])

    def sizes(below: float) -> list[int]:
        return [each.resolution for each in look.look_larger(QUERY, zoo, entries, below)]

    assert sizes(below=0.4) == [40, 48, 56]
    assert sizes(below=1.0) == [40]
    seen[56] = 0.7 - 0.9 * error
    assert sizes(below=0.4) == [40, 48, 56, 64]  # no more than four
    assert look.look_larger(QUERY, zoo, [], 0.4) == ()


def test_sizes_of_imagenets_network_end_where_one_is_clearly_worse(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = judged()
    small, large = Sources.of(zoo).whole
    worse = {large.input.size for large in (large.ref,)}
    looked: list[int] = []

    def probed(network: Network, *_: object, **__: object) -> float:
        looked.append(network.input.size)
        return 0.2 if network.input.size in worse else 0.9

    monkeypatch.setattr(look, "probe", probed)
    entries = [at_size(large, size) for size in (large.resolution, 56, 64)]
    seen = look.look_larger(QUERY, zoo, entries, below=0.9)
    assert [each.resolution for each in seen] == looked == [large.resolution]
    assert small.resolution < large.resolution


def test_numbers_are_short_in_larger_sizes_alone(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = judged()
    shorts: dict[int, bool] = {}

    def probed(network: Network, *_: object, short: bool) -> float:
        shorts[network.input.size] = short
        return 0.5

    monkeypatch.setattr(look, "probe", probed)
    for pays in (True, False):
        monkeypatch.setattr(look, "short_pays", lambda _, pays=pays: pays)
        for entry in Sources.of(zoo).whole:
            look.look_at(QUERY, zoo, entry)
        assert shorts == {32: False, 48: pays}


@pytest.mark.long
def test_sizes_are_those_of_the_imagenet_network(judged: Judged) -> None:
    zoo = judged()
    highest = zoo.entry(Sources.of(zoo).whole[-1].id)
    beyond = at_size(highest, 64)
    vectors = {"similarities": highest.similarities, "functional": highest.functional}
    zoo.add_entry(replace(beyond, id="imagenet-00000064", **vectors))
    result = search(QUERY, zoo, top=1000)
    larger = [look for look in result.looks if "@" in look.id]
    assert [look.resolution for look in larger] in ([48], [48, 64])
    assert len({look.id.partition("@")[0] for look in larger}) == 1


def test_without_a_look_the_embeddings_rank(judged: Judged, small_zoo: Zoo) -> None:
    zoo = judged()
    embedded = search(QUERY, zoo, look=0)
    assert_not_looked(embedded)
    without_judge = search(QUERY, small_zoo)
    assert_not_looked(without_judge)
    assert embedded.matches == without_judge.matches
    assert not embedded.notes
    assert "this zoo has no calibrator" in without_judge.notes[0]


def test_imagenet_is_the_answer_where_nothing_is_related(judged: Judged) -> None:
    result = search(QUERY, judged(resolution=20.0))
    assert result.related is False
    assert result[0].task == IMAGENET


@pytest.mark.long
def test_a_source_that_beats_imagenet_is_related(judged: Judged) -> None:
    result = search(QUERY, judged(probe=-1.0, resolution=-20.0))  # ImageNet's probes are higher.
    assert result.related is True
    assert result[0].task in ("red", "blue")


@pytest.mark.long
def test_limits_hold_after_the_look_too(judged: Judged) -> None:
    zoo = judged(resolution=20.0)
    sources = Sources.of(zoo)
    limit = sources.base.body_params - 1
    result = search(QUERY, zoo, top=1000, max_params=limit)
    assert all(match.params <= limit for match in result)
    assert sources.whole[0].id in {look.id for look in result.looks}  # the judge compares with it
    assert sources.whole[1].id not in {look.id for look in result.looks}


@pytest.mark.long
def test_an_interval_without_bound_is_everything(judged: Judged) -> None:
    result = search(QUERY, judged(margin=float("inf")), top=3)
    assert all((match.low, match.high) == (0.0, 1.0) for match in result)


def test_a_damaged_judge_is_an_error(judged: Judged) -> None:
    zoo = judged()
    (zoo.retrieval / FILE).write_text("{}")
    with pytest.raises(ZooError, match="tans train"):
        search(QUERY, zoo)


def test_a_look_costs_at_most_three_passes_of_the_images_that_it_sees(small_zoo: Zoo) -> None:
    entry = Sources.of(small_zoo).base
    with FlopCounterMode(display=False) as counter:
        second_look(QUERY, small_zoo, [entry])
    images = min(look.IMAGES, int((QUERY.splits == 0).sum()))
    one = describe(entry.ref).body_flops  # multiply-adds, which the counter takes for two
    assert one * images < counter.get_total_flops() / 2 <= 3 * one * images
    told = search(QUERY, small_zoo)
    assert told.look_share(0.0) == 0.0  # nothing was looked at
    looked = replace(told, embedding_s=1.0, search_s=1.0, look_s=2.0)
    assert looked.look_share(4.0) == 0.25


@pytest.mark.long
def test_a_crew_sees_what_is_seen_here_and_no_files(small_zoo: Zoo, tmp_path: Path) -> None:
    replace(QUERY, name="kept").save(tmp_path / "kept")
    task = Task.from_path(tmp_path / "kept")
    entries = small_zoo.entries(vectors=False)[::4]
    assert second_look(task, small_zoo, entries, Here()) == second_look(task, small_zoo, entries)
    sent = in_memory(task, {32, 48})
    shutil.rmtree(tmp_path / "kept")
    assert len(sent.folds(48)[0]) == len(sent.folds(32)[0])
    with pytest.raises(TaskError, match="images of 64 pixels are not here; expected 32, 48"):
        sent.folds(64)
