from __future__ import annotations

import io
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.cli import console
from tans.errors import InputError

quick = settings(max_examples=50, deadline=None)
amounts = st.integers(1, 10**6)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3M", 3e6),
        ("1.5k", 1.5e3),
        ("30m", 30e6),
        ("2G", 2e9),
        ("3e6", 3e6),
        ("3E6", 3e6),
        ("3000000", 3e6),
        (" 3 M ", 3e6),
        (".5M", 5e5),
        ("2e3k", 2e6),
    ],
)
def test_counts(text: str, value: float) -> None:
    assert console.read_count(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"), [("20ms", 20), ("0.02s", 20), ("1.5 S", 1500), ("2e1ms", 20)]
)
def test_times(text: str, value: float) -> None:
    assert console.read_milliseconds(text) == pytest.approx(value)


@given(amount=amounts, suffix=st.sampled_from([("k", 1e3), ("M", 1e6), ("g", 1e9), ("", 1.0)]))
@quick
def test_a_suffix_multiplies(amount: int, suffix: tuple[str, float]) -> None:
    name, scale = suffix
    assert console.read_count(f"{amount}{name}") == amount * scale


@given(amount=st.floats(1e-3, 1e6))
@quick
def test_seconds_are_a_thousand_milliseconds(amount: float) -> None:
    in_seconds, in_ms = (console.read_milliseconds(f"{amount!r}{unit}") for unit in ("s", "ms"))
    assert in_seconds == pytest.approx(1000 * in_ms)


BAD_COUNTS = ["", "M", "three", "-3M", "0", "0k", "3T", "3 M M", "nan", "inf", "1e999", "1,5M"]


@pytest.mark.parametrize("text", BAD_COUNTS)
def test_bad_counts_say_what_came_and_what_to_write(text: str) -> None:
    with pytest.raises(InputError, match="is not a limit; expected a number such as 3M") as raised:
        console.read_count(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("text", ["20", "20min", "-5ms", "0s", "ms", "3M"])
def test_bad_times_ask_for_a_unit(text: str) -> None:
    with pytest.raises(InputError, match="expected a time such as 20ms or"):
        console.read_milliseconds(text)


@given(text=st.text(max_size=12))
@quick
@pytest.mark.long
def test_any_text_is_a_positive_number_or_an_input_error(text: str) -> None:
    for read in (console.read_count, console.read_milliseconds):
        try:
            value = read(text)
        except InputError:
            continue
        assert 0 < value < math.inf


def test_json_has_null_for_what_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit({"a": [math.nan, 1.5], "b": {"c": math.inf}, "d": "nan"})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": None}, "d": "nan"}


def test_table_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table("Title", ("name", ">count"), [("[red]a[/red]", "1"), ("b", "20")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["[red]a[/red]", "1"] in lines
    assert ["b", "20"] in lines


def test_progress_and_warnings_leave_standard_output_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with console.progress("work") as advance:
        advance(1, 2, "half")
    console.tell("36 images")
    console.warn("one is dark")
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
    assert err.endswith("36 images\nwarning: one is dark\n")


def test_what_takes_a_moment_has_no_bar_and_what_takes_longer_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with console.late_progress() as tell:
        tell("short work", 0, 10)
        tell("short work", 10, 10)
        tell("long work", 10, 40)
        now += 2 * console.MOMENT_S
        tell("long work", 30, 40)
    out, err = capsys.readouterr()
    assert out == ""
    assert "short work" not in err
    assert "long work" in err
    assert "30/40" in err


def test_fields_are_one_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    long = "folder/" * 40
    console.say_fields([long, "a\tb\nc", 0.5])
    assert capsys.readouterr().out == f"{long}\ta\\tb\\nc\t0.5\n"


def test_nobody_is_asked_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert console.confirm("Keep it?")
    assert "Keep it" in capsys.readouterr().err


def test_pictures_are_drawn_two_rows_to_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console.draw(torch.zeros(3, 3, 14, 14, dtype=torch.uint8))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert all(line.count("▀") == 2 * 14 for line in lines)  # as many pictures as a line holds


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.fail(InputError("a\n  b"))
    assert capsys.readouterr().err == "error: a b\n"


def test_numbers_for_people() -> None:
    assert console.millions(2_314_000) == "2.31 M"
    assert console.percent(0.8714) == "87.1 %"
    assert console.percent(None) == console.percent(math.nan) == ""
