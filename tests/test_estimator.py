"""The estimator of scikit-learn: its own checks, and images in all the forms that users have."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import tans
from tans.errors import FitError, InputError, LimitError, TansError, ZooError
from tans.estimator import TansClassifier
from tans.training import PUBLISHED
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task

EXPECTED_FAILURES = {
    "check_methods_subset_invariance": "sums in 32 bits depend on how many images are in a batch "
    "from the sixth digit on, and the check allows a difference in the eighth",
}
WITHOUT_A_FIT = {
    *("check_estimator_cloneable", "check_estimator_tags_renamed", "check_valid_tag_types"),
    *("check_estimator_repr", "check_no_attributes_set_in_init", "check_estimators_unfitted"),
    *("check_do_not_raise_errors_in_init_or_set_params", "check_mixin_order", "check_complex_data"),
    *("check_estimators_empty_data_messages", "check_estimator_sparse_array"),
    *("check_estimator_sparse_matrix", "check_classifiers_one_label", "check_supervised_y_no_nan"),
    *("check_classifiers_regression_target", "check_parameters_default_constructible"),
    *("check_fit2d_1sample", "check_get_params_invariance", "check_set_params", "check_fit1d"),
    "check_requires_y_none",
}
"""Checks that take no time; the others fit many times, about a second each."""
Check = Callable[[Any], None]

pytestmark = pytest.mark.filterwarnings("ignore::tans.errors.TansWarning")


@pytest.fixture
def small(small_zoo: Zoo) -> TansClassifier:
    """One that is quickly fitted."""
    return TansClassifier(zoo=small_zoo.path, max_params=1.5e6, look=0, epochs=1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Bars across, bars down, and both, uint8 (60, 32, 32, 3)."""
    return drawn_task("green", "three", seed=3).pixels.at(32).permute(0, 2, 3, 1).numpy()


LABELS = np.array(["across", "down", "both"] * 20)


def checks() -> list[Any]:
    names = [
        check.func.__name__  # type: ignore[attr-defined]
        for _, check in estimator_checks_generator(TansClassifier())
    ]
    return [
        pytest.param(
            place, marks=[] if name in WITHOUT_A_FIT else [pytest.mark.slow], id=f"{place}-{name}"
        )
        for place, name in enumerate(names)
    ]


@pytest.mark.parametrize("place", checks())
def test_scikit_learn_takes_it_for_one_of_its_own(place: int, small: TansClassifier) -> None:
    generated = list(estimator_checks_generator(small))
    estimator, check = generated[place]
    name = check.func.__name__  # type: ignore[attr-defined]
    if name in EXPECTED_FAILURES:
        pytest.xfail(EXPECTED_FAILURES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_what_fails_is_still_a_check() -> None:
    names = {
        check.func.__name__  # type: ignore[attr-defined]
        for _, check in estimator_checks_generator(TansClassifier())
    }
    assert EXPECTED_FAILURES.keys() | WITHOUT_A_FIT <= names


def test_it_searches_fine_tunes_classifies_and_saves(
    small: TansClassifier, images: np.ndarray, tmp_path: Path
) -> None:
    fitted = small.fit(images, LABELS)
    assert fitted.classes_.tolist() == ["across", "both", "down"]
    shares = fitted.predict_proba(images)
    assert shares.shape == (60, 3)
    own = fitted.classifier_.probabilities(list(images))  # by the names of the task
    columns = [fitted.result_.task.classes.index(name) for name in fitted.classes_]
    np.testing.assert_allclose(own[:, columns], shares, atol=1e-5)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (fitted.predict(images) == fitted.classes_[shares.argmax(1)]).all()
    assert fitted.score(images, LABELS) == (fitted.predict(images) == LABELS).mean()
    assert not hasattr(fitted, "n_features_in_")
    # it learns from all images but those that it is validated by
    assert fitted.result_.task.splits.unique().tolist() == [0, 1]
    fitted.save(tmp_path / "out")
    stored = tans.load_finetuned(tmp_path / "out").probabilities(list(images))
    np.testing.assert_allclose(stored, own, atol=1e-5)
    assert (tmp_path / "out" / "report.html").is_file()
    revived = pickle.loads(pickle.dumps(fitted))
    assert (revived.predict(images) == fitted.predict(images)).all()
    revived.save(tmp_path / "again")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["paths", "objects", "texts", "pillow", "list", "grey", "floats"])
def test_images_come_in_any_form(
    small: TansClassifier, images: np.ndarray, tmp_path: Path, form: str
) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(60)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    forms: dict[str, Any] = {
        "paths": paths,
        "objects": np.array(paths, dtype=object),
        "texts": np.array(list(map(str, paths))),
        "pillow": [Image.fromarray(image) for image in images],
        "list": [image[: 20 + index % 9] for index, image in enumerate(images)],
        "grey": images[..., 0],
        "floats": images / 255,
    }
    fitted = small.fit(forms[form], LABELS)
    assert fitted.predict(forms[form][:7]).shape == (7,)
    assert set(fitted.predict(forms[form])) <= set(LABELS)
    if form == "floats":
        assert fitted.classifier_.reading.ranges["float32"] == (0.0, 1.0)
        with pytest.raises(InputError, match="image 0 .* samples are uint8"):
            fitted.predict(images)


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels",
    [np.arange(60) % 12, np.arange(60) % 2 == 0, (np.arange(60) % 3 + 0.0), ["", " ", "x"] * 20],
    ids=["numbers", "truths", "floats", "blanks"],
)
def test_labels_come_in_any_form(small: TansClassifier, images: np.ndarray, labels: Any) -> None:
    fitted = small.fit(list(map(Image.fromarray, images)), labels)
    assert (fitted.classes_ == np.unique(labels)).all()
    assert set(fitted.predict(images).tolist()) <= set(np.asarray(labels).tolist())
    names = fitted.classifier_.classes
    likeliest = [each.label for each in fitted.classifier_.predict(list(images))]
    if "x" not in labels:
        assert likeliest == [str(label) for label in fitted.predict(images)]
    assert len(set(names)) == len(fitted.classes_)


