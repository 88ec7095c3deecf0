"""A figure written by hand is found: in prose they stand in marks (``tans_bench.figures``).

What counts are numbers with a decimal point, per cent, points and times, outside marks, drawn
blocks and code. Whole numbers are not looked at, as most are settings.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
BY_CODE = {
    "docs/cli.md",
    "docs/reliability.md",
    "bench/docs/results/again.md",
    "bench/docs/rivals.md",
}
"""Pages that code writes as a whole."""
PAGES = [
    page
    for pattern in ("README.md", "docs/*.md", "bench/*.md", "bench/docs/*.md", "bench/docs/*/*.md")
    for page in sorted(HERE.glob(pattern))
    if page.relative_to(HERE).as_posix() not in BY_CODE
]
ALLOWED = {
    "README.md": {
        "3.11": "version of Python",
        "5 %": "default of --false-alarms",
    },
    "docs/data.md": {"1.0": "version of Croissant", "1.1": "version of Croissant"},
    "docs/export.md": {"0.001": "limit of an export's check"},
    "docs/method.md": {
        "0.01": "learning rate of the paper",
        "0.03": "learning rate of the default",
        "0.9": "momentum of the paper",
    },
    "docs/page.md": {"0.05": "setting of the map", "95 %": "level of an interval"},
    "docs/performance.md": {
        "30 %": "setting: what limits leave",
        "1 %": "setting: what limits leave",
        "0.25": "limit that tans is held to",
        "0.99": "limit that tans is held to",
        "1.3": "limit that tans is held to",
        "1.5": "limit that tans is held to",
    },
    "docs/quickstart.md": {"3.11": "version of Python"},
    "bench/docs/automl.md": {"1.5": "limit of Vertex AI"},
    "bench/docs/release.md": {
        "1.2": "width of the published supernets",
        "1.1": "version of the benchmark",
    },
    "bench/docs/results/README.md": {
        "99 %": "what was to be reached",
        "95 %": "level of an interval",
    },
    "bench/docs/results/construction.md": {
        "100 %": "what was to be reached",
        "20 %": "what was to be reached",
        "99 %": "what was to be reached",
    },
    "bench/docs/results/novelty.md": {"5 %": "false alarms that were asked for"},
    "bench/docs/results/trained_pairs.md": {"99 %": "what was to be reached"},
    "bench/docs/results/universal.md": {
        "30 %": "setting of dropout",
        "12.5": "mean rank by chance among 24",
    },
}
"""Numbers that no result tells, by page, each with what it is instead."""
LEFT_OUT = re.compile(
    r"<!-- drawn: ([^>]*) -->.*?<!-- end: \1 -->"  # by code
    r"|<!--=[^>]*-->[^<]*<!--/-->"  # a figure in its mark
    r"|<!--.*?-->"
    r"|^ *```.*?^ *```"
    r"|`[^`]*`"
    r"|\]\([^)]*\)",  # where a link leads
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(
    r"""(?<![\w.]) (?<!\w-) (?:
        \d* \.\d+ (?! \.?\w ) (?: \s?% )?  # a version of three parts is none
        | \d [\d,]* (?: \s?% | (?= \s (?: per\scent | points? | times ) \b ) )
    )""",
    re.VERBOSE,
)


def by_hand(text: str) -> Iterator[str]:
    """Numbers of a page that look like figures and stand in no mark."""
    for found in NUMBER.finditer(LEFT_OUT.sub(" ", text)):
        yield " ".join(found[0].split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_no_figure_is_written_by_hand(page: Path) -> None:
    """Fill it from a table; what is no figure, as a setting, is added to ``ALLOWED``."""
    allowed = ALLOWED.get(page.relative_to(HERE).as_posix(), {})
    assert set(by_hand(page.read_text())) == set(allowed)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tans reaches 71.3 % on it", ["71.3 %"]),
        ("tans reaches 71 %, or\n71% of it", ["71 %", "71%"]),
        ("gains .7 ± 1.2 points, -3 points", [".7", "1.2", "3"]),
        ("| a | 4.9 MB |", ["4.9"]),
        ("is 35\ntimes as fast", ["35"]),
        ("[it has 2.5](page.md#a-1.5)", ["2.5"]),
        ("300 images, in 2 s, with version 1.2.3, under Apache-2.0", []),
        ("<!--=it-->71.3<!--/--> %, `1.5` and ![x](1.5.png)", []),
        ("```sh\npip install a==1.5\n```\n<!-- drawn: table a -->\n1.5\n<!-- end: table a -->", []),
    ],
)
def test_what_looks_like_a_figure(text: str, found: list[str]) -> None:
    assert list(by_hand(text)) == found
