"""Query encoder E_Q and model encoder E_M (TANS, Jeong et al., NeurIPS 2021, section 3.2).

A set of images enters through a fixed, permutation-invariant summary, and a network through the
numbers stored with it. Both are fixed before the first step, so training touches only what comes
after: ``prepare`` is the part without parameters, ``embed`` the part that learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.device import moved

_CONSTANT = 1e-6


class Standardiser(nn.Module):
    """Per-dimension standardisation, each part of the input scaled to about unit length.

    Before ``fit`` it changes nothing. A dimension that does not vary becomes zero.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, rows: Tensor, widths: Sequence[int]) -> None:
        """Take the statistics of rows (n, width); ``widths`` of the parts sum to width.

        What is NaN does not count.
        """
        mean, deviation = _statistics(rows)  # (width,)
        length = torch.cat([torch.full((w,), float(w)).sqrt() for w in widths])  # (width,)
        varies = deviation > _CONSTANT
        self.shift.copy_(mean)
        self.scale.copy_(torch.where(varies, 1 / (deviation.clamp_min(_CONSTANT) * length), 0.0))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, width), standardised."""
        return (rows - self.shift) * self.scale


class Reduction(nn.Module):
    """A fixed projection on the principal components of the zoo's image features.

    It commutes with means, and makes all that is learnt after it small.
    """

    centre: Tensor
    basis: Tensor

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        # no torch.eye, which on the meta device imports a compiler for a second and a half
        self.register_buffer("basis", torch.zeros(features, components).fill_diagonal_(1))

    def fit(self, rows: Tensor) -> None:
        """Take the leading components of rows (n, features); missing ones stay zero."""
        self.centre.copy_(rows.mean(0))
        centred = rows - self.centre
        _, vectors = torch.linalg.eigh(centred.T @ centred)  # (features, features), ascending
        found = vectors.flip(1)[:, : self.basis.shape[1]]  # (features, components at most)
        self.basis.zero_()[:, : found.shape[1]] = found

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, features) as (n, components)."""
        return (rows - self.centre) @ self.basis


class AttentionPool(nn.Module):
    """Learned queries, each a softmax-weighted mean over a set (Set Transformer, Lee et al. 2019).

    Keys and values are the set's own rows: a linear map of either can be learnt in the query, or
    after the pooling.
    """

    def __init__(self, width: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width))

    def forward(self, sets: Tensor) -> Tensor:
        """Pooled (b, queries * width) from sets (b, m, width); a row of NaN is no image."""
        absent = sets[..., :1].isnan()  # (b, m, 1)
        rows = sets.nan_to_num()
        weights = (rows @ self.queries.T).masked_fill(absent, -torch.inf).softmax(1)  # (b, m, h)
        return (weights.mT @ rows).flatten(1)


