"""Pages are drawn from the stored results alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.tests.conftest import STRANGER_TASK, copied

from tans_bench.errors import ResultError
from tans_bench.experiments import pages
from tans_bench.experiments.catalogue import EXPERIMENTS
from tans_bench.experiments.main import EXPERIMENT as MAIN
from tans_bench.experiments.pages import write_pages
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Plot, Table, canvas
from tans_bench.runs.jobs import LIMITS, FineTune, proposal_of
from tans_bench.runs.results import Results
from tans_bench.runs.versions import CURRENT

KEPT = Path(__file__).parents[2]
"""Of this package, with its results and their pages."""


@pytest.fixture(scope="module")
def once(run_once: Bench) -> Iterator[Bench]:
    """Two methods on one task, one short epoch each, stored under the lengths of ``MAIN``."""
    first, *_ = MAIN.plan.arms
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LIMITS, first.limits[0], LIMITS[""])
        yield _run(run_once)


@pytest.fixture
def ran(once: Bench, tmp_path: Path) -> Bench:
    return copied(once, tmp_path / "results")


def _run(bench: Bench) -> Bench:
    first, *_ = MAIN.plan.arms
    lengths = {n for arm in MAIN.plan.arms if arm.methods == first.methods for n in arm.epochs}
    for choose in (c for c in first.choices() if c.task == STRANGER_TASK):
        choice = choose.run(bench)
        bench.results.write(choose.name, choice)
        run = FineTune(STRANGER_TASK, proposal_of(choice), epochs=1).run(bench)
        for epochs in lengths:
            job = FineTune(STRANGER_TASK, proposal_of(choice), epochs)
            bench.results.write(job.name, {**run, "epochs": epochs})
    return bench


@pytest.mark.long
def test_a_page_shows_tables_and_figures_that_exist(ran: Bench, tmp_path: Path) -> None:
    (page,) = write_pages(ran.results.folder, tmp_path / "pages")
    text = page.read_text()
    assert "| tans |" in text
    assert "tans bench run main" in text
    linked = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(linked) == len(MAIN.draw(ran.results))
    assert all((page.parent / name).is_file() for name in linked)


@pytest.mark.long
def test_a_page_tells_the_versions_of_what_it_shows(ran: Bench, tmp_path: Path) -> None:
    (path, *_) = (ran.results.folder / "runs").rglob("*.json")
    path.rename(path.with_name(path.name.replace(CURRENT.ending, "")))
    for _ in range(2):
        (page,) = write_pages(ran.results.folder, tmp_path / "pages")
        text = page.read_text()
        assert "1 results were made with reader 1 and recipe 1" in text
        assert text.count(f"The current ones are {CURRENT}.") == 1


@pytest.mark.long
def test_what_is_said_around_the_drawings_stays(ran: Bench, tmp_path: Path) -> None:
    (page,) = write_pages(ran.results.folder, tmp_path)
    drawn = page.read_text()
    page.write_text(drawn.replace("| tans |", "| old |") + "\nWhat this says.\n")
    list(write_pages(ran.results.folder, tmp_path))
    assert page.read_text() == drawn + "\nWhat this says.\n"


@pytest.mark.long
def test_a_table_and_a_figure_of_one_name_both_stand(
    ran: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [Table("same", "Rows.", ("a",), [["1"]]), Plot("same", "Dots.", canvas(2, 2))]
    drawn = replace(MAIN, drawn=lambda *_: both)
    monkeypatch.setattr(pages, "EXPERIMENTS", {"main": drawn})
    for _ in range(2):
        (page,) = write_pages(ran.results.folder, tmp_path)
        assert page.read_text().count("| 1 |") == 1
        assert page.read_text().count("same.png") == 1


@pytest.mark.long
def test_what_is_drawn_no_more_is_taken_out(
    ran: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = (Table(name, "Rows.", ("a",), [["1"]]) for name in ("kept", "gone"))
    for drawn in ([kept, gone], [kept]):
        one = replace(MAIN, drawn=lambda *_, drawn=drawn: drawn)
        monkeypatch.setattr(pages, "EXPERIMENTS", {"main": one})
        (page,) = write_pages(ran.results.folder, tmp_path)
        page.write_text(page.read_text() + "\nWhat this says.\n")
    assert page.read_text().count("| 1 |") == 1
    assert page.read_text().count("What this says.") == 2
    assert "\n\n\n" not in page.read_text()
    assert sorted(path.stem for path in (tmp_path / "main").iterdir()) == ["kept", "kept"]


@pytest.mark.long
def test_a_gpus_results_stand_apart(ran: Bench, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no results"):
        list(write_pages(ran.results.folder, tmp_path / "pages", preset="gpu"))


def test_without_results_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="tans bench run"):
        list(write_pages(tmp_path / "results", tmp_path / "pages"))
    assert not (tmp_path / "pages").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_page_that_is_kept_shows_the_results_that_are_kept(name: str) -> None:
    page = KEPT / "docs/results" / f"{name}.md"
    drawings = EXPERIMENTS[name].draw(Results(KEPT / "results"))
    assert bool(drawings) == page.exists()
    text = page.read_text() if drawings else ""
    assert all(drawing.markdown(name) in text for drawing in drawings)
    marks = text.count("<!-- drawn: ") - text.count("<!-- drawn: versions")
    assert marks == len(drawings)
