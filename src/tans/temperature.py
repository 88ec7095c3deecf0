"""Make a network's probabilities keep what they promise: one temperature, from held-out images.

References:
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    Platt, Probabilistic Outputs for Support Vector Machines, 1999 (targets short of 0 and 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.1, 10.0
"""Temperatures that are tried."""
LEAST_IMAGES = 30
"""Validation images below which a temperature would be guesswork: then there is none."""
BINS = 10
"""Parts of the images by which probabilities and accuracies are compared."""


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it did to the probabilities of the test images."""

    temperature: float = 1.0
    """That scores are divided by; 1 leaves them as they are."""
    images: int = 0
    """Validation images that it was fitted to; 0 where there were too few."""
    error: float = math.nan
    """Expected difference of probability and accuracy on the test images before, in [0, 1]."""
    calibrated_error: float = math.nan
    """The same afterwards."""
    log_loss: float = math.nan
    """Mean negative log-likelihood of the test labels before."""
    calibrated_log_loss: float = math.nan
    """The same afterwards."""

    def words(self) -> str:
        """What was done, in a sentence."""
        if not self.images:
            return "Probabilities are not calibrated: there are too few validation images."
        said = f"Probabilities are calibrated (temperature {self.temperature:.2f})"
        if math.isnan(self.error):
            return f"{said}."
        return (
            f"{said}: on the test images they are off by {100 * self.calibrated_error:.1f} points "
            f"on average, without it by {100 * self.error:.1f}."
        )


def calibrate(
    val_scores: Tensor, val_labels: Tensor, test_scores: Tensor, test_labels: Tensor
) -> Calibration:
    """Fit a temperature to validation scores (n, classes), and see what it does on test images.

    Args:
        val_labels: int64 (n,); likewise ``test_labels``.
    """
    if len(val_labels) < LEAST_IMAGES:
        return Calibration()
    temperature = fit_temperature(val_scores, val_labels)
    if not len(test_labels):
        return Calibration(temperature, len(val_labels))
    return Calibration(
        temperature,
        len(val_labels),
        calibration_error(test_scores, test_labels),
        calibration_error(test_scores / temperature, test_labels),
        F.cross_entropy(test_scores, test_labels).item(),
        F.cross_entropy(test_scores / temperature, test_labels).item(),
    )


def fit_temperature(scores: Tensor, labels: Tensor) -> float:
    """The temperature under which scores (n, classes) make labels (n,) likeliest.

    Labels count a little less than for certain, so that a few images that are all classified
    rightly do not make the network wholly sure.
    """
    from scipy.optimize import minimize_scalar  # takes a fifth of a second

    doubt = 1 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        cooled = scores.double() / math.exp(log_temperature)
        return F.cross_entropy(cooled, labels, label_smoothing=doubt).item()

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def calibration_error(scores: Tensor, labels: Tensor) -> float:
    """Mean difference of probability and accuracy, in [0, 1], over tenths of the images.

    Args:
        scores: float (n, classes).
        labels: int64 (n,).
    """
    likeliest = scores.softmax(1).max(1)
    order = likeliest.values.argsort()
    right = (likeliest.indices == labels)[order].float()
    gaps = [
        (part.mean() - hits.mean()).abs() * len(part)
        for part, hits in zip(
            likeliest.values[order].tensor_split(BINS), right.tensor_split(BINS), strict=True
        )
        if len(part)
    ]
    return (torch.stack(gaps).sum() / len(labels)).item()
