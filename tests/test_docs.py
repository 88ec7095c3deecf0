"""Links between files lead somewhere, and the page of Python names has each public one."""

import re
from pathlib import Path

import pytest

import tans

HERE = Path(__file__).parents[1]
PAGES = [
    HERE / "README.md",
    *sorted((HERE / "docs").glob("*.md")),
    *sorted((HERE / "bench").glob("*.md")),
    *sorted((HERE / "bench" / "docs").glob("**/*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    beside = page.parent.parent if is_table(page) else page.parent
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [to for to in links if "://" not in to and not (beside / to).exists()] == []


def is_table(page: Path) -> bool:
    """Whether it is a table that another page shows."""
    return page.with_suffix(".csv").exists()


def test_the_page_of_python_names_has_each_public_one_and_no_other() -> None:
    page = (HERE / "docs" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    public = [getattr(tans, name) for name in tans.__all__ if name != "__version__"]
    assert sorted(shown) == sorted(f"{each.__module__}.{each.__qualname__}" for each in public)
