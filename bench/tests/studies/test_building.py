"""What is built and timed, and files that hold several ways to build."""

from __future__ import annotations

from pathlib import Path

from tans.tasks.task import Task
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Results
from tans_bench.studies.building import CLASSES, DATASETS, EXPERIMENT, IMAGES, datasets


def test_the_datasets_are_tasks(tmp_path: Path) -> None:
    datasets(tmp_path)
    for name in DATASETS:
        task = Task.from_folder(tmp_path / name)
        assert len(task.classes) == CLASSES
        assert len(task.labels) == CLASSES * IMAGES


def test_a_file_of_several_ways_shows_the_one_without_options(tmp_path: Path) -> None:
    results = Results(tmp_path)
    way = {"rounds": 1, "seconds": {"before": 20.0, "now": 10.0}, "times_as_fast": 2.0}
    results.write("building", {"as it is": {**way, "commits": {}}})
    (table,) = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert table.rows == [["whole", "20.00", "10.00", "2.00"]]


def test_one_source_has_nothing_to_compare_with(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.write("building", {"rounds": 3, "seconds": {"now": {"whole": 10.0}}, "commits": {}})
    (table,) = EXPERIMENT.draw(results)
    assert isinstance(table, Table)
    assert table.columns == ("step", "now (s)", "times as fast")
    assert table.rows[0][1] == "10.00"
