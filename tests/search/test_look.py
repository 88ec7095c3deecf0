"""The second look: probes on the user's images, and the judge that weighs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tans.errors import ZooError
from tans.meta.calibrator import FILE, Calibrator
from tans.meta.evidence import COLUMNS
from tans.search import SearchResult, search
from tans.search.look import second_look
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


def test_sources_and_imagenet_are_probed(judged: Judged) -> None:
    zoo = judged()
    sources = Sources.of(zoo)
    result = search(QUERY, zoo, top=1000)
    assert {look.task for look in result.looks[:2]} == {"red", "blue"}
    assert [look.id for look in result.looks[2:]] == [entry.id for entry in sources.always]
    assert result.looks == second_look(QUERY, zoo, [zoo.entry(look.id) for look in result.looks])
    assert all(0 <= look.accuracy <= 1 for look in result.looks)
    assert [look.resolution for look in result.looks] == [32, 32, 32, 32, 48]
    assert result.look_s > 0
    assert len(result) == len(zoo.entries())


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


def test_few_looks_leave_only_what_was_seen(judged: Judged) -> None:
    result = search(QUERY, judged(), top=1000, look=1)
    assert len(result.looks) == 1 + 3
    assert {match.task for match in result} == {result.looks[0].task, IMAGENET}


def test_without_a_look_the_embeddings_rank(judged: Judged, small_zoo: Zoo) -> None:
    zoo = judged()
    embedded = search(QUERY, zoo, look=0)
    assert_not_looked(embedded)
    without_judge = search(QUERY, small_zoo)
    assert_not_looked(without_judge)
    assert embedded.matches == without_judge.matches


def test_imagenet_is_the_answer_where_nothing_is_related(judged: Judged) -> None:
    result = search(QUERY, judged(resolution=20.0))
    assert result.related is False
    assert result[0].task == IMAGENET


def test_a_source_that_beats_imagenet_is_related(judged: Judged) -> None:
    result = search(QUERY, judged(probe=-1.0, resolution=-20.0))  # ImageNet's probes are higher.
    assert result.related is True
    assert result[0].task in ("red", "blue")


def test_limits_hold_after_the_look_too(judged: Judged) -> None:
    zoo = judged(resolution=20.0)
    sources = Sources.of(zoo)
    limit = sources.base.body_params - 1
    result = search(QUERY, zoo, top=1000, max_params=limit)
    assert all(match.params <= limit for match in result)
    assert sources.whole[0].id in {look.id for look in result.looks}  # the judge compares with it
    assert sources.whole[1].id not in {look.id for look in result.looks}


def test_an_interval_without_bound_is_everything(judged: Judged) -> None:
    result = search(QUERY, judged(margin=float("inf")), top=3)
    assert all((match.low, match.high) == (0.0, 1.0) for match in result)


def test_a_damaged_judge_is_an_error(judged: Judged) -> None:
    zoo = judged()
    (zoo.retrieval / FILE).write_text("{}")
    with pytest.raises(ZooError, match="tans train"):
        search(QUERY, zoo)
