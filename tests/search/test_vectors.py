"""The largest inner products, with codes and without."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tans.errors import InputError, MissingExtraError
from tans.search import vectors
from tans.search.vectors import Codes, Vectors, kept_codes


def unit_rows(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_sorting(
    matrix: NDArray[np.float32], query: NDArray[np.float32], within: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    rows = np.arange(len(matrix)) if within is None else np.flatnonzero(within)
    return rows[np.argsort(-(matrix @ query)[rows], kind="stable")]


@pytest.fixture
def many_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes are used from a hundred rows on."""
    monkeypatch.setattr(vectors, "FEW", 100)
    monkeypatch.setattr(vectors, "KEPT", 200)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.floats(0, 1), st.integers(0, 9))
def test_a_scan_finds_what_sorting_finds(n: int, count: int, share: float, seed: int) -> None:
    """Also among rows of equal products."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-1, 2, size=(n, 3)).astype(np.float32)
    query = rng.integers(-1, 2, size=3).astype(np.float32)
    within = rng.random(n) < share
    for mask in (None, within):
        rows, products = Vectors(matrix).nearest(query, count, mask)
        expected = by_sorting(matrix, query, mask)[:count]
        assert rows.tolist() == expected.tolist()
        assert products.tolist() == (matrix[expected] @ query).tolist()


@pytest.mark.usefixtures("many_are_few")
@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
@pytest.mark.long
def test_codes_find_nearly_all_that_a_scan_finds(share: float) -> None:
    matrix = unit_rows(20_000, 64)
    within = None if share == 1 else np.random.default_rng(1).random(len(matrix)) < share
    coded, found = Vectors(matrix, Codes.of(matrix)), 0
    for query in unit_rows(20, 64, seed=2):
        rows, products = coded.nearest(query, 10, within)
        assert products.tolist() == sorted(products, reverse=True)
        assert within is None or within[rows].all()
        found += len(set(rows) & set(by_sorting(matrix, query, within)[:10]))
    assert found >= 0.99 * 200


@pytest.mark.usefixtures("many_are_few")
def test_limits_that_leave_out_what_is_near_leave_the_rest_in_order() -> None:
    matrix, query = unit_rows(20_000, 16), unit_rows(1, 16, seed=3)[0]
    within = matrix @ query < 0  # half of them, and the farthest
    rows, _ = Vectors(matrix, Codes.of(matrix)).nearest(query, 10, within)
    assert rows.tolist() == by_sorting(matrix, query, within)[:10].tolist()


def test_codes_are_stored_and_seeded() -> None:
    matrix = unit_rows(2000, 8)
    made, again = Codes.of(matrix, seed=1), Codes.of(matrix, seed=1)
    assert (made.packed == again.packed).all()
    stored = Codes.from_arrays(made.arrays())
    assert (stored.centroids == made.centroids).all()
    assert stored.packed.nbytes == matrix.nbytes / 16


@pytest.mark.parametrize(
    "wrong",
    [
        {"centroids": np.zeros((4, 16, 3), np.float32)},
        {"centroids": np.full((4, 16, 2), np.nan, np.float32)},
        {"packed": np.zeros((7, 3), np.uint8)},
        {"packed": np.zeros((7, 2), np.int64)},
    ],
)
def test_arrays_that_are_no_codes_are_refused(wrong: dict[str, NDArray[np.generic]]) -> None:
    arrays = {"centroids": np.zeros((4, 16, 2), np.float32), "packed": np.zeros((7, 2), np.uint8)}
    with pytest.raises(ValueError, match=r"centroids|codes"):
        Codes.from_arrays({**arrays, **wrong})


def test_codes_of_another_matrix_are_refused() -> None:
    codes = Codes.of(unit_rows(100, 8))
    with pytest.raises(InputError, match=r"\(100, 8\) came with one \(99, 8\)"):
        Vectors(unit_rows(99, 8), codes)


@pytest.mark.parametrize("shape", [(10, 8), (100, 6)])
def test_no_codes_are_made_of_what_is_too_small_or_of_odd_width(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="expected at least 16 rows"):
        Codes.of(unit_rows(*shape))


def test_without_its_library_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"tans\[million\]"):
        Codes.of(unit_rows(100, 8))


@pytest.mark.usefixtures("many_are_few")
def test_codes_of_many_rows_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    matrix = unit_rows(300, 8)
    made = kept_codes(matrix, "models-1.safetensors")
    assert made is not None
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "faiss", None)  # nothing is made anew
        again = kept_codes(matrix, "models-1.safetensors")
        assert kept_codes(matrix, "models-2.safetensors") is None
    assert again is not None
    assert (again.packed == made.packed).all()
    (tmp_path / "codes" / "models-1.safetensors").write_bytes(b"damaged")
    mended = kept_codes(matrix, "models-1.safetensors")
    assert mended is not None
    assert (mended.packed == made.packed).all()


@pytest.mark.usefixtures("many_are_few")
@pytest.mark.parametrize(("shape", "name"), [((99, 8), "a"), ((300, 6), "a"), ((300, 8), None)])
def test_few_rows_odd_ones_and_those_without_a_name_get_no_codes(
    shape: tuple[int, int], name: str | None
) -> None:
    assert kept_codes(unit_rows(*shape), name) is None
