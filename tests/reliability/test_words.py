"""Names that do harm where they are printed: escape codes, markup, HTML, newlines, great length."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from tans import cli
from tans.cli import console, views
from tans.errors import InputError, in_markdown, visible
from tans.export.classifier import Prediction
from tans.licences import LicenceChain
from tans.report import write_check, write_report
from tans.report.markup import join, tag
from tans.tasks.task import Task, TaskCard
from tans.zoo.zoo import Zoo
from tests.cli.views.test_search import LOOKS, MATCH
from tests.reliability.counting import Trials
from tests.reliability.hostile import NAMES, WORDS, assert_harmless
from tests.report.test_page import FakeZoo, Page, make_result, make_task, run_of
from tests.zoo.conftest import CARD, LARGEST, make_entry, random_state

Capture = pytest.CaptureFixture[str]
FOLDERS = tuple(name.replace("/", "\\") for name in NAMES if len(name.encode()) < 200)
"""Those that a disk can hold."""
LETTERS = (
    "Grüße ñandú Ελλάδα Привет שלום \u0645\u0631\u062d\u0628\u0627 "
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 क्\u200dष ไทย 日本語 한국어 "
    "👩\u200d🚀 ❤\ufe0f ½ €"
)


def call(*arguments: object) -> int:
    """Exit code of a command, run in this process."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def assert_lines(capsys: Capture, lines: int | None = None) -> str:
    """What was printed, on both streams, harms nobody, and has so many lines."""
    out, err = capsys.readouterr()
    assert_harmless(out + err)
    assert "Traceback" not in err
    if lines is not None:
        assert len((out + err).splitlines()) == lines
    return out


def dataset(root: Path, names: tuple[str, ...]) -> Path:
    """A folder of a class of each name, 6 little images of noise in each."""
    generator = np.random.default_rng(0)
    for name in names:
        folder = os.fsencode(root / name)
        os.makedirs(folder)  # noqa: PTH103 - names are bytes
        for index in range(6):
            pixels = generator.integers(0, 256, (12, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, b"%d.png" % index))  # noqa: PTH118
    return root


def test_letters_of_all_scripts_stay(trials: Trials) -> None:
    """Letters, marks and emoji of all scripts, which stay as they are"""
    for word in LETTERS.split(" "):
        with trials.trial(word):
            assert visible(word) == word


@given(WORDS)
@settings(max_examples=300, deadline=None)
def test_what_is_shown_never_acts(name: str) -> None:
    assert_harmless(visible(name))
    assert "\n" not in visible(name)
    assert visible(visible(name)) == visible(name)
    assert "\t" not in visible(name)


@given(WORDS, WORDS)
@settings(max_examples=300, deadline=None)
def test_markup_holds_names_and_no_other_element(text: str, attribute: str) -> None:
    page = Page(tag("p", text, title=attribute))
    assert page.tags == ["p"]
    assert "".join(page.texts) == visible(text)
    assert page.attributes == [("title", visible(attribute))]
    assert unescape(join(text)) == visible(text)


@pytest.mark.parametrize(
    "print_it",
    [
        console.say,
        console.tell,
        console.warn,
        lambda name: console.fail(InputError(name)),
        lambda name: console.say_fields([name]),
        lambda name: console.say(in_markdown(name)),
    ],
    ids=["say", "tell", "warn", "fail", "fields", "markdown"],
)
def test_a_line_stays_a_line(
    trials: Trials, capsys: Capture, print_it: Callable[[str], None]
) -> None:
    """A name in a line of results, a warning or an error, which stays one line"""
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            print_it(name)
            assert_lines(capsys, 1)


def test_tables(trials: Trials, capsys: Capture) -> None:
    """A name in the title and the cells of a table, whose numbers stay"""
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            console.show_table(name, ("class", ">images", "licence"), [(name, "123456", name)])
            out = assert_lines(capsys)
            assert "123456" in out
            console.show_table("", ("", "image"), [("", name)])  # the last column is never cut
            shown = "".join(assert_lines(capsys).split()[2:]).replace("─", "")
            assert shown == "".join(visible(name).split())


