from __future__ import annotations

import gzip
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tans_bench.errors import SourceError
from tans_bench.sources.arrays import (
    FORMS,
    digits,
    fashion,
    optical_digits,
    pickled_array,
    silhouettes,
)

from .conftest import MakePackage

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


@settings(max_examples=20, deadline=None)
@given(shapes, st.sampled_from([np.uint8, np.int64]), st.integers(0, 99))
def test_an_array_is_read_as_it_was_pickled(
    shape: tuple[int, ...], kind: type[np.generic], seed: int
) -> None:
    array = np.random.default_rng(seed).integers(0, 200, shape).astype(kind)
    read = pickled_array(pickle.dumps(array, protocol=4))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Malicious(), id="code"),
        pytest.param([1, 2, 3], id="list"),
        pytest.param(np.zeros(3, np.float32), id="other element type"),
        pytest.param(np.asfortranarray(np.zeros((2, 3), object)), id="objects"),
        pytest.param(None, id="none"),
    ],
)
def test_other_pickles_are_refused(content: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError):
        pickled_array(pickle.dumps(content, protocol=4))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"\x80\x04"])
def test_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match="expected one numpy array"):
        pickled_array(data)


def test_a_cut_array_is_refused() -> None:
    whole = pickle.dumps(np.zeros((4, 4), np.uint8), protocol=4)
    with pytest.raises(SourceError):
        pickled_array(whole.replace(b"K\x04K\x04", b"K\x04K\x05"))


def test_digits_are_scaled_and_labelled(make_package: MakePackage) -> None:
    package = make_package("mnist")
    folder = package.folder / "package/src/digits"
    folder.mkdir(parents=True)
    for digit in range(10):
        numbers = [digit / 10] * 784 * 2
        (folder / f"{digit}.json").write_text(json.dumps({"data": numbers}))
    pictures = digits([package])
    assert pictures.images.shape == (20, 3, 64, 64)
    assert pictures.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    assert (pictures.images[pictures.labels == 8] == 204).all()


def test_optical_digits_are_scaled_and_grouped_by_form(make_package: MakePackage) -> None:
    package = make_package("scikit-learn")
    folder = package.folder / "sklearn/datasets/data"
    folder.mkdir(parents=True)
    rows = [",".join(map(str, [*[row % 17] * 64, row % 10])) for row in range(FORMS[2])]
    (folder / "digits.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    pictures = optical_digits([package])
    assert pictures.labels.tolist() == [row % 10 for row in range(FORMS[2])]
    assert pictures.images[[0, 8, 16], 0, 9, 9].tolist() == [0, 128, 255]
    first, second = FORMS[1], FORMS[2] - FORMS[1]
    assert pictures.groups == ("form 1",) * first + ("form 2",) * second


def test_silhouettes_come_from_two_pickled_arrays(make_package: MakePackage) -> None:
    package = make_package("animal-shape-mnist")
    folder = package.folder / "animal_shape_mnist/data/Animal Shape"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    arrays = {"data": images, "label": np.repeat(np.arange(10), 2)}
    for part, array in arrays.items():
        data = gzip.compress(pickle.dumps(array, protocol=4))
        (folder / f"animal_{part}_version_3.gz").write_bytes(data)
    pictures = silhouettes([package])
    assert pictures.labels.tolist() == arrays["label"].tolist()
    assert pictures.groups is not None
    assert len(set(pictures.groups)) == 20


def _write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_idx_files_are_read_and_cut_ones_refused(make_package: MakePackage) -> None:
    package = make_package("dataset-fashion-mnist")
    folder = package.folder / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    images = np.repeat(np.arange(4, dtype=np.uint8) * 50, 784).reshape(4, 28, 28)
    _write_idx(folder / "train-images-idx3-ubyte.gz", images)
    _write_idx(folder / "train-labels-idx1-ubyte.gz", np.array([3, 1, 2, 0], np.uint8))
    pictures = fashion([package])
    assert pictures.labels.tolist() == [3, 1, 2, 0]
    assert pictures.images[:, 0, 9, 9].tolist() == [0, 50, 100, 150]
    cut = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())[:-1]
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(cut))
    with pytest.raises(SourceError, match="is no IDX file"):
        fashion([package])
