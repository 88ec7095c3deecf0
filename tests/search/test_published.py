import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tans.errors import InputError, LimitError
from tans.licences import UNSTATED
from tans.search import embed, search
from tans.zoo.zoo import Zoo
from tests.small_zoo import SHORT_PUBLISHED, drawn_task

QUERY = drawn_task("green", "three", seed=3)

pytestmark = pytest.mark.usefixtures("short_published")


def test_the_papers_method_takes_the_nearest_pairs_and_the_best_predicted_of_them(
    small_zoo: Zoo,
) -> None:
    found = search(QUERY, small_zoo, method="paper", top=10_000)
    assert found.method == "paper"
    assert (found.looks, found.related, found.notes) == ((), None, ())
    assert all(match.low is match.high is None for match in found)
    assert {match.task for match in found} <= {"red", "blue"}  # ImageNet's are of no pair
    pairs = [entry for entry in small_zoo.entries() if entry.task in ("red", "blue")]
    assert len(found) == min(SHORT_PUBLISHED.top, len(pairs))
    predicted = [match.predicted_accuracy for match in found]
    assert predicted == sorted(predicted, reverse=True)
    assert len(search(QUERY, small_zoo, method="paper", top=1)) == 1


def test_the_papers_method_applies_limits_to_what_it_retrieved(
    small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = search(QUERY, small_zoo, method="paper", top=10_000)
    limit = sorted(match.params for match in everything)[len(everything) // 2 - 1]
    found = search(QUERY, small_zoo, method="paper", max_params=limit)
    assert [m.id for m in found] == [m.id for m in everything if m.params <= limit]
    assert "limits are applied last" in found.notes[0]
    one = replace(SHORT_PUBLISHED, top=1)  # as many as are retrieved
    monkeypatch.setattr("tans.meta.published.SETTINGS", one)
    nearest = search(QUERY, small_zoo, method="paper")
    assert len(nearest) == 1
    smaller = [m for m in everything if m.params < nearest[0].params]
    if smaller:
        found = search(QUERY, small_zoo, method="paper", max_params=nearest[0].params - 1)
        assert "none of the 1 nearest networks fits; of the" in found.notes[0]
        assert all(match.params < nearest[0].params for match in found)


def test_costs_of_the_papers_method_are_those_under_its_plain_head(small_zoo: Zoo) -> None:
    for match in search(QUERY, small_zoo, method="paper", top=3):
        network = small_zoo.load(match.id, classes=len(QUERY.classes))
        assert match.params == sum(p.numel() for p in network.parameters())


def test_the_papers_method_names_a_limit_that_works(small_zoo: Zoo) -> None:
    with pytest.raises(LimitError, match="nearest limit") as caught:
        search(QUERY, small_zoo, method="paper", max_params=1000)
    named = float(str(caught.value).rsplit("max_params ", 1)[1])
    assert search(QUERY, small_zoo, method="paper", max_params=named)[0].params <= named


def test_the_papers_method_says_what_it_does_not_know(small_zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of tans, paper"):
        search(QUERY, small_zoo, method="papers")
    with pytest.raises(InputError, match="not of minutes"):
        search(QUERY, small_zoo, method="paper", max_minutes=1)
    with pytest.raises(InputError, match="where the images lie"):
        search(embed(QUERY, small_zoo), small_zoo, method="paper")
    shutil.copytree(small_zoo.path, tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    for task in ("red", "blue"):
        zoo.add_entries([replace(e, licence=UNSTATED) for e in zoo.entries(task=task)])
    with pytest.raises(LimitError, match="trained on a task allows commercial use"):
        search(QUERY, zoo, method="paper", commercial=True)
