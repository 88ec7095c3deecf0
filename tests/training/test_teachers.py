import copy
import dataclasses

import pytest
import torch

from tans.errors import InputError
from tans.networks.network import Network
from tans.training import (
    Recipe,
    finetune,
    predict,
)
from tans.types import InputSpec
from tests.training.bars import bars


@pytest.mark.long
def test_teachers_are_followed_beside_the_labels(network: Network) -> None:
    """Teachers that call everything "down" pull a network there, unlabelled images the more."""
    task, recipe = bars(60), Recipe(epochs=4, batch_size=12, augment=0)
    teacher = copy.deepcopy(network)
    teacher.replace_head(2)
    with torch.no_grad():
        teacher.classifier.weight.zero_()
        teacher.classifier.bias.copy_(torch.tensor([-9.0, 9.0]))
    unlabelled = task.split("test", 32)[0]
    alone = finetune(network, task, 32, recipe)
    taught = finetune(network, task, 32, recipe, teachers=[teacher])
    more = finetune(network, task, 32, recipe, teachers=[teacher], unlabelled=unlabelled)
    means = [
        predict(tuned.network, unlabelled).softmax(1)[:, 1].mean()
        for tuned in (alone, taught, more)
    ]
    assert means[0] + 0.1 < means[1] < means[2]


def test_a_teacher_may_take_other_images(network: Network) -> None:
    task, recipe = bars(24), Recipe(epochs=1, batch_size=12)
    teacher = copy.deepcopy(network)
    teacher.ref = dataclasses.replace(
        teacher.ref, input=InputSpec(48, (100.0, 110.0, 120.0), (50.0, 60.0, 70.0))
    )
    teacher.replace_head(2)
    tuned = finetune(network, task, 32, recipe, teachers=[teacher])
    assert tuned.input.size == 32


def test_unlabelled_images_need_teachers(network: Network) -> None:
    with pytest.raises(InputError, match="without teachers"):
        finetune(network, bars(24), 32, unlabelled=torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