class QueryEncoder(nn.Module):
    """From a set of image features to a query embedding of unit length.

    ``mean`` pools as the paper does (a linear map commutes with the mean, so the mean comes
    first); ``classes`` reads the mean of the class means, their spread, and the spread within
    classes, each class counting alike; ``attention`` learns which images to read.
    """

    def __init__(
        self,
        features: int,
        dim: int,
        pooling: str = "mean",
        hidden: int = 0,
        components: int = 0,
        attention_queries: int = 4,
    ) -> None:
        super().__init__()
        width = components or features
        self.features = features
        self.pooling = pooling
        self.widths = (width,) * (3 if pooling == "classes" else 1)
        self.reduction = Reduction(features, components) if components else None
        self.standardise = Standardiser(sum(self.widths))
        attends = pooling == "attention"
        self.pool = AttentionPool(width, attention_queries) if attends else nn.Identity()
        self.project = _projection(
            sum(self.widths) * (attention_queries if attends else 1), dim, hidden
        )

    def fit_reduction(self, features: Tensor) -> None:
        """Take the principal components of image features (n, features), if it has any."""
        if self.reduction is not None:
            self.reduction.fit(features)

    def summarise(self, features: Tensor, labels: Tensor, subsets: Tensor | None = None) -> Tensor:
        """Summaries (b, w) of subsets of one task's images, or the sets (b, m, w) themselves.

        Attention reads sets; there a row of NaN fills up a subset smaller than the largest.

        Args:
            features: (n, features), one row an image.
            labels: int64 (n,).
            subsets: bool (b, n), none of them empty; all images when None.

        Raises:
            InputError: the features are not of the expected shape, or not finite.
        """
        self._check(features, labels)
        if self.reduction is not None:
            features = self.reduction(features)  # (n, components)
        if subsets is None:
            subsets = torch.ones(1, len(features), dtype=torch.bool)
        if self.pooling == "attention":
            return _sets(features, subsets)
        weights = subsets.to(features.dtype)  # (b, n)
        if self.pooling == "mean":
            return weights @ features / weights.sum(1, keepdim=True)
        return _class_summary(features, labels, weights)

    def prepare(self, summaries: Tensor) -> Tensor:
        """Standardised summaries (b, w), or sets (b, m, w)."""
        return self.standardise(summaries)

    def embed(self, prepared: Tensor) -> Tensor:
        """Embeddings (b, d) of unit length from what ``prepare`` gave."""
        return F.normalize(self.project(self.pool(prepared)), dim=1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Embedding (d,) of the images' features (n, features) with labels (n,)."""
        return self.embed(self.prepare(self.summarise(features, labels)))[0]

    def _check(self, features: Tensor, labels: Tensor) -> None:
        if features.ndim != 2 or features.shape[1] != self.features or not len(features):
            raise InputError(
                f"query features have shape {tuple(features.shape)}; expected "
                f"(images, {self.features}) with at least one image"
            )
        if labels.shape != features.shape[:1]:
            raise InputError(
                f"{tuple(labels.shape)} labels for {len(features)} images; expected one each"
            )
        if not bool(features.isfinite().all()):
            raise InputError("query features hold NaN or infinity; compute them again")


class ModelEncoder(nn.Module):
    """From what is known of a network, of ``tans.meta.presets.PARTS``, to a unit embedding.

    ``joint`` L2-normalises the parts together, as the published code does; ``separate``
    standardises each with statistics of the zoo, so that none drowns another. What a network
    lacks, a part or a number of one, is NaN, and masked: it counts as the mean of the zoo.
    """

    def __init__(
        self, widths: Mapping[str, int], dim: int, normalisation: str = "joint", hidden: int = 0
    ) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.normalisation = normalisation
        self.standardise = Standardiser(sum(widths.values()))
        self.project = _projection(sum(widths.values()), dim, hidden)

    def concatenate(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The parts it reads, side by side: (n, w) from a mapping of name to (n, part).

        A part of no width is one that no network has.

        Raises:
            InputError: a part is missing or of another width.
        """
        return torch.cat([_part(parts, name, width) for name, width in self.widths.items()], 1)

    def prepare(self, rows: Tensor) -> Tensor:
        """Normalised inputs (n, w) from concatenated parts (n, w)."""
        if self.normalisation == "joint":
            return F.normalize(rows.nan_to_num(), dim=1)
        return self.standardise(rows).nan_to_num()

    def hide(self, prepared: Tensor, hidden: Tensor) -> Tensor:
        """Prepared rows (n, w) of networks as if they lacked some parts.

        Args:
            hidden: bool (n, parts); may be elsewhere.
        """
        widths = torch.tensor(list(self.widths.values()))
        return prepared.masked_fill(
            moved(hidden.repeat_interleave(widths, 1), prepared.device), 0.0
        )

    def embed(self, prepared: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length from prepared rows (n, w)."""
        return F.normalize(self.project(prepared), dim=1)

    def forward(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Embeddings (n, d) of networks given as a mapping of part to (n, width)."""
        return self.embed(self.prepare(self.concatenate(parts)))


def _statistics(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Means and deviations (width,) of rows (n, width); of NaN, 0."""
    known = ~rows.isnan()
    if bool(known.all()):
        return rows.mean(0), rows.std(0, correction=0)
    mean = rows.nanmean(0).nan_to_num()
    return mean, (rows - mean).square().nanmean(0).nan_to_num().sqrt()


def _part(parts: Mapping[str, Tensor], name: str, width: int) -> Tensor:
    """One part (n, width), of NaN where no network has it."""
    shape = tuple(parts[name].shape) if name in parts else None
    if shape is None or len(shape) != 2 or shape[1] not in (0, width):
        raise InputError(f"model part {name!r} has shape {shape}; expected (models, {width})")
    if shape[1] == 0:
        return parts[name].new_full((shape[0], width), torch.nan, dtype=torch.float32)
    return parts[name].float()


def _projection(width: int, dim: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dim)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, dim))


def _sets(features: Tensor, subsets: Tensor) -> Tensor:
    """The subsets' images (b, m, w), m of the largest; a row of NaN where there is none."""
    members_first = (~subsets).int().argsort(dim=1, stable=True)  # (b, n)
    sizes = subsets.sum(1)  # (b,)
    largest = int(sizes.max())
    absent = torch.arange(largest) >= sizes[:, None]  # (b, m)
    return features[members_first[:, :largest]].masked_fill(absent[..., None], torch.nan)


def _class_summary(features: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """[mean of class means, spread between, spread within] (b, 3f) for image weights (b, n)."""
    classes, index = labels.unique(return_inverse=True)
    one_hot = F.one_hot(index, len(classes)).to(features.dtype)  # (n, c)
    members = weights[:, None, :] * one_hot.T  # (b, c, n)
    counts = members.sum(2, keepdim=True)  # (b, c, 1)
    present = (counts > 0).to(features.dtype)
    share = present / present.sum(1, keepdim=True)  # (b, c, 1)
    # centred first, because a variance taken as a difference of squares loses digits
    centre = features.mean(0)
    centred = features - centre  # (n, f)
    means = members @ centred / counts.clamp_min(1)  # (b, c, f)
    squares = members @ centred.square() / counts.clamp_min(1)  # (b, c, f)
    mean = (share * means).sum(1)  # (b, f)
    between = (share * (means - mean[:, None]).square()).sum(1)  # (b, f)
    within = (share * (squares - means.square()).clamp_min(0)).sum(1)  # (b, f)
    return torch.cat([mean + centre, between.sqrt(), within.sqrt()], 1)
