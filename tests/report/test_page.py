from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.licences import LicenceChain
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.report import Run, write_check, write_report
from tans.report.markup import VOID
from tans.search import SearchResult
from tans.search.curve import Curve
from tans.tasks.findings import Findings
from tans.tasks.task import Task, TaskCard
from tans.training import Epoch, FineTuned, Recipe
from tans.types import Costs, Match, ZooEntry
from tans.zoo.ids import asked_size

NASTY = "<script>alert(\"x\")</script> & 'co'"


class Page(HTMLParser):
    """Checks that elements nest, and gathers attributes and visible text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


class FakeZoo:
    """Keeps images of ``script``, or those given, and none of anything else."""

    base: str | None = "b" * 64

    def __init__(self, **sheets: Tensor) -> None:
        self.sheets = sheets or {"script": torch.zeros(64, 3, 64, 64, dtype=torch.uint8)}

    def entry(self, id: str) -> ZooEntry:
        entry = make_entry(id)
        if entry.task not in ("script", "imagenet"):
            raise ZooError(f"no entry {id}")
        return entry

    def thumbnails(self, task: str) -> Tensor:
        if task not in self.sheets:
            raise ZooError(f"no images of {task}")
        return self.sheets[task]


def make_entry(id: str) -> ZooEntry:
    return ZooEntry(
        id=id,
        ref=ref_of(LITE0.smallest, asked_size(id) or 64),
        origins=(id.partition("-")[0],),
        width=LITE0.features,
        body_params=1,
        body_flops=1,
        weights="b" * 64 if id.startswith("imagenet-base") else "0" * 64,
        licence="MIT",
        val_accuracy=None,
        accuracy=None,
    )


def make_task(classes: Sequence[str], name: str = "my letters") -> Task:
    labels = torch.arange(10 * len(classes)) % len(classes)
    images = torch.randint(0, 256, (len(labels), 3, 16, 16), dtype=torch.uint8)
    card = TaskCard("folder", "", "CC-BY-4.0", "photographed")
    return Task.from_arrays(name, images, labels, tuple(classes), card)


def make_run(
    label: str,
    classes: int | Sequence[str],
    right: int = 8,
    wrong: int = 2,
    source: str = "script-0badcafe",
) -> Run:
    names = [f"class {k}" for k in range(classes)] if isinstance(classes, int) else classes
    confusion = right * np.eye(len(names), dtype=np.int64)
    confusion += wrong * np.roll(np.eye(len(names), dtype=np.int64), 1, axis=1)
    return run_of(label, names, confusion, source)


def run_of(
    label: str, classes: Sequence[str], confusion: np.ndarray, source: str = "script-0badcafe"
) -> Run:
    right = float(confusion.trace() / max(confusion.sum(), 1))
    history = (Epoch(1, 1.0, 0.5, 0.5, 3.0), Epoch(2, 0.5, right, right, 6.5))
    network = build(ref_of(LITE0.smallest, 64), len(classes))
    counts = torch.from_numpy(confusion)
    recipe = Recipe(epochs=2, seed=31)
    entry = make_entry(source)
    tuned = FineTuned(network, history, 2, right, counts, 7.25, tuple(classes), recipe, entry=entry)
    return Run(label, tuned, Costs(1_234_567, 20_900_000))


def make_match(id: str, task: str = "script", latency: float | None = None) -> Match:
    return Match(
        id=id,
        task=task,
        params=1_234_567,
        flops=20_900_000,
        resolution=64,
        latency_ms=latency,
        minutes=None,
        predicted_accuracy=0.815,
        low=None,
        high=None,
        similarity=0.7312,
        licences=LicenceChain("OFL-1.1"),
    )


def make_result(latency: float | None = None, task: str = "script") -> SearchResult:
    ids = ["script-0badcafe", "icons-12345678"]
    matches = tuple(make_match(id, task, latency) for id in ids)
    return SearchResult(matches, 1.5, 0.002, epochs=5)


def render(path: Path, task: Task, runs: Sequence[Run], result: SearchResult | None = None) -> str:
    write_report(path / "report.html", task, FakeZoo(), result or make_result(), runs)
    assert [file.name for file in path.iterdir()] == ["report.html"]
    return (path / "report.html").read_text(encoding="utf-8")


def test_page_says_what_was_found_tried_and_measured(tmp_path: Path) -> None:
    runs = [make_run("Best match", 3), make_run("ImageNet", 3, 6, 4, "imagenet-aa")]
    markup = render(tmp_path, make_task(["alpha", "beta", "gamma"]), runs, make_result(4.25))
    page = Page(markup)
    for expected in (
        "my letters",
        "30 images in 3 classes",
        "80.0%",
        "60.0%",
        "20.0 points above",
        "95% interval 62.7 to 90.5% on 30 test images",
        "What the chosen network learnt from: script",
        "icons-12345678",
        "1.23 M",
        "20.9",
        "4.2 ms",
        "81.5%",
        "0.731",
        "OFL-1.1",
        "2 (kept 2)",
        "7.2",
        "seed 31",
        f"torch {torch.__version__}",
        "CC-BY-4.0",
    ):
        assert expected in page.text, expected
    assert page.tags.count("polyline") == 2 * len(runs)
    assert page.tags.count("rect") == 3 * 3
    assert page.tags.count("img") == 3 + 1


def test_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    runs = [make_run("Best match", 2)]
    markup = render(tmp_path, make_task(["yes", "no"]), runs)
    page = Page(markup)
    sources = [v for name, v in page.attributes if name in ("src", "href", "srcset", "data")]
    assert sources
    assert all(value.startswith("data:image/webp;base64,") for value in sources)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"https?://|@import|url\(", markup)


def test_names_are_shown_and_not_run(tmp_path: Path) -> None:
    task = make_task([NASTY, "b"], name=f"{NASTY} data")
    run = make_run(NASTY, [NASTY, "b"], source=NASTY)
    markup = render(tmp_path, task, [run], make_result(task=NASTY))
    page = Page(markup)
    assert "<script" not in markup
    assert "script" not in page.tags
    assert f"{NASTY} data" in page.text
    assert page.text.count(NASTY) >= 5
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_many_classes_are_cut_and_said_so(tmp_path: Path) -> None:
    classes = [f"a rather long name of class {i:02d}" for i in range(40)]
    run = make_run("Best match", 40, 10, 0)
    run.tuned.confusion[35, 36] = 4
    page = Page(render(tmp_path, make_task(classes), [run]))
    assert page.tags.count("rect") == 24**2
    assert "the 24 with the most mistakes" in page.text
    assert "and 16 more classes" in page.text
    assert all(name in page.text for name in classes)
    assert "4 of 14" in page.text
    assert "a rather l… class 35" in page.text


def test_uneven_classes_are_judged_one_by_one_and_said_in_words(tmp_path: Path) -> None:
    chosen = run_of("Best match", ("good", "defect"), np.array([[22, 0], [4, 0]]))
    other = run_of("ImageNet", ("good", "defect"), np.array([[22, 0], [3, 1]]), "imagenet-aa")
    markup = render(tmp_path, make_task(["good", "defect"]), [chosen, other])
    page = Page(markup)
    for expected in (
        "84.6%",
        "balanced accuracy",
        "50.0%",
        "62.5%",
        "always guessing good: 84.6%",
        "Beware of Best match's figures",
        *chosen.tuned.scores.warnings(),
        chosen.tuned.scores.guessing(),
        "Recall of ImageNet",
        "25.0%",
    ):
        assert expected in page.text, expected
    assert page.text.index("Beware") < page.text.index("The images")
    recalls = markup[markup.index("Class by class") : markup.index("What is taken for what")]
    assert re.findall(r"--share:(\d+)%", recalls) == ["0", "25", "100", "100"]


def test_good_figures_are_not_warned_of(tmp_path: Path) -> None:
    page = Page(render(tmp_path, make_task(["yes", "no"]), [make_run("A", 2, 90, 10)]))
    assert "Beware" not in page.text


def test_recall_without_test_images_of_a_class_is_unknown(tmp_path: Path) -> None:
    run = run_of("A", ("yes", "no", "maybe"), np.array([[5, 0, 0], [0, 5, 0], [0, 0, 0]]))
    page = Page(render(tmp_path, make_task(["yes", "no", "maybe"]), [run]))
    assert "No test image is of class maybe, so its recall is unknown." in page.text
    assert "unknown" in page.texts
    assert "nan" not in page.text.lower()


def test_confusion_is_of_the_best_run_by_validation(tmp_path: Path) -> None:
    runs = [make_run("First", 2, 5, 5), make_run("Second", 2, 9, 1)]
    page = Page(render(tmp_path, make_task(["yes", "no"]), runs))
    assert "Second on the 20 test images" in page.text
    assert "1 of 10" in page.text


@pytest.mark.parametrize(
    ("right", "other", "said"),
    [
        (8, 7, "this may be chance"),
        (10, 1, "more than chance"),
        (2, 9, "points below"),
        (6, 6, "level with"),
    ],
)
def test_verdict_is_no_bolder_than_the_interval(
    tmp_path: Path, right: int, other: int, said: str
) -> None:
    runs = [make_run("A", 2, right, 10 - right), make_run("B", 2, other, 10 - other)]
    assert said in Page(render(tmp_path, make_task(["yes", "no"]), runs)).text


def test_source_without_images_and_runs_without_validation_or_test(tmp_path: Path) -> None:
    run = make_run("ImageNet", 2, 0, 0, source="imagenet-aa")
    unknown = float("nan")
    history = tuple(Epoch(e.epoch, 1.0, unknown, unknown, e.seconds) for e in run.tuned.history)
    tuned = replace(run.tuned, history=history, test_accuracy=unknown)
    run = replace(run, tuned=tuned)
    page = Page(render(tmp_path, make_task(["yes", "no"]), [run]))
    assert "keeps no images of this source" in page.text
    assert "no validation images" in page.text
    assert "There were no test images" in page.text
    assert "nan" not in page.text.lower()
    assert "latency" not in page.text.lower()


def test_chosen_network_outside_the_ranking_is_looked_up(tmp_path: Path) -> None:
    run = make_run("Mine", 2, source="script-77777777")
    page = Page(render(tmp_path, make_task(["yes", "no"]), [run], make_result(task="icons")))
    assert "learnt from: script" in page.text


def test_a_network_of_no_zoo_is_reported_without_a_source(tmp_path: Path) -> None:
    run = make_run("Mine", 2)
    run = replace(run, tuned=replace(run.tuned, entry=None))
    page = Page(render(tmp_path, make_task(["yes", "no"]), [run]))
    assert "was fine-tuned from a network of no zoo" in page.text
    assert "keeps no images of this source" in page.text


def test_costs_of_a_run_are_counted_with_its_head() -> None:
    tuned = make_run("Mine", 3).tuned
    run = Run.of("Mine", tuned)
    assert run.costs.params == sum(p.numel() for p in tuned.network.parameters())
    assert run.costs == LITE0.costs(LITE0.smallest, 3, 64)


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least one"):
        write_report(tmp_path / "r.html", make_task(["a", "b"]), FakeZoo(), make_result(), [])
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "report.html"
    with pytest.raises(InputError, match="cannot be written"):
        write_report(path, make_task(["a", "b"]), FakeZoo(), make_result(), [make_run("A", 2)])


def test_a_named_network_has_a_page_without_a_search(tmp_path: Path) -> None:
    task = make_task(["a", "b"])
    write_report(tmp_path / "report.html", task, FakeZoo(), None, [make_run("Named", 2)])
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Why this network" not in page.text
    assert "The ranking" not in page.text
    assert "none: the network was named" in page.text


def test_a_check_shows_images_counts_and_what_is_odd(tmp_path: Path) -> None:
    found = Findings(f"splits of {NASTY}", {"damaged": ("a/1.png",)}, remarks=(NASTY,))
    task = replace(make_task([NASTY, "b"]), found=found)
    write_check(tmp_path / "check.html", task)
    page = Page((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("img") == 2
    assert f"Taken for splits of {NASTY}." in page.text
    assert "1 left out: damaged (a/1.png)." in page.text
    assert "10" in page.texts  # images of each class


def test_a_check_shows_what_more_images_may_bring(tmp_path: Path) -> None:
    curve = Curve(300, (67, 135, 270), (0.606, 0.68, 0.744), 0.75, 0.04, 0.018, 0.064)
    write_check(tmp_path / "check.html", make_task(["a", "b"]), curve)
    page = Page((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert curve.words() in page.text
    assert page.tags.count("circle") == 5
    assert "measured: 74.4% at 270" in page.text
    assert "expected: 79.0% at 600" in page.text


def test_a_check_says_why_more_images_cannot_be_told(tmp_path: Path) -> None:
    write_check(tmp_path / "check.html", make_task(["a", "b"]), Curve(untold=NASTY))
    page = Page((tmp_path / "check.html").read_text(encoding="utf-8"))
    assert f"cannot be told: {NASTY}." in page.text
    assert not {"circle", "script"} & set(page.tags)
    write_check(tmp_path / "check.html", make_task(["a", "b"]))
    assert "more images" not in (tmp_path / "check.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_check(tmp_path / "file" / "check.html", make_task(["a", "b"]))
