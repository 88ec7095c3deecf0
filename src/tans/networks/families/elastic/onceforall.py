"""Published Once-for-All weights as a supernet of ours.

A file such as ``ofa_mbv3_d234_e346_k357_w1.2``, which the user has or names by its URL, holds one
elastic network. Its tensors are those of our supernet under other names.

Reference: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment,
ICLR 2020; names are those of its package ``ofa`` 0.1 and of its older files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from tans.errors import InputError
from tans.files import cache_dir
from tans.networks.families.elastic.specification import (
    OFA_MBV3,
    OFA_MBV3_WIDE,
    Specification,
    get_space,
)
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.network import HEAD, Weights

LICENCE = "MIT"
"""Of the published weights."""
PUBLISHED = {
    OFA_MBV3.name: "ofa_mbv3_d234_e346_k357_w1.0",
    OFA_MBV3_WIDE.name: "ofa_mbv3_d234_e346_k357_w1.2",
}
"""By name of a space, the file that its authors publish."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels x in [0, 1]: published weights take (x - MEAN) / DEVIATION."""

THEIRS = (
    ("stem.", "first_conv."),
    ("tail.", "final_expand_layer."),
    ("mix.", "feature_mix_layer.conv."),
    ("classifier.", "classifier.linear."),
    ("first.", "blocks.0."),
    ("depthwise.transform5", "depth_conv.conv.7to5_matrix"),
    ("depthwise.transform3", "depth_conv.conv.5to3_matrix"),
    ("depthwise.", "depth_conv."),
    ("excite.", "depth_conv.se.fc."),
    ("expand.conv.", "inverted_bottleneck.conv."),
    ("expand.norm.", "inverted_bottleneck.bn."),
    ("project.", "point_linear."),
    (".norm.", ".bn."),
)
"""Parts of our names, and what stands there in theirs."""


def once_for_all(
    source: str | Path, space: str, *, size: int = 224, folded: bool = True
) -> Supernet:
    """A supernet with published weights, in evaluation mode.

    Its running statistics are those of the file, where all subnets left theirs mixed; its authors
    too take new ones for a subnet (``tans.networks.batchnorm.recalibrate``).

    Args:
        source: a file, or a URL, which is fetched once and kept in the user's cache.
        space: ``ofa-mbv3`` or ``ofa-mbv3-1.2``, as the file is.
        size: pixels a side of the images it takes.
        folded: take images as the other elastic networks do; otherwise as the authors do.

    Raises:
        InputError: there is no such file, it holds something else, or it is of another space.
    """
    specification = get_space(space)
    if space not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        raise InputError(f"no Once-for-All weights are of space {space!r}; expected one of {known}")
    state = convert(read_weights(source), specification)
    supernet = Supernet(specification, classes=len(state[f"{HEAD}bias"]), size=size)
    supernet.full.load_weights(with_our_images(state) if folded else state)
    return supernet.eval()


def read_weights(source: str | Path) -> Weights:
    """The tensors of a file or URL, by their names there; nothing but tensors is unpickled.

    Raises:
        InputError: there is no such file, it cannot be fetched, or it holds something else.
    """
    fetched = "://" in str(source)
    try:
        file = _fetch(str(source)) if fetched else Path(source)
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, HTTPException) as error:
        raise InputError(
            f"no weights can be read from {source} ({error}); expected a file or a URL of one"
        ) from error
    except Exception as error:  # what other bytes unpickle to fails in any way
        if fetched:
            file.unlink()
        raise InputError(f"{source} is not a file that torch.save wrote; {_expected()}") from error
    state = held.get("state_dict", held) if isinstance(held, dict) else {}
    if not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise InputError(f"{source} holds no state dict; {_expected()}")
    return state


