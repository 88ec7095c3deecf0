"""A user's own results of a service: checked as a whole, stored, and drawn beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tans.errors import InputError
from tans_bench.experiments.main import EXPERIMENT, PLAN
from tans_bench.runs.drawing import Plot, Table
from tans_bench.runs.imported import import_results, imported_cells, read_results
from tans_bench.runs.jobs import FineTune, proposal_of
from tans_bench.runs.results import Results

HEAD = "task,service,accuracy,training_s\n"
GOOD = "solar-cells,Azure Custom Vision,0.75,600\n"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Made-up runs of the first methods of the main comparison on two tasks."""
    results = Results(tmp_path / "results")
    for arm in PLAN.arms[:2]:
        for choose in (c for c in arm.choices() if c.task in {"solar-cells", "clipart-food"}):
            choice: dict[str, Any] = {
                "source": "imagenet",
                "weights": "24b5",
                "architecture": "lite0:3x6,3x6|5x6,5x6|3x6,3x6,3x6|5x6,5x6,5x6|5x6,5x6,5x6,5x6|3x6",
                "resolution": 64 if choose.method == "tans" else 48,
                "fit_head": True,
                "details": {},
                "seconds": 10.0,
                "params": 3_400_000,
                "flops": 31_000_000,
            }
            results.write(choose.name, choice)
            for epochs in arm.epochs:
                job = FineTune(choose.task, proposal_of(choice), epochs)
                history = [{"epoch": 1, "val_accuracy": 0.5}]
                run = {"accuracy": 0.7, "seconds": 290.0, "history": history}
                results.write(job.name, run)
    return results


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def drawn(results: Results) -> Mapping[str, Table]:
    return {each.name: each for each in EXPERIMENT.draw(results) if isinstance(each, Table)}


def legend(results: Results) -> list[str]:
    (plot,) = (d for d in EXPERIMENT.draw(results) if isinstance(d, Plot) and d.name == "time")
    return [str(line.get_label()) for line in plot.figure.axes[0].get_lines()]


def row_of(table: Table, *cells: str) -> dict[str, str]:
    (row,) = (row for row in table.rows if row[: len(cells)] == list(cells))
    return dict(zip(table.columns, row, strict=True))


def test_an_imported_row_stands_beside_its_peers(results: Results, tmp_path: Path) -> None:
    before = drawn(results)
    text = (
        "task,service,accuracy,training_minutes,search_s,params,flops,note\n"
        "solar-cells,Azure Custom Vision,75%,9,60,2.5e6,3e7,quick training\n"
        "clipart-food,Azure Custom Vision,0.55,5,,,,\n"
    )
    import_results(table(tmp_path / "mine.csv", text), results.folder)
    after = drawn(results)
    for name in ("averages", "tasks"):
        assert [row for row in after[name].rows if "imported" not in str(row)] == before[name].rows
        assert "not measured here" not in before[name].caption
        assert "not measured here" in after[name].caption
    row = row_of(after["tasks"], "solar-cells", "Azure Custom Vision (imported)")
    assert row["trained on"] == "not measured here: quick training"
    assert (row["FLOPs (M)"], row["params (M)"]) == ("30.0", "2.50")
    assert (row["epochs"], row["search (s)"], row["training (s)"]) == ("", "60.0", "540.0")
    assert (row["accuracy (%)"], row["gain"]) == ("75.0", "+5.0")
    assert row["speed-up"] == "0.50x"  # ImageNet's 300 s against 600
    mean = row_of(after["averages"], "Azure Custom Vision (imported)")
    assert (mean["tasks"], mean["gain"].split()[0]) == ("2", "-5.0")
    assert (mean["FLOPs (M)"], mean["params (M)"]) == ("", "")  # not known of both tasks
    assert row_of(after["averages"], "ImageNet", "50")["accuracy (%)"].startswith("70.0")


def test_figure_2_shows_what_has_a_time(results: Results, tmp_path: Path) -> None:
    text = f"{HEAD}{GOOD}clipart-food,Vertex AI,0.8,\n"
    import_results(table(tmp_path / "mine.csv", text), results.folder)
    assert "Azure Custom Vision (imported)" in legend(results)
    assert "Vertex AI (imported)" not in legend(results)
    row = row_of(drawn(results)["tasks"], "clipart-food", "Vertex AI (imported)")
    assert (row["training (s)"], row["speed-up"], row["accuracy (%)"]) == ("", "", "80.0")


@pytest.mark.long
def test_a_page_is_drawn_of_them(results: Results, tmp_path: Path) -> None:
    import_results(table(tmp_path / "mine.csv", HEAD + GOOD), results.folder)
    for drawing in EXPERIMENT.draw(results):
        drawing.save(tmp_path)
    assert "| Azure Custom Vision (imported) |" in (tmp_path / "tasks.md").read_text()
    assert "(imported)" in (tmp_path / "time.svg").read_text()


def test_results_alone_draw_nothing(tmp_path: Path) -> None:
    import_results(table(tmp_path / "mine.csv", HEAD + GOOD), tmp_path / "results")
    assert list(EXPERIMENT.draw(Results(tmp_path / "results"))) == []


