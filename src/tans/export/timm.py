"""A fine-tuned network in a folder that timm opens, and that the Hub takes.

    timm.create_model("local-dir:FOLDER", pretrained=True)

Reference: https://huggingface.co/docs/timm/hf_hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.export.classifier import Classifier
from tans.networks.families.elastic.specification import FAMILY as ELASTIC
from tans.networks.families.elastic.specification import LITE0
from tans.networks.families.timm import timm_library
from tans.networks.network import HEAD, Network, Weights, prepare, without_head
from tans.types import InputSpec

WHOLE = {str(LITE0.largest): "tf_efficientnet_lite0"}
"""By the architecture of a network that is no slice, what timm calls the same."""
OTHERWISE = "export it with --format onnx or --format safetensors"


def save_timm(classifier: Classifier, folder: Path, licence: str) -> None:
    """Write a network to a folder that is there, as timm writes its own.

    Args:
        licence: of the weights, as the Hub names it.

    Raises:
        InputError: timm has no such network, or none with such a head.
        MissingExtraError: timm is not installed.
    """
    network, classes = classifier.network.cpu(), len(classifier.classes)
    name = _name(network)
    settings = {**_settings(network.input), "license": licence}
    model = timm_library().create_model(name, num_classes=classes, pretrained_cfg_overlay=settings)
    model.load_state_dict(_named(network, model))
    config = {"label_names": list(classifier.classes)}
    timm_library().models.save_for_hf(
        model, str(folder), model_config=config, safe_serialization=True
    )


@torch.no_grad()
def run_timm(folder: Path, images: Tensor, classifier: Classifier) -> Tensor:
    """Probabilities (n, classes) that timm gives for images, uint8 (n, 3, r, r), with the
    temperature, which it knows nothing of."""
    model = timm_library().create_model(f"local-dir:{folder}", pretrained=True).eval()
    scores = [model(prepare(part, classifier.network.input)) for part in images.split(64)]
    return (torch.cat(scores) / classifier.temperature).softmax(1)


def _name(network: Network) -> str:
    """What timm calls a network.

    Raises:
        InputError: it has none such.
    """
    ref = network.ref
    name = WHOLE.get(ref.name) if ref.family == ELASTIC else ref.name
    if name is None or ref.family not in (ELASTIC, "timm"):
        raise InputError(f"{ref} is a network that timm does not have; {OTHERWISE}")
    if network.is_deep:
        raise InputError(
            f"the head of {ref} reads all stages, as that of no network of timm does; fine-tune "
            f"with --plain-head, or {OTHERWISE}"
        )
    return name


def _named(network: Network, model: nn.Module) -> Weights:
    """Weights of a network under timm's names.

    Raises:
        InputError: timm's network has more than a linear layer beyond the body.
    """
    weights, theirs = network.weights(), model.state_dict()
    if network.ref.family == ELASTIC:  # they stand in the same order
        return dict(zip(theirs, weights.values(), strict=True))
    body = without_head(weights)
    head = [name for name in theirs if name not in body]
    if sorted(name.rpartition(".")[2] for name in head) != ["bias", "weight"]:
        raise InputError(f"the head of {network.ref} is no linear layer in timm; {OTHERWISE}")
    own = {name: weights[HEAD + name.rpartition(".")[2]] for name in head}
    return {**body, **{name: tensor.reshape(theirs[name].shape) for name, tensor in own.items()}}


def _settings(input: InputSpec) -> dict[str, Any]:
    """How timm is to prepare an image: as tans does."""
    return {
        "tag": "tans",
        "input_size": (3, input.size, input.size),
        "test_input_size": None,
        "pool_size": None,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "test_crop_pct": None,
        "crop_mode": "squash",
        "mean": tuple(value / 255 for value in input.mean),
        "std": tuple(value / 255 for value in input.std),
    }
