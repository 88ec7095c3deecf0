"""An estimator of scikit-learn: ``fit`` searches and fine-tunes, ``predict`` classifies images.

It needs the extra ``tans[sklearn]``.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tans.errors import FitError, InputError, LimitError, MissingExtraError, TansWarning
from tans.export.classifier import Classifier, Item
from tans.tasks.findings import Overrides, some
from tans.tasks.splits import TEST, TRAIN
from tans.tasks.task import Task, TaskCard
from tans.types import Constraints
from tans.workflow import FinetuneResult, Selection, finetune_best
from tans.zoo.zoo import Zoo

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as missing:  # validate_data came with 1.6
    raise MissingExtraError("scikit-learn 1.6 or newer", "sklearn") from missing

NAME = "images"
"""Of the task that is learnt."""


class TansClassifier(ClassifierMixin, BaseEstimator):
    """The network of a zoo that suits labelled images best, fine-tuned to them.

    Images are paths, images of Pillow, or arrays (h, w), (h, w, 3) or, of 8 bits, (h, w, 4), in a
    list, an array of objects, or one array (n, h, w) or (n, h, w, 3). Integers of 8 bits are levels
    from 0 to 255. What other numbers mean is found at ``fit`` from all images together: the
    narrowest usual range that holds them (floats 0 to 1, -1 to 1, 0 to 255 or 0 to 65535, integers
    of 8, 10, 12, 14 or 16 bits) if they fill a quarter of it, else their own; it is told, and holds
    for ``predict``. A table (n, d) of numbers has an image in each row: grey and square where d is
    a square, in colour (s, s, 3) where it is three times one, else a strip of d pixels.

    Labels are whatever classifiers of scikit-learn take. ``fit`` keeps back about a sixth of the
    images to validate by, and learns from all others: no test split is cut, as ``score`` and
    ``cross_val_score`` bring their own images.

    A pickle of a fitted estimator holds the images that it learnt from. Loading a pickle runs
    whatever its author put there, at your own risk; tans itself never does. What ``save`` writes is
    plain data, which ``tans.load_finetuned`` and ``tans predict`` read.

    Args:
        max_params: parameters, head included; None for no limit, here and below.
        max_flops: multiply-adds for one image.
        max_latency_ms: milliseconds for one image on this device.
        max_minutes: minutes of a fine-tune on this device.
        zoo: a zoo or its folder; the shipped one when None.
        look: sources beside ImageNet that the search looks at again.
        combine: ``one`` or ``distil``, as in ``tans.Selection``.
        method: ``tans`` or ``paper``, likewise.
        epochs: passes over the images; what suits them when None.
        random_state: seed, or what scikit-learn takes for one.

    Attributes:
        classes_: labels, sorted, (c,).
        result_: the search and the fine-tuned networks, ``tans.FinetuneResult``.
        classifier_: what classifies, ``tans.Classifier``; its class names are labels as text.
        n_features_in_: columns of the table, where it learnt from one.
    """

    def __init__(
        self,
        *,
        max_params: float | None = None,
        max_flops: float | None = None,
        max_latency_ms: float | None = None,
        max_minutes: float | None = None,
        zoo: Zoo | str | Path | None = None,
        look: int = 5,
        combine: str = "one",
        method: str = "tans",
        epochs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.max_params = max_params
        self.max_flops = max_flops
        self.max_latency_ms = max_latency_ms
        self.max_minutes = max_minutes
        self.zoo = zoo
        self.look = look
        self.combine = combine
        self.method = method
        self.epochs = epochs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Search the zoo for the network that suits the images, and fine-tune it.

        Args:
            X: n images, as the class says.
            y: their labels, (n,).

        Raises:
            FitError: these are no images or labels, there are fewer than two classes, a class has
                fewer than two images, or a parameter is out of range; it is a ``ValueError``.
            LimitError: no network of the zoo fits the limits.
            ZooError: the zoo is missing or damaged.
        """
        with _as_value_error():
            return self._fit(X, y)

    def _fit(self, X: Any, y: Any) -> Self:
        seed = self._seed()
        limits = Constraints(self.max_params, self.max_flops, self.max_latency_ms, self.max_minutes)
        selection = Selection(
            limits=limits, look=self.look, combine=self.combine, method=self.method
        )
        recipe = replace(selection.recipe, seed=seed)
        recipe = recipe if self.epochs is None else replace(recipe, epochs=self.epochs)
        classes, codes = _labels(y)
        images = self._images(X, y)
        _refuse_few(classes, codes)
        names = _names(classes)
        zoo = self.zoo if isinstance(self.zoo, Zoo) else Zoo.open(self.zoo)
        task = _task(images, codes, names, seed)
        result = finetune_best(task, zoo, selection, recipe)
        for told in (*task.found.words(), *result.warnings):
            warnings.warn(f"{told[0].upper()}{told[1:]}.", TansWarning, stacklevel=2)
        self.result_: FinetuneResult = result
        self.classifier_: Classifier = result.classifier
        self.classes_ = classes
        # in the order of classes_, which is not that of their names: 10 comes after 9
        self._columns = torch.tensor([task.classes.index(name) for name in names])
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest label of each image, (n,).

        Raises:
            FitError: an image cannot be read, or is not of the kind it was fitted to.
            NotFittedError: ``fit`` comes first.
        """
        likeliest = self.predict_proba(X).argmax(1)
        return self.classes_[likeliest]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, (n, c), in the order of ``classes_``.

        Raises:
            FitError: as for ``predict``.
            NotFittedError: ``fit`` comes first.
        """
        check_is_fitted(self, "classifier_")
        with _as_value_error():
            shares = self.classifier_.probabilities(self._images(X)).double()
        shares = shares[:, self._columns]  # (n, c)
        return (shares / shares.sum(1, keepdim=True)).numpy()

    def save(self, folder: str | Path) -> None:
        """Write the network and a report to a folder, as ``tans finetune`` does.

        Raises:
            InputError: it cannot be written, or its ``model.json`` is something else's.
            NotFittedError: ``fit`` comes first.
        """
        check_is_fitted(self, "result_")
        self.result_.save(folder)

    def _seed(self) -> int:
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _images(self, X: Any, y: Any = None) -> list[Item]:
        """The images of X, to be fitted to where labels come with them.

        Raises:
            InputError: it holds something else.
            ValueError: it is a table that scikit-learn refuses.
        """
        fitting = y is not None
        found = _as_images(X)
        if found is not None:
            if fitting:
                check_consistent_length(found, y)
                for name in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(name, None)  # of an earlier fit to a table
            if not fitting and hasattr(self, "n_features_in_"):
                raise InputError(
                    f"X holds images, and {type(self).__name__} was fitted to a table of "
                    f"{self.n_features_in_} columns; give a table (n, {self.n_features_in_})"
                )
            return found
        if not fitting and not hasattr(self, "n_features_in_"):
            raise InputError(
                f"X is a table, and {type(self).__name__} was fitted to images; give a list of "
                "images, or an array (n, height, width)"
            )
        if fitting:
            table, _ = validate_data(self, X, y, dtype=np.float32)
        else:
            table = validate_data(self, X, dtype=np.float32, reset=False)
        return list(_unrolled(table))


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Let errors of what was given be what scikit-learn expects; that of limits stays."""
    try:
        yield
    except (LimitError, ValueError):
        raise
    except InputError as error:
        raise FitError(str(error)) from error


def _as_images(X: Any) -> list[Item] | None:
    """The images of X; None where it is a table, or nothing that this function knows.

    Raises:
        InputError: it holds no images, or arrays of another shape.
    """
    if not hasattr(X, "shape") and hasattr(X, "__array__"):
        X = np.asarray(X)
    dimensions = len(X.shape) if hasattr(X, "shape") else 1
    if dimensions == 2 or (hasattr(X, "dtype") and dimensions == 1 and X.dtype.kind in "biufc"):
        return None
    if dimensions in (3, 4):
        array = np.asarray(X)
        if array.ndim == 4 and array.shape[3] == 1:
            array = array[..., 0]
        return list(array)
    if dimensions > 4 or isinstance(X, str | bytes | Path) or not isinstance(X, Iterable):
        raise InputError(
            f"X is {type(X).__name__} with {dimensions} dimensions; expected a list of images or "
            "paths, an array (n, height, width) or (n, height, width, 3), or a table (n, d)"
        )
    items = list(X)
    if not items:
        raise InputError("X holds no image (0 samples); expected at least two of each class")
    kinds = {_kind(item) for item in items}
    if None in kinds:
        if len(kinds) == 1:  # rows of numbers
            return None
        other = next(item for item in items if _kind(item) is None)
        raise InputError(
            f"X holds {type(other).__name__} among images; expected paths, images of Pillow or "
            "arrays (height, width) or (height, width, 3)"
        )
    return items


def _kind(item: object) -> str | None:
    """``file`` or ``memory``; None for what is no image."""
    if isinstance(item, str | Path):
        return "file"
    held = isinstance(item, Image.Image) or (isinstance(item, np.ndarray) and item.ndim > 1)
    return "memory" if held else None


def _unrolled(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image for each row of a table (n, d): (n, s, s), (n, s, s, 3) or (n, 1, d)."""
    count, columns = table.shape
    side, colour = math.isqrt(columns), math.isqrt(columns // 3)
    if side**2 == columns:
        return table.reshape(count, side, side)
    if 3 * colour**2 == columns:
        return table.reshape(count, colour, colour, 3)
    return table.reshape(count, 1, columns)


def _labels(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The classes (c,), sorted, and the index of each image's (n,).

    Raises:
        InputError: a label is missing, or they are not of one kind.
        ValueError: scikit-learn does not take them for classes.
    """
    if y is None:
        raise InputError("TansClassifier requires y to be passed, but the target y is None")
    if isinstance(y, Sequence):  # NumPy would write a missing one out, as a class of that name
        _refuse_missing(y)
    labels = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    _refuse_missing(labels.tolist())
    try:
        check_classification_targets(labels)
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        kinds = some(sorted({type(label).__name__ for label in labels.tolist()}))
        raise InputError(f"y mixes labels of {kinds}; expected one kind") from error
    return classes, codes.astype(np.int64)


def _refuse_missing(labels: Iterable[Any]) -> None:
    for index, label in enumerate(labels):
        if label is None or (isinstance(label, float) and math.isnan(label)) or _is_na(label):
            raise InputError(
                f"y[{index}] is {label}: Input y contains NaN or nothing; expected a label for "
                "each image; fill it in, or leave the image out"
            )


def _is_na(label: object) -> bool:
    """Whether it is what pandas writes for a missing label, or NumPy makes of NaN among texts."""
    return type(label).__name__ in ("NAType", "NaTType") or label == "nan"


def _refuse_few(classes: NDArray[Any], codes: NDArray[np.int64]) -> None:
    if len(classes) < 2:
        raise InputError(
            f"y has one class ({classes.tolist()[0]!r}, n_samples = {len(codes)}); expected at "
            "least 2 classes; add images of another"
        )
    counts = np.bincount(codes)
    few = [f"{classes[k]} ({counts[k]})" for k in np.flatnonzero(counts < 2)]
    if few:
        raise InputError(
            f"these classes have fewer than 2 images: {some(few)}; add images to them, or leave "
            "them out"
        )


def _names(classes: NDArray[Any]) -> list[str]:
    """Labels as text, each another one."""
    names = [str(label) for label in classes.tolist()]
    if len(set(names)) == len(names) and all(name.strip() for name in names):
        return names
    return [f"{index}: {name!r}" for index, name in enumerate(names)]


def _task(
    images: Sequence[Item], codes: NDArray[np.int64], names: Sequence[str], seed: int
) -> Task:
    """A task with a validation split and no test split.

    Raises:
        InputError: files and images in memory are mixed, or they cannot make a task.
    """
    kinds = {_kind(image) for image in images}
    if len(kinds) > 1:
        raise InputError(
            "X mixes paths and images in memory; expected one of them; open the files with Pillow, "
            "or save the images"
        )
    if kinds == {"file"}:
        labels = [names[code] for code in codes]
        as_is = Overrides(labels_as_is=True)
        task = Task.from_files(images, labels, name=NAME, seed=seed, overrides=as_is)  # type: ignore[arg-type]
    else:
        card = TaskCard(NAME, "", "unstated", "given to an estimator")
        task = Task.from_images(NAME, images, codes, names, card, seed)  # type: ignore[arg-type]
    splits = task.splits.clone()
    splits[splits == TEST] = TRAIN
    return replace(task, splits=splits)
