from __future__ import annotations

import json
import warnings
from math import isnan

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score

from tans.errors import InputError
from tans.scores import Scores, difference, wilson

SHARES = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
MATRICES = st.integers(2, 6).flatmap(
    lambda c: st.lists(
        st.lists(st.integers(0, 30), min_size=c, max_size=c), min_size=c, max_size=c
    ).filter(lambda rows: any(map(sum, rows)))
)


def scores(*rows: list[int], classes: str = "abcdefghijklmnop") -> Scores:
    return Scores.of(torch.tensor(rows), list(classes[: len(rows)]))


def parts() -> Scores:
    """Ten defects among 130 parts, a fifth of them to test, and none found."""
    return Scores.of(torch.tensor([[0, 4], [0, 22]]), ("defect", "good"))


@settings(max_examples=60, deadline=None)
@given(MATRICES)
def test_scores_are_those_of_scikit_learn(rows: list[list[int]]) -> None:
    found, counts = scores(*rows), np.array(rows)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    true, said = np.divmod(cells, len(counts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is said, and has no image
        balanced = balanced_accuracy_score(true, said)
    assert found.balanced_accuracy == pytest.approx(balanced)
    assert found.accuracy == pytest.approx((true == said).mean())
    recalls = recall_score(
        true, said, labels=range(len(counts)), average=None, zero_division=np.nan
    )
    assert found.recalls == pytest.approx(recalls, nan_ok=True)
    guess = np.full_like(true, found.classes.index(found.commonest))
    assert found.commonest_share == pytest.approx((true == guess).mean())


@settings(max_examples=60, deadline=None)
@given(MATRICES)
def test_intervals_hold_their_scores_and_json_takes_them(rows: list[list[int]]) -> None:
    found = scores(*rows)
    for (low, high), share in (
        (found.interval, found.accuracy),
        (found.balanced_interval, found.balanced_accuracy),
    ):
        assert 0 <= low <= share + 1e-12
        assert share - 1e-12 <= high <= 1
    assert json.loads(json.dumps(found.describe(), allow_nan=False)) == found.describe()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_balanced_accuracy_of_even_classes_is_the_accuracy(n: int, shares: list[float]) -> None:
    rows = np.zeros((len(shares), len(shares)), dtype=int)
    for row, share in enumerate(shares):
        rows[row, row] = round(share * n)
        rows[row, row - 1] = n - rows[row, row]
    found = scores(*rows.tolist())
    assert found.balanced_accuracy == found.accuracy  # to the last bit, so that ties stay ties


def test_parts_of_which_no_defect_is_found() -> None:
    found = parts()
    assert found.accuracy == pytest.approx(0.846, abs=5e-4)
    assert found.balanced_accuracy == 0.5
    assert found.recalls == (0.0, 1.0)
    assert (found.commonest, found.commonest_share) == ("good", found.accuracy)
    assert found.warnings() == (
        "The network never says defect: none of its 4 test images was found.",
        "26 test images are too few to tell: the accuracy lies between 66 and 94 %.",
        "The accuracy of 84.6 % is not above that of always guessing good: 84.6 %.",
    )
    assert found.guessing() == (
        "Always guessing good, the commonest class of the test images, would get an accuracy of "
        "84.6 % and a balanced accuracy of 50.0 %."
    )


def test_good_scores_on_many_images_need_no_warning() -> None:
    assert scores([190, 10], [5, 195]).warnings() == ()


def test_few_images_of_one_class_leave_the_balanced_accuracy_open() -> None:
    found = scores([998, 2], [1, 3])
    assert found.interval[0] > 0.99
    assert found.warnings() == (
        "Class b has 4 of 1,004 test images, too few to tell: the balanced accuracy lies between "
        "65 and 98 %.",
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ([90, 10, 0], [10, 90, 0], [0, 0, 0]),
            "No test image is of class c, so its recall is unknown.",
        ),
        (
            ([200, 0, 0], [0, 0, 0], [0, 0, 0]),
            "No test image is of classes b and c, so their recall is unknown.",
        ),
        (
            ([90, 10, 0], [10, 90, 0], [1, 0, 0]),
            "The network never says c: its only test image was not found.",
        ),
        (
            ([200, 0, 0, 0], [0, 7, 0, 0], [0, 5, 0, 0], [5, 0, 0, 0]),
            "The network never says c and d: none of their 10 test images was found.",
        ),
        (
            tuple([9] + [0] * 7 for _ in range(8)),
            "The network never says b, c, d, e, f and 2 more: "
            "none of their 63 test images was found.",
        ),
        (([1, 0], [0, 0]), "1 test image is too few to tell"),
        (([22, 2], [2, 0]), "None of the 2 test images of b was found."),
        (([22, 2], [1, 0]), "The only test image of b was not found."),
        (
            ([80, 20], [0, 10]),
            "The accuracy of 81.8 % is not above that of always guessing a: 90.9 %; "
            "the balanced accuracy is, with 90.0 to 50.0 %.",
        ),
    ],
)
def test_what_is_amiss_is_said_in_words(rows: tuple[list[int], ...], said: str) -> None:
    found = scores(*rows).warnings()
    assert any(said in sentence for sentence in found), found


def test_classes_stand_worst_first_and_those_without_images_last() -> None:
    found = scores([0, 0, 0, 0], [0, 9, 1, 0], [0, 5, 5, 0], [0, 1, 0, 1])
    assert [found.classes[index] for index in found.worst_first] == ["c", "d", "b", "a"]


def test_without_images_nothing_is_known() -> None:
    found = scores([0, 0], [0, 0])
    assert all(map(isnan, (found.accuracy, found.balanced_accuracy, found.commonest_share)))
    assert found.interval == found.balanced_interval == (0.0, 1.0)
    assert found.warnings() == ("There are no test images, so nothing is known of the accuracy.",)
    assert "not known" in found.guessing()
    described = found.describe()
    assert (described["balanced_accuracy"], described["commonest_share"]) == (None, None)
    assert [line["recall"] for line in described["recall"]] == [None, None]


def test_a_matrix_of_other_classes_is_refused() -> None:
    with pytest.raises(InputError, match="one row and one column for each class"):
        Scores.of(torch.zeros(2, 3, dtype=torch.int64), ("a", "b"))


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_difference_of_a_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table II: 56 of 70 less 48 of 80, method 10
    assert difference((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(SHARES, SHARES)
def test_intervals_hold_their_estimates(one: tuple[int, int], other: tuple[int, int]) -> None:
    low, high = wilson(*one)
    assert 0 <= low <= one[0] / one[1] + 1e-12
    assert one[0] / one[1] - 1e-12 <= high <= 1
    low, high = difference(one, other)
    assert -1 <= low <= one[0] / one[1] - other[0] / other[1] + 1e-12 <= high + 1e-11
    assert difference(other, one) == pytest.approx((-high, -low))


def test_no_images_say_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
