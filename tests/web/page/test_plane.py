from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import TansError
from tans.meta.retriever import Retriever
from tans.web.page.plane import Plane, in_words, lay_out, plane_of
from tans.zoo.zoo import Zoo

RIGHT, UP = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def plane() -> Plane:
    """Two sources in two corners, whose embeddings are at a right angle."""
    embeddings = np.stack([RIGHT, RIGHT, UP, UP])
    places = np.array([[0, 0], [0.2, 0], [1, 1], [1, 0.8]], np.float32)
    return Plane(("east", "east", "north", "north"), places, embeddings)


def test_a_dataset_lies_by_the_networks_that_are_most_similar_to_it() -> None:
    np.testing.assert_allclose(plane().place(RIGHT), [0.1, 0], atol=1e-3)
    np.testing.assert_allclose(plane().place(UP), [1, 0.9], atol=1e-3)


@given(st.floats(0, 2 * np.pi))
def test_a_dataset_lies_among_the_networks(angle: float) -> None:
    query = np.array([np.cos(angle), np.sin(angle)], np.float32)
    place = plane().place(query)
    assert ((place >= -1e-6) & (place <= 1 + 1e-6)).all()


def test_sources_are_told_by_similarity() -> None:
    similar = plane().similar(np.array([0.6, 0.8], np.float32))
    assert [name for name, _ in similar] == ["north", "east"]
    assert in_words(similar) == (
        "Your dataset lies nearest to north (0.80), then east (0.60), by the cosine of embeddings."
    )
    assert in_words([]) == "No source is on the map."


def test_sources_lie_amid_their_networks() -> None:
    np.testing.assert_allclose(plane().sources()["east"], [0.1, 0], atol=1e-6)


def test_a_zoo_is_laid_out_once(
    small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    calls = []

    def make(zoo: Zoo) -> dict[str, Any]:
        calls.append(zoo)
        return lay_out(zoo, lambda _: None)

    first, second = plane_of(small_zoo, make), plane_of(small_zoo, make)
    assert len(calls) == 1
    assert first.tasks == second.tasks == tuple(entry.task for entry in small_zoo.entries())
    assert (first.places == second.places).all()
    assert ((first.places >= 0) & (first.places <= 1)).all()
    assert (first.embeddings == Retriever.load(small_zoo.retrieval).matrix.numpy()).all()


def test_a_damaged_map_is_made_again(
    small_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    rows = list(range(len(small_zoo.columns())))
    plane_of(small_zoo, lambda _: {"rows": rows, "places": [(0, 0)] * len(rows)})
    (file,) = (tmp_path / "maps").iterdir()
    file.write_bytes(b"{")
    again = plane_of(small_zoo, lambda _: {"rows": rows, "places": [(1, 1)] * len(rows)})
    assert (again.places == 1).all()


def test_a_zoo_that_grew_since_its_training_has_no_map(
    small_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Retriever.load

    def older(*given: Any) -> Retriever:
        return replace(load(*given), networks="0" * 64)

    monkeypatch.setattr(Retriever, "load", older)
    with pytest.raises(TansError, match="joined the zoo"):
        plane_of(small_zoo, lambda _: pytest.fail("it was laid out"))
