"""What all networks have in common, of whatever space: a body that makes features, and a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tans.types import Architecture


class HeadedNetwork(nn.Module):
    """A network of a space; a subclass makes the body, then ``classifier``."""

    architecture: Architecture
    classifier: nn.Linear
    """The head; its inputs are the features."""

    def features(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, features)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (n, 3, r, r) to (n, classes)."""
        return self.classifier(self.features(x))

    def replace_head(self, classes: int, seed: int = 0) -> None:
        """Put a new linear head on, drawn from ``seed``."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = nn.Linear(self.classifier.in_features, classes)
        self.classifier = head.to(self.classifier.weight.device)
