"""The map of the space: networks in a plane, laid out before any dataset comes.

Networks that are alike by their embeddings lie near each other (t-SNE, van der Maaten and Hinton,
2008). A dataset is not laid out anew: its place is the mean of those of the networks most similar
to it, weighted by similarity. So places of networks stay, and a dataset is placed at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tans.errors import TansError
from tans.files import Manifest, cache_dir, read_file, write_file
from tans.meta.retriever import Retriever
from tans.plugins import library
from tans.web.apart import Bounds, Tell, run_apart
from tans.web.service import Service
from tans.zoo.zoo import Zoo

MOST = 3000
"""Networks that are laid out; of more, some evenly."""
NEAREST = 10
"""Networks that a dataset's place comes from."""
SHARPNESS = 0.05
"""Difference of cosines that makes a network weigh a factor of e less."""
PERPLEXITY = 30.0
SECONDS, MEMORY = 900, 2**33

Array = NDArray[np.float32]
logger = logging.getLogger("tans.web")


class PlaneFile(Manifest):
    """Places in a plane as the cache keeps them."""

    ERROR: ClassVar[type[TansError]] = TansError
    REMEDY = "delete it, and it is made again"

    rows: tuple[int, ...]
    """Of the zoo's networks."""
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Plane:
    """Networks in a plane."""

    tasks: tuple[str, ...]
    """Source of each network, (n)."""
    places: Array
    """(n, 2), each coordinate in [0, 1]."""
    embeddings: Array
    """(n, d), of unit length."""

    def sources(self) -> dict[str, Array]:
        """The middle (2,) of each source's networks, by its name: the median of each coordinate."""
        names = np.array(self.tasks)
        return {
            name: np.median(self.places[names == name], axis=0) for name in sorted(set(self.tasks))
        }

    def place(self, query: Array) -> Array:
        """Where a dataset lies, (2,).

        Args:
            query: its embedding (d,).
        """
        similar = self.embeddings @ query  # (n,)
        nearest = np.argsort(-similar, kind="stable")[:NEAREST]
        weights = np.exp((similar[nearest] - similar[nearest[0]]) / SHARPNESS)
        return (weights[:, None] * self.places[nearest]).sum(0) / weights.sum()

    def similar(self, query: Array) -> list[tuple[str, float]]:
        """Sources with the cosine of their most similar network, the most similar first."""
        cosines = self.embeddings @ query  # (n,)
        best: dict[str, float] = {}
        for task, cosine in zip(self.tasks, cosines.tolist(), strict=True):
            best[task] = max(cosine, best.get(task, -1.0))
        return sorted(best.items(), key=lambda pair: -pair[1])


class Planes:
    """The plane of a service's zoo, once it is laid out."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.plane: Plane | None = None
        """None until it is laid out, and where it cannot be."""
        self.told = "The map is being drawn; it will be here in a minute."
        """Why there is none."""
        self.drawing = True
        """Whether it may still come."""

    def start(self) -> None:
        """Read the plane from the cache, or lay it out meanwhile."""
        threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        try:
            self.plane = plane_of(self._service.zoo, self._lay_out)
        except TansError as error:
            self.told = f"There is no map: {self._service.told(str(error))}."
            if not self._service.stopping.is_set():
                logger.warning("no map: %s", error)
        finally:
            self.drawing = False

    def _lay_out(self, zoo: Zoo) -> dict[str, Any]:
        bounds = Bounds(SECONDS, MEMORY, self._service.stopping)
        return run_apart(lay_out, zoo, bounds=bounds)


def plane_of(zoo: Zoo, make: Any) -> Plane:
    """The plane of a zoo, from the cache or made.

    Args:
        make: lays it out.

    Raises:
        TansError: the zoo has no embeddings of all its networks, or it cannot be laid out.
    """
    retriever, columns = Retriever.load(zoo.retrieval), zoo.columns()
    if retriever.networks != columns.digest:
        raise TansError("networks have joined the zoo since 'tans train'; train its retriever anew")
    file = cache_dir("maps") / f"{columns.digest}-{Path(str(retriever.stored)).stem}.json"
    kept = _kept(file)
    if kept is None:
        kept = PlaneFile(**make(zoo))
        write_file(file, kept.to_bytes())
    tasks = tuple(entry.task for entry in columns.entries(np.array(kept.rows)))
    places = np.array(kept.places, dtype=np.float32)
    return Plane(tasks, places, retriever.matrix.numpy()[list(kept.rows)])


def _kept(file: Path) -> PlaneFile | None:
    try:
        return PlaneFile.parse(read_file(file), str(file))
    except (OSError, TansError):
        return None


def lay_out(zoo: Zoo, tell: Tell) -> dict[str, Any]:  # noqa: ARG001
    """Rows of networks and their places, as ``PlaneFile`` has them.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    manifold = library("sklearn.manifold", "web")
    matrix = Retriever.load(zoo.retrieval).matrix.numpy()  # (N, d)
    rows = np.unique(np.linspace(0, len(matrix) - 1, min(MOST, len(matrix))).astype(int))
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    # of unit length: Euclidean neighbours are neighbours by cosine
    plane = manifold.TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(
        matrix[rows]
    )
    return {"rows": rows.tolist(), "places": _scaled(plane).round(4).tolist()}


def _scaled(plane: Array) -> Array:
    """Places (n, 2) with each coordinate in [0, 1]."""
    low, high = plane.min(0), plane.max(0)
    return (plane - low) / np.maximum(high - low, 1e-9)


def in_words(similar: Sequence[tuple[str, float]], count: int = 3) -> str:
    """What the map says, in a sentence."""
    names = [f"{name} ({cosine:.2f})" for name, cosine in similar[:count]]
    if not names:
        return "No source is on the map."
    return f"Your dataset lies nearest to {', then '.join(names)}, by the cosine of embeddings."
