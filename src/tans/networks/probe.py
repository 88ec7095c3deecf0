"""What frozen features say of a task, without training a network.

References:
    You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021.
    Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution,
    ICLR 2022 (a fitted head to fine-tune from).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tans.errors import InputError
from tans.networks.device import moved

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Ridge penalties that are tried, as multiples of the features' mean squared length."""
VARIES = 1e-6
ROUNDS = 30
"""Of the fixed-point iteration for the two precisions of a label's evidence."""
HEAD_PENALTY = 0.1
"""Weight of the squared length of a head's weights, against the mean loss of an image."""
HISTORY, LEAST_HISTORY = 100, 5
"""Steps that the fit of a head looks back on, at most, and at least."""
HISTORY_BYTES = 2**29
"""That these steps may take, which they do from some hundred classes on."""
HEAD_STEPS = 60
LEAST_SPREAD = 0.1
"""Of a feature that a head is fitted to, as a share of the mean; what varies less counts less."""


def standards(features: Tensor, blocks: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """What to subtract from features and then to divide by, (f,) each.

    All blocks then have the same mean square, so that a wide one does not outweigh the others; the
    mean square of all together is 1.

    Args:
        features: float (n, f), of any network.
        blocks: widths of what stands side by side in them; all is one block when None.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0)  # (f,)
    # what hardly varies would get weights that the first training step blows up
    deviation = deviation.clamp_min(max(VARIES, LEAST_SPREAD * float(deviation.mean())))
    if blocks is None:
        return mean, deviation
    widths = torch.tensor(blocks)
    longer = (widths * len(widths) / features.shape[1]).sqrt()  # (blocks,)
    return mean, deviation * moved(longer.repeat_interleave(widths), features.device).to(deviation)


@torch.no_grad()
def probe_accuracy(
    features: Tensor, labels: Tensor, folds: Tensor, blocks: Sequence[int] | None = None
) -> float:
    """Cross-validated accuracy of a ridge classifier, in [0, 1], at its best penalty.

    Solved in closed form over images rather than features, so hundreds of images take
    milliseconds at any width.

    Args:
        features: float (n, f), of any network.
        labels: int64 (n,).
        folds: int64 (n,); each fold is judged by a classifier fitted to the others.
        blocks: as ``standards`` takes them.

    Raises:
        InputError: the lengths differ, or there is one fold only.
    """
    if not len(features) == len(labels) == len(folds):
        raise InputError(
            f"{len(features)} features, {len(labels)} labels and {len(folds)} folds; "
            "expected one of each for every image"
        )
    if len(folds.unique()) < 2:
        raise InputError("the images lie in one fold; expected at least two, to judge by another")
    kernel = ridge_kernel(features, blocks)  # (n, n)
    right = sum(
        ridge_right(kernel, labels, folds != fold, folds == fold).sum(1)
        for fold in folds.unique().tolist()
    )  # (s,)
    return float(torch.as_tensor(right).max() / len(labels))


@torch.no_grad()
def ridge_kernel(features: Tensor, blocks: Sequence[int] | None = None) -> Tensor:
    """Inner products of standardised features, float64 (n, n), of mean diagonal 1.

    Args:
        features: float (n, f), of any network.
        blocks: as ``standards`` takes them.
    """
    features = features.double()
    if blocks is None:  # each feature counts alike here, however little it varies
        deviation = features.std(0, correction=0)
        standard = (features - features.mean(0)) / deviation.clamp_min(VARIES)  # (n, f)
    else:
        mean, deviation = standards(features, blocks)
        standard = (features - mean) / deviation  # (n, f)
    kernel = standard @ standard.T
    return kernel / kernel.diagonal().mean().clamp_min(VARIES)


@torch.no_grad()
def ridge_right(kernel: Tensor, labels: Tensor, fitted: Tensor, judged: Tensor) -> Tensor:
    """Whether a ridge classifier fitted to some images is right about others.

    Returns:
        bool (s, k), for each of ``STRENGTHS`` and each image that is judged.

    Args:
        kernel: of all images, float64 (n, n), as ``ridge_kernel`` makes it.
        labels: int64 (n,).
        fitted: rows to fit to, int64 (m,), or bool (n,).
        judged: rows to judge, int64 (k,), or bool (n,).
    """
    targets = torch.nn.functional.one_hot(labels).double()[fitted]  # (m, c)
    mean = targets.mean(0)  # (c,)
    values, vectors = torch.linalg.eigh(kernel[fitted][:, fitted])  # (m,), (m, m)
    rotated = vectors.T @ (targets - mean)  # (m, c)
    across = kernel[judged][:, fitted] @ vectors  # (k, m)
    strengths = torch.tensor(STRENGTHS, device=kernel.device)
    inverse = 1 / (values.clamp_min(0)[None] + strengths[:, None])  # (s, m)
    scores = across @ (inverse[..., None] * rotated) + mean  # (s, k, c)
    return scores.argmax(2) == labels[judged]


def linear_head(
    features: Tensor,
    labels: Tensor,
    classes: int,
    class_weights: Tensor | None = None,
    blocks: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Logistic regression on frozen features: weights (classes, f) and biases (classes,).

    Args:
        features: float (n, f), of any network.
        labels: int64 (n,), below ``classes``.
        classes: outputs, also where no image is of one.
        class_weights: float (classes,), how much an image of each class counts; else all alike.
        blocks: as ``standards`` takes them.
    """
    mean, deviation = standards(features, blocks)
    standard = ((features - mean) / deviation).double()  # (n, f)
    if blocks is not None and len(standard) < standard.shape[1]:
        # the weights lie in what the images span, which is far less than what deep heads read
        u, s, v = torch.linalg.svd(standard, full_matrices=False)  # (n, n), (n,), (n, f)
        inner, bias = _logistic(u * s, labels, classes, class_weights)
        weight = inner @ v
    else:
        weight, bias = _logistic(standard, labels, classes, class_weights)
    scaled = weight / deviation
    return scaled.float(), (bias - scaled @ mean.double()).float()


def _logistic(
    standard: Tensor, labels: Tensor, classes: int, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """On features (n, f), float64, of mean 0 and mean square 1."""
    weight = standard.new_zeros(classes, standard.shape[1]).requires_grad_()
    bias = standard.new_zeros(classes).requires_grad_()
    steps_kept = HISTORY_BYTES // (2 * (weight.nbytes + bias.nbytes))
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=HEAD_STEPS,
        history_size=min(HISTORY, max(LEAST_HISTORY, steps_kept)),
        line_search_fn="strong_wolfe",
    )

    counts = None if class_weights is None else class_weights.double()  # (classes,)

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(standard @ weight.T + bias, labels, counts)
        value = value + HEAD_PENALTY / 2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weight.detach(), bias.detach()


@torch.no_grad()
def logme(features: Tensor, labels: Tensor) -> float:
    """Mean log evidence of a label under Bayesian linear regression of each class (LogME).

    Args:
        features: float (n, f), of any network.
        labels: int64 (n,).
    """
    x = features.double()
    n, width = x.shape
    u, s, _ = torch.linalg.svd(x, full_matrices=False)  # (n, k), (k,)
    squares = s.square()[:, None]  # (k, 1)
    y = torch.nn.functional.one_hot(labels).double()  # (n, c)
    along = (u.T @ y).square()  # (k, c)
    beyond = (y.square().sum(0) - along.sum(0)).clamp_min(0)  # (c,)
    alpha, beta = y.new_ones(2, y.shape[1])  # (c,) each
    for _ in range(ROUNDS):
        ratio = alpha / beta  # (c,)
        gamma = (squares / (squares + ratio)).sum(0)
        weights = (squares * along / (squares + ratio).square()).sum(0)
        residual = (along * (ratio / (squares + ratio)).square()).sum(0) + beyond
        alpha = gamma / weights.clamp_min(VARIES)
        beta = (n - gamma) / residual.clamp_min(VARIES)
    ratio = alpha / beta
    weights = (squares * along / (squares + ratio).square()).sum(0)
    residual = (along * (ratio / (squares + ratio)).square()).sum(0) + beyond
    determinant = (beta * squares + alpha).log().sum(0) + (width - len(s)) * alpha.log()
    evidence = (
        width * alpha.log()
        + n * beta.log()
        - determinant
        - beta * residual
        - alpha * weights
        - n * torch.tensor(2 * torch.pi).log().item()
    ) / 2
    return float((evidence / n).mean())
