"""Figures in prose are those of the tables, and a mark that names none is told."""

from pathlib import Path

import pytest

from tans_bench.errors import ResultError
from tans_bench.figures import OPEN, fill, filled, stale

HERE = Path(__file__).parents[2]
TABLES = HERE / "bench" / "docs" / "results"
PAGES = [
    HERE / "README.md",
    *sorted((HERE / "docs").glob("*.md")),
    *sorted((HERE / "bench").glob("*.md")),
    *sorted((HERE / "bench" / "docs").glob("**/*.md")),
]


def page_of(origin: str, figure: str = "?") -> str:
    """A page with one figure."""
    return f"takes <!--=it-->{figure}<!--/--> of it\n\n<!-- figures\nit: {origin}\n-->\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "speed").mkdir()
    rows = 'way,rows,time\ntans,"1,000",0.065\nscan,"1,000",1.0\ntans,"2,000",+4.5 (+0.1 to +9.0)\n'
    (tmp_path / "speed" / "speed.csv").write_text(rows)
    return tmp_path


def test_the_figures_of_all_pages_are_those_of_the_tables() -> None:
    assert stale(PAGES, TABLES) == []
    assert sum(len(OPEN.findall(page.read_text())) for page in PAGES) > 10


@pytest.mark.parametrize(
    ("origin", "figure"),
    [
        ("speed/speed; time; way=tans; rows=1,000", "0.065"),
        ("speed/speed; time; way=tans; rows=1,000; as .2f", "0.07"),
        ("speed/speed; time; way=tans; rows=2,000", "+4.5 (+0.1 to +9.0)"),
        ("speed/speed; time; way=tans; rows=2,000; as .0f", "4"),
        ("speed/speed; time; way=tans; rows=2,000; as +.0f of number 3", "+9"),
        ("speed/speed; rows; way=scan; as .0f", "1000"),
    ],
)
def test_a_figure_is_a_cell_or_a_number_in_it(origin: str, figure: str, tables: Path) -> None:
    assert filled(page_of(origin), tables) == page_of(origin, figure)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("speed/speed", "expected TABLE; COLUMN"),
        ("speed/speed; time; tans", "expected TABLE; COLUMN"),
        ("slow/speed; time; way=tans", "tans bench report"),
        ("speed/speed; time; way=tans", "2 rows"),
        ("speed/speed; time; way=none", "0 rows"),
        ("speed/speed; hours; way=scan", "its columns are way, rows, time"),
        ("speed/speed; way; way=scan; as .1f", "is no number"),
        ("speed/speed; time; way=scan; as .1f of number 2", "fewer than 2"),
    ],
)
def test_an_origin_that_names_no_figure_is_told(origin: str, said: str, tables: Path) -> None:
    with pytest.raises(ResultError, match=said):
        filled(page_of(origin), tables)


def test_a_mark_without_an_end_is_told(tables: Path) -> None:
    with pytest.raises(ResultError, match="has no '<!--/-->'"):
        filled("takes <!--=it-->1 of it", tables)


def test_a_mark_that_would_end_a_paragraph_is_told(tables: Path) -> None:
    page = page_of("speed/speed; time; way=scan").replace("takes ", "takes\n  ")
    with pytest.raises(ResultError, match="begins a line"):
        filled(page, tables)


@pytest.mark.parametrize(
    "page", ["a <!--=b-->1<!--/-->", page_of("speed/speed; time; way=scan")[29:]]
)
def test_a_mark_without_an_origin_or_the_other_way_round_is_told(page: str, tables: Path) -> None:
    with pytest.raises(ResultError, match="expected a mark"):
        filled(page, tables)


def test_pages_are_filled_once_and_named(tables: Path) -> None:
    page, other = tables / "page.md", tables / "other.md"
    page.write_text(page_of("speed/speed; time; way=scan"))
    other.write_text("no figures\n")
    assert stale([page, other], tables) == [page]
    assert list(fill([page, other], tables)) == [page]
    assert "-->1.0<!--" in page.read_text()
    assert list(fill([page, other], tables)) == []


def test_a_page_that_is_missing_is_told_by_name(tables: Path) -> None:
    with pytest.raises(ResultError, match=r"gone\.md"):
        stale([tables / "gone.md"], tables)
