"""Image classifiers of Hugging Face's transformers, by type and configuration.

No code that comes with weights is ever run. Reference: Wolf et al., Transformers: State-of-the-Art
Natural Language Processing, EMNLP 2020, https://github.com/huggingface/transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.families.headless import UNUSUAL, Headless, Shape
from tans.networks.families.named import read, written
from tans.networks.family import Description, counted
from tans.networks.network import Network, Weights
from tans.plugins import library
from tans.types import NetworkRef

FOREIGN = frozenset({"timm_wrapper"})
"""Types whose networks are another library's."""
DERIVED = frozenset({"stage_names", "out_features", "out_indices"})
"""What follows from other settings, or is of use to backbones alone."""
MOST_LAYERS, MOST_WIDE = 512, 2**20
"""Of what a configuration may ask for, before anything is built."""
FAILURES = (AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError)
"""What transformers raises of a configuration that makes no network."""


class TransformersFamily:
    """Image classifiers; the name of a network is its type and what its configuration changes.

    As in ``vit {"hidden_size":192}``. Its features are what the last layer reads.
    """

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network with untrained weights.

        Raises:
            InputError: transformers has no such classifier.
            MissingExtraError: transformers is not installed.
        """
        shape = shape_of(ref.name, ref.input.size)
        body = Headless(classifier(ref.name, UNUSUAL), shape.head)
        return Network(ref, body, shape.width, classes, shape.stages)

    def describe(self, ref: NetworkRef) -> Description:
        """What is known of a network, counted once without computing anything.

        Raises:
            InputError: transformers has no such classifier, or it takes no images of this size.
            MissingExtraError: transformers is not installed.
        """
        return _described(ref)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        """All of them: each network is stored on its own."""
        return dict(weights)


TRANSFORMERS = TransformersFamily()


@lru_cache(maxsize=4096)
def _described(ref: NetworkRef) -> Description:
    return counted(TRANSFORMERS, ref)


@lru_cache(maxsize=4096)
def shape_of(name: str, size: int) -> Shape:
    """Seen in a forward pass on the meta device.

    Args:
        size: pixels a side of images.

    Raises:
        InputError: there is no such classifier, or it takes no images of this size.
        MissingExtraError: transformers is not installed.
    """
    with torch.device("meta"):
        network = classifier(name, UNUSUAL).eval()
        try:
            return Shape.seen(network, name, size)
        except FAILURES as error:
            raise InputError(
                f"{name} takes no images of {size} pixels a side: {error}; choose the size that it "
                "was made for"
            ) from error


def name_of(config: Any) -> str:
    """Name of the network of a configuration, of which only what its type knows counts.

    Raises:
        InputError: transformers has no classifier of its type.
    """
    usual, given = _own_fields(config.model_type), config.to_dict()
    changed = {key: given[key] for key in usual if key in given and given[key] != usual[key]}
    return written(config.model_type, changed)


def config_of(name: str, classes: int) -> Any:
    """The configuration of a network of that name.

    Raises:
        InputError: transformers has no such classifier.
        MissingExtraError: transformers is not installed.
    """
    kind, changes = read(name)
    if strange := changes.keys() - _own_fields(kind).keys():
        raise InputError(f"{kind} has no setting {sorted(strange)[0]!r}; expected its own alone")
    for key, number in _numbers(changes):
        if number > (MOST_LAYERS if "layer" in key or "depth" in key else MOST_WIDE):
            raise InputError(f"{kind} with {key} {number} is no network that can be built")
    try:
        return transformers_library().AutoConfig.for_model(kind, num_labels=classes, **changes)
    except FAILURES as error:
        raise InputError(f"{name} cannot be built: {error}") from error


def classifier(name: str, classes: int) -> nn.Module:
    """A whole network with random weights.

    Raises:
        InputError: transformers has no such classifier.
        MissingExtraError: transformers is not installed.
    """
    config = config_of(name, classes)
    try:
        return transformers_library().AutoModelForImageClassification.from_config(
            config, trust_remote_code=False, attn_implementation="eager"
        )
    except FAILURES as error:
        raise InputError(f"{name} cannot be built: {error}") from error


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a configuration, with the names that they stand under."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


@lru_cache(maxsize=256)
def _own_fields(kind: str) -> Mapping[str, Any]:
    """Usual settings of a type that not every one has: what could fetch code is in the others.

    Raises:
        InputError: transformers has no classifier of that type, or one of several configurations.
    """
    transformers = transformers_library()
    types = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if kind not in types or kind in FOREIGN:
        raise InputError(
            f"transformers {transformers.__version__} has no image classifier of type {kind!r}, "
            "and code that comes with weights is not run; expected one such as vit or convnext"
        )
    common = DERIVED.union(transformers.PretrainedConfig().to_dict())
    usual = transformers.AutoConfig.for_model(kind).to_dict()
    own = {key: value for key, value in usual.items() if key not in common}
    if any(isinstance(value, dict) for value in own.values()):
        raise InputError(
            f"a network of type {kind!r} reads text too; expected one that reads images alone"
        )
    return own


def transformers_library() -> ModuleType:
    """Not imported before it is needed: it takes seconds."""
    return library("transformers", "transformers")