@pytest.mark.slow
def test_it_works_inside_other_estimators(small: TansClassifier, images: np.ndarray) -> None:
    whole = make_pipeline(FunctionTransformer(np.flip, kw_args={"axis": 0}), small)
    assert len(cross_val_score(whole, images, LABELS, cv=2)) == 2
    search = GridSearchCV(small, {"max_params": [1.2e6, 4e6]}, cv=2)
    search.fit(images, LABELS)
    best = search.best_estimator_
    assert best.result_.runs[0].costs.params <= best.max_params
    assert clone(best).get_params() == best.get_params()
    tables = small.fit(images[..., 0].reshape(60, -1), LABELS)
    assert tables.n_features_in_ == 32 * 32
    small.fit(images, LABELS)
    assert not hasattr(small, "n_features_in_")
    with pytest.raises(InputError, match="was fitted to images"):
        small.predict(np.zeros((2, 9)))


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        (np.zeros((4, 8, 8)), ["a"] * 4, "one class"),
        (np.zeros((5, 8, 8)), ["a", "a", "b", "b", "c"], "fewer than 2 images: c (1)"),
        (np.zeros((4, 8, 8)), [0.0, 1.0, np.nan, 1.0], "Input y contains NaN"),
        (np.zeros((4, 8, 8)), np.array([0.0, 1.0, np.nan, 1.0]), "Input y contains NaN"),
        (np.zeros((4, 8, 8)), ["a", "b", None, "b"], "Input y contains NaN"),
        (np.zeros((4, 8, 8)), ["a", "b", np.nan, "b"], "Input y contains NaN"),
        (np.zeros((4, 8, 8)), np.array(["a", "b", np.nan, "b"]), "Input y contains NaN"),
        (np.zeros((4, 8, 8)), np.array(["a", 1, "a", 1], dtype=object), "mixes labels|Unknown"),
        (np.zeros((4, 8, 8)), [0, 1, 0], "inconsistent"),
        (np.zeros((4, 8, 8)), None, "target y is None"),
        (np.zeros((4, 8, 8, 3, 1)), [0, 1] * 2, "5 dimensions"),
        (np.zeros((4, 3, 8, 8)), [0, 1] * 2, r"(3, 8, 8)"),
        ("folder/", [0, 1] * 2, "X is str"),
        ([Image.new("L", (8, 8)), 3.0] * 2, [0, 1] * 2, "float among images"),
        ([Image.new("L", (8, 8)), "a.png"] * 2, [0, 1] * 2, "mixes paths"),
        (["nowhere.png"] * 4, [0, 1] * 2, "missing"),
        ([], [], "0 sample"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    small: TansClassifier, X: Any, y: Any, says: str
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        small.fit(X, y)
    assert any(part in str(refused.value) for part in says.split("|"))
    assert not hasattr(small, "classes_")


def test_parameters_are_looked_at_by_fit_alone(images: np.ndarray, tmp_path: Path) -> None:
    for wrong, error in (
        ({"max_params": -1}, InputError),
        ({"combine": "all"}, InputError),
        ({"epochs": 0}, InputError),
        ({"zoo": tmp_path}, ZooError),
    ):
        estimator = TansClassifier(**wrong)
        with pytest.raises(error) as refused:
            estimator.fit(images, LABELS)
        assert isinstance(refused.value, TansError)
    with pytest.raises(NotFittedError):
        TansClassifier().save(tmp_path / "out")


def test_limits_that_nothing_fits_are_told(small: TansClassifier, images: np.ndarray) -> None:
    with pytest.raises(LimitError, match="max_params"):
        small.set_params(max_params=10).fit(images, LABELS)


@given(st.integers(1, 40), st.sampled_from(["square", "colour", "any"]))
def test_a_row_of_a_table_is_an_image_of_all_its_numbers(side: int, kind: str) -> None:
    from tans.estimator import _unrolled

    columns = {"square": side**2, "colour": 3 * side**2, "any": side}[kind]
    table = np.arange(2.0 * columns, dtype=np.float32).reshape(2, columns)
    unrolled = _unrolled(table)
    assert unrolled.shape[0] == 2
    assert (unrolled.reshape(2, -1) == table).all()
    if kind == "square":
        assert unrolled.shape == (2, side, side)
    if kind == "colour":
        assert unrolled.shape == (2, side, side, 3)


def test_a_seed_may_be_whatever_scikit_learn_takes() -> None:
    seeds = [0, np.int64(3), np.random.RandomState(1), None]
    drawn = [TansClassifier(random_state=seed)._seed() for seed in seeds]
    assert drawn[:2] == [0, 3]
    assert all(isinstance(seed, int) and seed >= 0 for seed in drawn)


@pytest.mark.usefixtures("short_published")
@pytest.mark.long
def test_the_papers_method_fits_too(small_zoo: Zoo, images: np.ndarray) -> None:
    fitted = TansClassifier(zoo=small_zoo, method="paper", epochs=1).fit(images, LABELS)
    assert fitted.result_.search.method == "paper"
    assert fitted.result_.best.recipe.learning_rate == PUBLISHED.learning_rate
    with pytest.raises(FitError, match="not of minutes"):
        TansClassifier(zoo=small_zoo, method="paper", max_minutes=1).fit(images, LABELS)
