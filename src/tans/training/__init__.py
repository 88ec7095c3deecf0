"""Train networks on images.

Fine-tuning follows the paper's settings (section 4.1 and its released recipe): SGD with momentum,
weight decay, one cosine decay over the whole run, a new linear head. The head reads the pooled
features of all stages, and starts from the solution for frozen features rather than at random.
Where classes are uneven, images of rare ones count more. Weights are averaged over the last steps:
to keep the best of many epochs by few validation images is to keep the luckiest. Gradients are cut
to a length: the first ones of some networks, and of most at many pixels, would undo all learnt.
"""

from tans.training.finetuning import Epoch, FineTuned, finetune
from tans.training.head import HEAD_LENGTH, UNEVEN, adapted_features, class_weights, fit_head, probe
from tans.training.loop import Checkpoint, EpochListener, Loop, augment, digest_of, sgd
from tans.training.prediction import (
    accuracy,
    confusion_matrix,
    predict,
    scores_and_lengths,
)
from tans.training.recipe import (
    ALIKE,
    HEAD_IMAGES,
    NORM_IMAGES,
    PASSES,
    PUBLISHED,
    RECIPE,
    STEPS,
    Recipe,
)

__all__ = [
    "ALIKE",
    "HEAD_IMAGES",
    "HEAD_LENGTH",
    "NORM_IMAGES",
    "PASSES",
    "PUBLISHED",
    "RECIPE",
    "STEPS",
    "UNEVEN",
    "Checkpoint",
    "Epoch",
    "EpochListener",
    "FineTuned",
    "Loop",
    "Recipe",
    "accuracy",
    "adapted_features",
    "augment",
    "class_weights",
    "confusion_matrix",
    "digest_of",
    "finetune",
    "fit_head",
    "predict",
    "probe",
    "scores_and_lengths",
    "sgd",
]
