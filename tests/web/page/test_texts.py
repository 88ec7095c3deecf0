from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.licences import UNSTATED, LicenceChain
from tans.web.page import texts
from tans.web.page.limits import scales
from tans.web.page.ranking import Ranked
from tans.web.schemas import (
    DatasetAnswer,
    EpochAnswer,
    FileAnswer,
    JobAnswer,
    LimitsAsked,
    SourceTask,
)
from tests.web.outcomes import outcome
from tests.web.page.matches import match

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """The elements of a text, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def dataset(name: str = "letters", *told: str) -> DatasetAnswer:
    return DatasetAnswer.model_validate(
        {
            "id": "d" * 32,
            "name": name,
            "images": 30,
            "classes": [
                {"name": each, "train": 8, "val": 3, "test": 4} for each in ("alpha", name)
            ],
            "layout": "one folder for each class",
            "warnings": told,
            "samples": [{"index": i, "class_name": ("alpha", name)[i % 2]} for i in range(20)],
            "expires": 0,
        }
    )


def job(state: str = "running", **fields: Any) -> JobAnswer:
    given = {"id": "j" * 32, "state": state, "dataset": "letters", "created": 0, **fields}
    return JobAnswer.model_validate(given)


SOURCE = SourceTask(
    name="flags of <all>/lands",
    classes=("a",),
    family="flags",
    licence="CC0-1.0",
    train_images=9,
    has_images=True,
)


@given(st.text(max_size=40))
def test_no_name_becomes_markup(name: str) -> None:
    evil = f"{name}{EVIL}"
    shown = [
        texts.understood(dataset(evil, evil)),
        texts.class_table(dataset(evil)),
        texts.alert(evil),
        texts.match_list([match(evil, task=evil)], None),
        texts.match_detail(match(evil, task=evil), dataset(evil), SOURCE),
        texts.progress(job("failed", error=evil)),
        texts.recall_table({"classes": [evil], "confusion": [[1]]}),
        texts.similar_table([(evil, 0.5)]),
    ]
    assert not any(Tags(text).of("script") for text in shown)


def test_what_was_understood_shows_counts_warnings_and_pictures() -> None:
    shown = texts.understood(dataset("beta", "5 images are copies"))
    assert "30 images of 2 classes, read as one folder for each class." in shown
    assert "5 images are copies" in shown
    pictures = Tags(shown).of("img")
    assert len(pictures) == 2 * texts.PICTURES
    assert all(picture["alt"] for picture in pictures)
    assert pictures[0]["src"] == f"api/v1/datasets/{'d' * 32}/images/0"


def test_every_slider_has_a_label_and_says_its_value_in_words() -> None:
    tags = Tags(texts.sliders(scales([1e6], [1e7])))
    labelled = {label.get("for") for label in tags.of("label")}
    ranges = [each for each in tags.of("input") if each["type"] == "range"]
    assert len(ranges) == 3
    for each in ranges:
        assert each["id"] in labelled
        assert each["aria-valuetext"] == "no limit"
        words = each["data-words"] or ""
        assert len(words.split("|")) == int(each["max"] or 0) + 1


def test_the_list_says_which_network_is_chosen() -> None:
    two = (match("a"), match("b"))
    buttons = Tags(texts.match_list(two, two[1])).of("button")
    assert [button["aria-pressed"] for button in buttons] == ["false", "true"]
    assert [button["data-id"] for button in buttons] == ["a", "b"]


def test_an_accuracy_has_a_range_once_a_look_gave_one() -> None:
    assert texts.accuracy(match(predicted_accuracy=0.913)) == "about 91 %"
    looked = match(predicted_accuracy=0.913, low=0.84, high=0.96)
    assert texts.accuracy(looked) == "91.3 % (84 to 96)"


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (LicenceChain("Apache-2.0", None, "CC0-1.0"), "yes, by all"),
        (LicenceChain("Apache-2.0", UNSTATED), "not known"),
        (LicenceChain("CC-BY-NC-4.0"), "no, or not by all"),
    ],
)
def test_commercial_use_is_yes_no_or_not_known(chain: LicenceChain, said: str) -> None:
    shown = texts.match_detail(match(licences=chain), dataset(), None)
    assert said in re.sub(r"\s+", " ", shown)


def test_a_match_stands_beside_the_images_of_its_source() -> None:
    shown = texts.match_detail(match(), dataset(), SOURCE)
    places = [picture["src"] or "" for picture in Tags(shown).of("img")]
    assert sum("/datasets/" in place for place in places) == texts.OWN
    theirs = [place for place in places if "/tasks/" in place]
    assert len(theirs) == texts.THEIRS
    assert theirs[0] == "api/v1/tasks/flags%20of%20%3Call%3E/lands/images/0"


def test_limits_that_nothing_fits_are_answered_with_what_would() -> None:
    ranked = Ranked((match(params=1_000_000, flops=20_000_000), match(params=3_000_000)))
    said = texts.unfit(ranked, LimitsAsked.model_validate({"max_params": 5, "max_flops": 5}))
    assert "1 million parameters and 20 million multiply-adds" in said
    closed = Ranked((match(licences=LicenceChain(UNSTATED)),))
    assert "untick" in texts.unfit(closed, LimitsAsked.model_validate({"commercial": True}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (job("queued", ahead=2), "2 fine-tunes before yours"),
        (job("queued", ahead=0), "Waiting."),
        (job(), "Preparing"),
        (job(epochs=5, seconds_left=42.0), "epoch 0 of 5 is done. About 42 s left"),
        (job(epochs=5, seconds_left=600.0), "About 10 min left"),
        (job("cancelled"), "Nothing of it is kept"),
        (job("failed", error="memory ran out"), "It failed: memory ran out"),
    ],
)
def test_how_far_a_fine_tune_is_stands_in_a_sentence(given: JobAnswer, said: str) -> None:
    shown = texts.progress(given)
    assert said in shown
    assert 'role="status"' in shown


def test_a_result_links_what_it_left_and_nothing_else() -> None:
    reached = outcome(test_accuracy=0.9, warnings=("there is no onnx: it is not installed",))
    files = [FileAnswer(name=name, bytes=10**6) for name in ("model.safetensors", "other.json")]
    shown = texts.result(job("done", outcome=reached, files=files), {"test_images": 40})
    assert [link["href"] for link in Tags(shown).of("a")] == [
        f"api/v1/jobs/{'j' * 32}/files/model.safetensors"
    ]
    assert "90.0 %" in shown
    assert "There is no onnx" in shown


def test_a_result_without_test_images_says_so() -> None:
    assert "no test images" in texts.result(job("done", outcome=outcome()), {})


def test_classes_stand_with_the_worst_first() -> None:
    shown = texts.recall_table(
        {"classes": ["a", "b", "c"], "confusion": [[4, 0, 0], [3, 1, 0], [0, 0, 0]]}
    )
    assert list(re.findall(r"<td>([abc])</td>", shown)) == ["b", "a", "c"]


def test_a_curve_is_also_a_table() -> None:
    history = [
        EpochAnswer(epoch=1, train_loss=0.5, val_accuracy=None, val_balanced=None, seconds=1.0)
    ]
    shown = texts.epoch_table(job(history=history))
    assert "0.500" in shown
