import pytest
import torch

from tans.networks.network import Network
from tans.training import (
    accuracy,
    confusion_matrix,
    predict,
)
from tests.training.bars import bars


def test_scores_accuracy_and_confusion_agree(network: Network) -> None:
    task = bars(20)
    images, labels = task.split("train", 32)
    confusion = confusion_matrix(network, images, labels, classes=9)
    assert predict(network, images).shape == (len(images), 9)
    assert confusion.sum() == len(images)
    assert confusion.trace() / len(images) == pytest.approx(accuracy(network, images, labels))
    assert torch.equal(confusion.sum(1)[:2], torch.bincount(labels))