def test_other_numbers_of_training_images_are_not_mixed(results: Results, tmp_path: Path) -> None:
    text = "task,service,accuracy,training_s,images\nsolar-cells,Azure,0.75,600,600\n"
    (row,) = import_results(table(tmp_path / "mine.csv", text), results.folder)
    assert row.images == 600
    assert imported_cells(PLAN.arms, results) == []
    (cell,) = imported_cells(PLAN.scaled("gpu").arms, results)
    assert (cell.task, cell.accuracy, cell.total_s) == ("solar-cells", 0.75, 600)


def test_an_import_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    for accuracy in (0.5, 0.6):
        text = f"{HEAD}solar-cells,Azure,{accuracy},600\n"
        import_results(table(tmp_path / "mine.csv", text), tmp_path / "results")
    (cell,) = imported_cells(PLAN.arms, Results(tmp_path / "results"))
    assert cell.accuracy == 0.6


def test_spreadsheets_write_it_in_several_ways(tmp_path: Path) -> None:
    text = f"\ufeff{HEAD}{GOOD}".replace(",", ";").replace("0.75", "75 %").replace("\n", "\r\n")
    (row,) = read_results(table(tmp_path / "mine.csv", text.replace("task", " Task")))
    assert (row.task, row.accuracy, row.training_s) == ("solar-cells", 0.75, 600)


def test_the_documented_table_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "automl.md").read_text(encoding="utf-8")
    text = page.partition("```csv\n")[2].partition("```")[0]
    first, second = read_results(table(tmp_path / "mine.csv", text))
    assert (first.accuracy, first.training_s, first.note) == (0.619, 720, "general domain")
    assert (second.service, second.accuracy, second.training_s) == ("Vertex AI", 0.635, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the columns are none"),
        (HEAD, "no rows"),
        (f"{HEAD}\n\n", "no rows"),
        ("task,service,training_s\n", "line 1: the columns are task, service, training_s"),
        ("task,service,accuracy\n", "line 1: .*one of training_s or training_minutes"),
        ("task,service,accuracy,training_s,training_minutes\n", "line 1: the columns"),
        ("task,service,accuracy,training_s,colour\n", "line 1: .*colour"),
        ("task,task,service,accuracy,training_s\n", "line 1: .*each once"),
        (f"{HEAD}{GOOD}solar,Azure,0.5,1\n", "line 3: 'solar' is no task .*solar-cells"),
        (f"{HEAD}{GOOD}script-greek,Azure,0.5,1\n", "line 3: 'script-greek' is no task"),
        (f"{HEAD}{GOOD}\n{GOOD}", "line 4: .* in line 2 already"),
        (f"{HEAD}{GOOD}{GOOD.replace('Custom', 'custom')}", "line 3: .* in line 2 already"),
        (f"{HEAD}solar-cells,Azure,87.1,1\n", "line 2: the accuracy is '87.1'.*87.1%"),
        (f"{HEAD}solar-cells,Azure,101%,1\n", "line 2: the accuracy is '101%'"),
        (f"{HEAD}solar-cells,Azure,-0.1,1\n", "line 2: the accuracy"),
        (f"{HEAD}solar-cells,Azure,nan,1\n", "line 2: the accuracy"),
        (f"{HEAD}solar-cells,Azure,,1\n", "line 2: the accuracy is ''"),
        (f"{HEAD}solar-cells,Azure,0.5,-1\n", "line 2: training_s is '-1'.*above 0"),
        (f"{HEAD}solar-cells,Azure,0.5,inf\n", "line 2: training_s is 'inf'"),
        (f"{HEAD}solar-cells,Azure,0.5,long\n", "line 2: training_s is 'long'"),
        (f"{HEAD}solar-cells,,0.5,1\n", "line 2: the service is ''"),
        (f"{HEAD}solar-cells,a|b,0.5,1\n", "line 2: the service is 'a|b'"),
        (f"{HEAD}solar-cells,ImageNet,0.5,1\n", "line 2: .*a method that is run here"),
        (f"{HEAD}solar-cells,Azure,0.5\n", "line 2: 3 cells; expected 4"),
        (f"{HEAD}solar-cells,Azure,0.5,1,2\n", "line 2: 5 cells; expected 4"),
    ],
)
def test_one_bad_row_and_nothing_is_stored(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("|", r"\|")):
        import_results(table(tmp_path / "mine.csv", text), tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("column", ["search_s", "images", "params", "flops", "note"])
def test_bad_cells_of_other_columns(tmp_path: Path, column: str) -> None:
    text = f"{HEAD.strip()},{column}\n{GOOD.strip()},-1|\n"
    with pytest.raises(InputError, match=f"line 2: .*{column} is '-1"):
        read_results(table(tmp_path / "mine.csv", text))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path)
    (tmp_path / "bytes.csv").write_bytes(f"{HEAD}{GOOD}".encode() + bytes(9))
    with pytest.raises(InputError, match="is not text"):
        read_results(tmp_path / "bytes.csv")