def convert(theirs: Mapping[str, Tensor], space: Specification) -> Weights:
    """Published tensors under the names of ``Supernet(space, classes).full``.

    Raises:
        InputError: a tensor is missing, too many, or of another shape, as those of another width
            are.
    """
    plain = {_plain(name): tensor for name, tensor in theirs.items()}
    misfit = _misfit(plain, space)
    if misfit is not None:
        others = [get_space(name) for name in PUBLISHED if name != space.name]
        fitting = [other.name for other in others if _misfit(plain, other) is None]
        advice = f"they are of space {fitting[0]!r}" if fitting else _expected(space.name)
        raise InputError(f"the weights do not fit {space.name!r}: {misfit}; {advice}")
    return {
        ours: plain[name].reshape(shape) if name in plain else torch.zeros(shape, dtype=torch.int64)
        for ours, (name, shape) in _wanted(space, _classes(plain)).items()
    }


def with_our_images(state: Weights) -> Weights:
    """The same network for images normalised to x = (pixel - 127) / 128.

    The authors' input is a x + b, with a and b of each channel. The first convolution takes a in,
    and the mean of its batch-norm takes in what b adds, so that taking new statistics does no
    harm. The outermost pixels differ: zeros are padded around x, not around a x + b.
    """
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    scale, shift = 128 / 255 / deviation, (127 / 255 - mean) / deviation  # (3,)
    weight = state["stem.conv.weight"]  # (c, 3, 3, 3)
    added = torch.einsum("oihw,i->o", weight, shift)  # (c,)
    return {
        **state,
        "stem.conv.weight": weight * scale.view(1, 3, 1, 1),
        "stem.norm.running_mean": state["stem.norm.running_mean"] - added,
    }


def _fetch(url: str) -> Path:
    file = cache_dir("weights") / sha256(url.encode()).hexdigest()
    if not file.exists():
        torch.hub.download_url_to_file(url, str(file), progress=False)
    return file


def _plain(name: str) -> str:
    """Their name without what elastic layers and older files wrap around."""
    name = re.sub(r"^(blocks\.\d+)\.(mobile_inverted_conv|conv)\.", r"\1.", name)
    return re.sub(r"\.(conv|bn|linear)\.\1\.", r".\1.", name)


def _theirs(ours: str, space: Specification) -> str:
    stage = re.match(r"stages\.(\d+)\.(\d+)\.", ours)
    if stage:
        number, layer = map(int, stage.groups())
        slot = [(slot.stage, slot.place) for slot in space.slots].index((number, layer))
        ours = f"blocks.{1 + slot}.{ours[stage.end() :]}"
    for part, their in THEIRS:
        ours = ours.replace(part, their)
    return ours


@lru_cache(maxsize=8)
def _wanted(space: Specification, classes: int) -> dict[str, tuple[str, torch.Size]]:
    """By our name, theirs and the shape."""
    with torch.device("meta"):
        weights = Supernet(space, classes, size=224).full.weights()
    return {name: (_theirs(name, space), tensor.shape) for name, tensor in weights.items()}


def _classes(plain: Mapping[str, Tensor]) -> int:
    bias = plain.get("classifier.linear.bias")
    return 1000 if bias is None else bias.numel()


def _misfit(plain: Mapping[str, Tensor], space: Specification) -> str | None:
    """The first thing that keeps tensors from being a supernet's; None if nothing does."""
    wanted = dict(_wanted(space, _classes(plain)).values())
    # files from before PyTorch 0.4.1 do not count batches
    lost = [n for n in wanted if n not in plain and not n.endswith("num_batches_tracked")]
    if lost:
        return f"{len(lost)} tensors are missing, such as {lost[0]}"
    extra = [name for name in plain if name not in wanted]
    if extra:
        return f"{len(extra)} tensors are too many, such as {extra[0]}"
    for name, tensor in plain.items():
        # the map after pooling is a 1 x 1 convolution there, a linear one here
        shape = tensor.shape[:2] if name.startswith("feature_mix_layer") else tensor.shape
        if shape != wanted[name]:
            return f"{name} is {tuple(shape)}, expected {tuple(wanted[name])}"
    return None


def _expected(space: str | None = None) -> str:
    return f"expected {PUBLISHED[space] if space else ' or '.join(PUBLISHED.values())}"
