"""Names that do harm where they are printed without care, and what may come of none."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

NAMES = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2Jcsi",
    "a\rb\bc\x7f",
    "[/x]",
    "[bold]a[/bold][link=file:///]b",
    "[/red] $(touch harm) `touch harm`; 'q' \"q\"",
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style><b>&amp;",
    "one\ntwo\r\nthree",
    "tab\tbed",
    "abc\u202egnp.exe",
    "\u2066isolated\u2069\u200f",
    "zero\u200bwidth\ufeff\u2060",
    "line\u2028and\u2029paragraph",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "$\\frac{1}{0$ 100 % {task.description} {0} %s",
    ":smile: \\[x] \\",
    "| a | b |",
    "long" * 2_500,
    "日本語 عربي हिन्दी ελληνικά 👨‍👩‍👧",
)
WORDS = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="/\0"),
        st.sampled_from("\x1b\x07\x9b\n\r\t\u202e\u2066\u200b[]<>&\"'$`=|{}%"),
    ),
    min_size=1,
    max_size=30,
)


def assert_harmless(text: str) -> None:
    """Nothing in it moves a cursor, turns the direction of writing, or hides."""
    found = {
        hex(ord(letter))
        for letter in text
        if letter != "\n" and letter not in "\t\u200c\u200d" and _acts(letter)
    }
    assert not found, f"{found} reach the reader"


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
