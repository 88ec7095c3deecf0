"""The part of the page that says why a network was proposed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.report import write_report
from tans.report.why import why
from tans.search import Look, SearchResult
from tests.report.test_page import FakeZoo, Page, make_match, make_run, make_task

SCRIPT, IMAGENET = "script-0badcafe", "imagenet-whole"
LOOKS = (
    Look(SCRIPT, "script", 64, 0.5),
    Look("imagenet-base", "imagenet", 64, 0.55),
    Look(IMAGENET, "imagenet", 64, 0.625),
)


def make_result(
    best: str = SCRIPT, low: float | None = 0.7, high: float | None = 0.9
) -> SearchResult:
    match = replace(make_match(best, best.partition("-")[0]), low=low, high=high)
    return SearchResult((match,), 1.5, 0.002, 12.3, LOOKS, related=best == SCRIPT)


def text_of(result: SearchResult, right: int = 8, wrong: int = 2, source: str = SCRIPT) -> str:
    return Page(why(result, FakeZoo(), [make_run("Chosen", 3, right, wrong, source)])).text


def test_every_source_that_was_looked_at_is_there_best_first() -> None:
    markup = why(make_result(), FakeZoo(), [make_run("Chosen", 3)])
    page = Page(markup)
    titles = ("ImageNet at 64 px", "elastic base", "script")
    places = [markup.index(f">{title}</p>") for title in titles]
    assert places == sorted(places)
    for share in ("62.5%", "55.0%", "50.0%"):
        assert share in page.text
    bars = [v for name, v in page.attributes if name == "style" and v.startswith("--share")]
    assert bars == ["--share:62%", "--share:55%", "--share:50%"]
    assert page.tags.count("img") == 1  # the others have no pictures that are theirs
    assert [v for n, v in page.attributes if n == "class"].count("look chosen") == 1


def test_a_source_in_another_size_is_told_from_the_stored_one() -> None:
    larger = (
        Look(f"{SCRIPT}@128", "script", 128, 0.75),
        Look("imagenet-base@96", "imagenet", 96, 0),
    )
    result = replace(make_result(f"{SCRIPT}@128"), looks=(*LOOKS, *larger))
    markup = why(result, FakeZoo(), [make_run("Chosen", 3, source=f"{SCRIPT}@128")])
    for title in ("script", "script at 128 px", "elastic base", "elastic base at 96 px"):
        assert f">{title}</p>" in markup
    chosen = markup.index('class="look chosen"')
    assert markup.index(">script at 128 px</p>") > chosen > markup.rindex('class="look', 0, chosen)
    assert markup.count("adapted once to all subnets") == 2


def test_pictures_are_sixteen_spread_over_the_sheet() -> None:
    sheet = torch.arange(64, dtype=torch.uint8).view(64, 1, 1, 1).expand(64, 3, 8, 8)
    page = Page(why(make_result(), FakeZoo(script=sheet), [make_run("Chosen", 3)]))
    assert ("width", str(8 * 8)) in page.attributes
    assert ("height", str(2 * 8)) in page.attributes


def test_verdict_is_said_in_words() -> None:
    assert "holds something related to your data" in text_of(make_result())
    unrelated = text_of(make_result(IMAGENET), source=IMAGENET)
    assert "Nothing in this zoo is related to your data" in unrelated
    assert "an ImageNet network is proposed" in unrelated
    unknown = text_of(SearchResult((make_match(SCRIPT),), 1.0, 0.1))
    assert "No second look was taken" in unknown
    assert "probe" not in unknown


def test_a_network_that_was_named_is_not_sold_as_proposed() -> None:
    said = text_of(make_result(), source="script-77777777")
    assert "script-77777777 was asked for by name" in said
    assert "Nothing was predicted" in said
    assert "asked for by name" not in text_of(make_result())


@pytest.mark.parametrize(
    ("right", "wrong", "low", "high", "said"),
    [
        (8, 2, 0.7, 0.9, "predicted 81.5% (70 to 90%), measured 80.0%: the interval held"),
        (6, 4, 0.7, 0.9, "did not hold, by 10.0 points below it"),
        (10, 0, 0.7, 0.9, "did not hold, by 10.0 points above it"),
        (6, 4, 0.0, 1.0, "too few measured fine-tunes"),
        (6, 4, None, None, "predicted 81.5%, measured 60.0%"),
        (0, 0, 0.7, 0.9, "no test images to hold it against"),
    ],
)
def test_whether_the_interval_held_is_said(
    right: int, wrong: int, low: float | None, high: float | None, said: str
) -> None:
    text = text_of(make_result(low=low, high=high), right, wrong)
    assert said in text
    assert ("interval held" in text) == ("interval held" in said)


def test_other_numbers_of_epochs_are_pointed_out() -> None:
    run = make_run("Chosen", 3)
    assert "these fine-tunes had 2" in Page(why(make_result(), FakeZoo(), [run])).text
    usual = replace(make_result(), epochs=2)
    assert "these fine-tunes had" not in Page(why(usual, FakeZoo(), [run])).text


def test_page_has_it_with_the_seconds_and_the_interval(tmp_path: Path) -> None:
    result = make_result()
    timed = replace(result, matches=(replace(result[0], minutes=2.25),))
    runs = [make_run("Chosen", 3)]
    write_report(tmp_path / "r.html", make_task(["a", "b", "c"]), FakeZoo(), timed, runs)
    text = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "Why this network" in text
    assert "81.5% (70 to 90)" in text
    assert "2.2 min" in text
    assert "12.3 s for a second look at 3 of them, " in text


def test_pictures_of_imagenet_are_never_those_of_its_distillation(tmp_path: Path) -> None:
    sheet = torch.zeros(64, 3, 64, 64, dtype=torch.uint8)
    zoo = FakeZoo(script=sheet, imagenet=sheet)
    runs = [make_run("ImageNet", 3, source=IMAGENET)]
    path = tmp_path / "r.html"
    write_report(path, make_task(["a", "b", "c"]), zoo, make_result(IMAGENET), runs)
    page = Page(path.read_text(encoding="utf-8"))
    assert "keeps no images of this source" in page.text
    alts = [value for name, value in page.attributes if name == "alt"]
    assert "64 images of imagenet" not in alts
    assert "images of script" in alts