def test_progress(trials: Trials, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name before and behind a progress bar"""
    monkeypatch.setenv("TERM", "dumb")
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            with console.progress(name) as advance:
                advance(1, 2, name)
            assert_lines(capsys)


@pytest.mark.long
def test_wrong_usage(trials: Trials, capsys: Capture) -> None:
    """A name where an argument is wrong: one line and exit code 2"""
    for name in (name for name in NAMES if "\0" not in name):
        for arguments in (("search", "x", name), ("search", "x", f"--{name}"), (name,)):
            if arguments[-1].startswith("-") and arguments == (name,):
                continue
            with trials.trial((arguments[:-1], name[:40])):
                assert call(*arguments) == 2
                assert_lines(capsys, 1)


@pytest.mark.long
def test_wrong_names(trials: Trials, capsys: Capture, tmp_path: Path) -> None:
    """A name of nothing, given to each command: one line and exit code 1"""
    for name in NAMES:
        for arguments in (
            ("check", name),
            ("search", name),
            ("predict", name, name),
            ("zoo", "show", name),
            ("zoo", "list", "--task", name),
            ("zoo", "list", "--zoo", name),
            ("train", "--preset", name),
            ("finetune", name, "-o", tmp_path / "out", "--network", name),
            ("search", "x", "--max-params", name),
            ("search", "x", "--range", name),
        ):
            with trials.trial((arguments, name[:40])):
                assert call(*arguments) == 1
                assert_lines(capsys, 1)


@pytest.mark.long
def test_a_dataset_of_such_names(trials: Trials, capsys: Capture, tmp_path: Path) -> None:
    """Folders and classes of such names, checked: a terminal, JSON and a page"""
    for index, name in enumerate((*FOLDERS, os.fsdecode(b"not \xff utf-8"))):
        with trials.trial(repr(name)):
            root = dataset(tmp_path / str(index) / name, (name, "other"))
            page = tmp_path / f"{index}.html"
            assert call("check", root, "-o", page) == 0
            assert_lines(capsys)
            assert_page(page)
            assert call("check", root, "--json") == 0
            told = json.loads(capsys.readouterr().out)["data"]
            assert told["name"] == root.name
            assert len(told["classes"]) == 2
            if "\udcff" not in name:
                assert name in told["classes"]


def assert_page(file: Path) -> str:
    """A page is whole, has no element and no attribute that acts, and nothing that hides."""
    markup = file.read_text(encoding="utf-8")
    assert_harmless(markup)
    page = Page(markup)
    assert not {"script", "link", "iframe", "object", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    return page.text


@pytest.mark.long
def test_reports(trials: Trials, tmp_path: Path) -> None:
    """A name as that of a task, class, network, source, licence and run in a report"""
    for name in (*NAMES, "not \udcff utf-8"):
        with trials.trial(repr(name[:40])):
            card = TaskCard(name, name, name, name, name, name)
            plain = make_task([name, "other"], name=name)
            task = Task(**{**vars(plain), "card": card})
            run = run_of(name, (name, "other"), np.array([[5, 5], [3, 7]]), source=name)
            result = make_result(task=name)
            matches = tuple(
                replace(match, id=name, licences=LicenceChain(name, name, name)) for match in result
            )
            write_report(
                tmp_path / "r.html", task, FakeZoo(), replace(result, matches=matches), [run]
            )
            assert visible(name) in assert_page(tmp_path / "r.html")
            write_check(tmp_path / "c.html", task)
            assert visible(name) in assert_page(tmp_path / "c.html")


def test_results_in_a_terminal(trials: Trials, capsys: Capture) -> None:
    """A name as that of a network, source, licence, class and run in a result"""
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            match = replace(MATCH, id=name, task=name, licences=LicenceChain(name, name, name))
            result = replace(make_result(), matches=(match,), looks=LOOKS)
            views.search.show_matches(result, name)
            run = run_of(name, (name, "other"), np.array([[5, 5], [3, 7]]), source=name)
            views.finetune.show_runs([run], name)
            assert_lines(capsys)
            console.emit(views.finetune.describe_run(run))
            assert json.loads(capsys.readouterr().out)["recall"][0]["class"] == name


def predictions(name: str) -> list[Prediction]:
    ranked = ((name, 0.75), ("other", 0.25))
    return [
        Prediction(Path(name), name, 0.75, None, ranked),
        Prediction(Path("b.png"), None, None, name),
    ]


def test_predictions(trials: Trials, capsys: Capture, tmp_path: Path) -> None:
    """A name as that of an image, a label and an error of predictions: lines, JSON and CSV"""
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            said = predictions(name)
            views.predictions.show_predictions(said[:1])
            out = assert_lines(capsys, 1)
            assert len(out.split("\t")) == 5
            views.predictions.warn_unread(said, {name: (name,)})
            assert_lines(capsys, 2)
            console.emit(views.predictions.describe_predictions(said, {name: (name,)}))
            told = json.loads(capsys.readouterr().out)
            assert told["predictions"][0]["label"] == name
            assert told["left_out"] == {name: 1}
            views.predictions.write_predictions(tmp_path / "p.csv", said, top=2)
            assert_lines(capsys)
            text = (tmp_path / "p.csv").read_bytes().decode()
            _, first, second = csv.reader(io.StringIO(text, newline=""))
            assert (first[0], first[1], second[-1]) == (str(Path(name)), name, name)


def test_formulas_are_told(trials: Trials, capsys: Capture, tmp_path: Path) -> None:
    """A label that a spreadsheet would compute, which is told"""
    for name in ("=1+1", "+1", "-1", "@SUM(A1)"):
        with trials.trial(name):
            views.predictions.write_predictions(tmp_path / "p.csv", predictions(name), top=2)
            assert "import them as text" in capsys.readouterr().err


@pytest.fixture
def strange_zoo(tmp_path: Path) -> Zoo:
    """A zoo whose tasks, entries and cards have such names."""
    zoo = Zoo.create(tmp_path / "zoo")
    weights = zoo.add_weights(random_state(0), base=None)
    for name in NAMES:
        zoo.add_task(
            name,
            classes=(name, "other"),
            card=dict.fromkeys(CARD, name),
            thumbnails=None,
            features=None,
            weights=weights,
            train_images=6,
            cost_s=1.0,
        )
    entry = make_entry(weights, LARGEST)
    zoo.add_entries([replace(entry, id=n, origins=(n,), licence=n) for n in NAMES])
    return Zoo.open(zoo.path)


@pytest.mark.long
def test_a_zoo_of_such_names(trials: Trials, capsys: Capture, strange_zoo: Zoo) -> None:
    """A name in someone else's zoo: tasks, networks, licences, sources and notes"""
    with trials.trial("zoo list"):
        assert call("zoo", "list", "--zoo", strange_zoo.path) == 0
        assert_lines(capsys)
        assert call("zoo", "list", "--zoo", strange_zoo.path, "--json") == 0
        listed = json.loads(capsys.readouterr().out)["entries"]
        assert {entry["id"] for entry in listed} == set(NAMES)
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            assert call("zoo", "list", "--zoo", strange_zoo.path, "--task", name) == 0
            assert_lines(capsys)
            assert call("zoo", "show", "--zoo", strange_zoo.path, "--", name) == 0
            assert_lines(capsys)
            assert call("zoo", "show", "--json", "--zoo", strange_zoo.path, "--", name) == 0
            assert json.loads(capsys.readouterr().out)["notes"] == name


def test_markdown_cells(trials: Trials) -> None:
    """A name in a table of Markdown, which keeps its cells"""
    for name in NAMES:
        with trials.trial(repr(name[:40])):
            cell = in_markdown(name)
            assert "\n" not in cell
            assert "<" not in cell.replace("\\<", "")
            assert "|" not in cell.replace("\\\\", "").replace("\\|", "")
