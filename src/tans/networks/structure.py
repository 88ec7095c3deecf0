"""What a network of any family is built of, as one vector of the same numbers.

The paper's topology vector tells slices of one supernet apart and is of that family alone. This one
is of any network: seen in one forward pass on the meta device, which computes nothing. So it is the
same for the same network whatever library builds it, and however its modules are named.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tans.errors import InputError
from tans.networks.family import UNFIT, Family, Whole, build, describe, get_family
from tans.types import NetworkRef

STRIDES = (2, 4, 8, 16, 32)
"""Pixels of an image that are one place of a map, for a side: what tells stages apart."""
KINDS = ("dense", "pointwise", "depthwise", "grouped", "linear", "attention")
"""Of operators that multiply. A linear layer on each of several places or tokens is a pointwise
convolution, and one of a single place, as after pooling, is linear, whatever either is called.
Attention multiplies no weights."""
NORMS: Mapping[str, str] = {
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training"), "batch"),
    "native_layer_norm": "layer",
    "native_group_norm": "group",
}
"""Kind of norm of torch's operators."""
ACTIVATIONS: Mapping[str, str] = {
    **dict.fromkeys(("relu", "leaky_relu", "prelu", "elu"), "relu"),
    **dict.fromkeys(("hardtanh", "clamp"), "relu6"),
    **dict.fromkeys(("silu", "hardswish", "mish"), "swish"),
    "gelu": "gelu",
}
"""Kind of activation of torch's operators."""
CONVOLUTIONS = ("convolution", "_convolution", "mkldnn_convolution")
PRODUCTS = ("addmm", "mm", "bmm", "baddbmm")
BATCH = 2
"""Images in the pass: what has as many rows depends on them, and is no weight."""

NUMBERS: Mapping[str, str] = {
    "params": "parameters of the body, log10",
    "flops": "multiply-adds for one image, log10",
    "size": "pixels a side of images, log2",
    "layers": "layers with weights, log2",
    "width": "of the features, log2",
    **{f"depth_{s}": f"layers with weights at stride {s}, log2 of one more" for s in STRIDES},
    **{f"width_{s}": "their output channels, mean log2; 0 without layers" for s in STRIDES},
    **{f"flops_{s}": f"multiply-adds at stride {s}, share of all" for s in STRIDES},
    **{kind: f"multiply-adds of {kind} operators, share of all" for kind in KINDS},
    "kernel": "side of kernels of convolutions that see more than one place, mean",
    "kernel_5": "such kernels of side 4 to 6, share",
    "kernel_7": "such kernels of side 7 and more, share",
    "expansion": "output to input channels of pointwise and linear layers, mean of |log2|",
    **{f"norm_{kind}": f"{kind}-norms to a layer with weights" for kind in NORMS.values()},
    **{f"act_{kind}": f"activations like {kind}, likewise" for kind in ACTIVATIONS.values()},
    "gates": "products of a map with a number for each channel, likewise",
    "additions": "sums of two maps, or of as many tokens each, likewise",
    "joins": "maps or tokens set side by side, likewise",
}
"""The numbers of a structure, in order, and what each means."""


@dataclass(frozen=True)
class Operator:
    """Something that multiplies: a layer with weights, or a product in attention."""

    kind: str
    """Of ``KINDS``."""
    taken: int
    """Input channels."""
    given: int
    """Output channels."""
    kernel: int
    """Side, the larger where two differ."""
    places: int
    """Of its output, for one image."""
    flops: int
    """Multiply-adds for one image."""


@dataclass
class Seen:
    """What a forward pass shows."""

    operators: list[Operator] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """Norms, activations, gates, additions and joins, by name of their number."""


@runtime_checkable
class Counting(Family, Protocol):
    """A family that knows what its networks compute without building them."""

    def seen(self, ref: NetworkRef) -> Seen:
        """What a forward pass would show of a network.

        Raises:
            InputError: the family has no such network.
        """
        ...


def structure(ref: NetworkRef) -> tuple[float, ...]:
    """The numbers of ``NUMBERS`` of a network, (len(NUMBERS),).

    Those that cannot be seen are NaN: a graph of ONNX tells its costs alone.

    Raises:
        InputError: there is no such network, or it takes no images of this size.
        MissingExtraError: a library is not installed that builds it.
    """
    return _structure(ref)


@lru_cache(maxsize=2**16)
def _structure(ref: NetworkRef) -> tuple[float, ...]:
    known, size = describe(ref), ref.input.size
    numbers = dict.fromkeys(NUMBERS, math.nan)
    numbers |= {
        "params": math.log10(max(1, known.body_params)),
        "flops": math.log10(max(1, known.body_flops)),
        "size": math.log2(size),
        "width": math.log2(known.width),
    }
    family = get_family(ref.family)
    if isinstance(family, Counting):
        numbers |= _numbers(family.seen(ref), size)
    elif not isinstance(family, Whole):
        numbers |= _numbers(watched(ref), size)
    return tuple(numbers.values())


def watched(ref: NetworkRef) -> Seen:
    """What a forward pass of a network's body on the meta device shows.

    Raises:
        InputError: there is no such network, or it takes no images of this size.
        MissingExtraError: a library is not installed that builds it.
    """
    with torch.device("meta"):
        network = build(ref, 1)
    network.requires_grad_(False).eval()
    size = ref.input.size
    try:
        with torch.no_grad(), _Watch() as watch:
            network.features(torch.empty(BATCH, 3, size, size, device="meta"))
    except UNFIT as error:
        raise InputError(
            f"{ref.name} takes no images of {size} pixels a side ({error}); choose the size that "
            "it was made for"
        ) from error
    return watch.seen


def _numbers(seen: Seen, size: int) -> dict[str, float]:
    layers = [each for each in seen.operators if each.kind != "attention"]
    count, flops = max(1, len(layers)), max(1, sum(each.flops for each in seen.operators))
    found = {"layers": math.log2(count)}
    for stride in STRIDES:
        own = [each for each in layers if _stride(each, size) == stride]
        found[f"depth_{stride}"] = math.log2(1 + len(own))
        found[f"width_{stride}"] = _mean(math.log2(each.given) for each in own)
        at = [each for each in seen.operators if _stride(each, size) == stride]
        found[f"flops_{stride}"] = sum(each.flops for each in at) / flops
    for kind in KINDS:
        found[kind] = sum(each.flops for each in seen.operators if each.kind == kind) / flops
    kernels = [each.kernel for each in layers if each.kernel > 1]
    found["kernel"] = _mean(kernels)
    found["kernel_5"] = _mean(3 < kernel < 7 for kernel in kernels)
    found["kernel_7"] = _mean(kernel >= 7 for kernel in kernels)
    mixing = [each for each in layers if each.kind in ("pointwise", "linear")]
    found["expansion"] = _mean(abs(math.log2(each.given / each.taken)) for each in mixing)
    rest = list(NUMBERS)[list(NUMBERS).index("expansion") + 1 :]
    return found | {name: seen.others[name] / count for name in rest}


def _mean(values: Iterable[float]) -> float:
    """0 where there are none."""
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _stride(operator: Operator, size: int) -> int:
    """The power of two that is nearest; 0 where an image is one place, as where it was pooled."""
    if operator.places == 1:
        return 0
    return 2 ** max(0, min(5, round(math.log2(size / math.sqrt(operator.places)))))


class _Watch(TorchDispatchMode):
    """Takes note of what torch is asked to compute, whatever module asks."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        given = func(*args, **(kwargs or {}))
        name = func._overloadpacket.__name__.removesuffix("_")
        if name in CONVOLUTIONS:
            self.seen.operators.append(_convolution(args, given))
        elif name in PRODUCTS:
            self.seen.operators.append(_product(args[-2:], given))
        elif "scaled_dot_product" in name:
            self.seen.operators.extend(_attention(args))
        elif other := _other(name, args, given):
            self.seen.others[other] += 1
        return given


def _convolution(args: Sequence[Any], given: Tensor) -> Operator:
    images, weight, transposed, groups = args[0], args[1], args[6], args[8]
    kernel, places = max(weight.shape[2:]), math.prod(given.shape[2:])
    kind = kind_of(kernel, groups, images.shape[1], places)
    run = math.prod(images.shape[2:]) if transposed else places
    return Operator(kind, images.shape[1], given.shape[1], kernel, places, weight.numel() * run)


def kind_of(kernel: int, groups: int, taken: int, places: int) -> str:
    """Kind of a convolution.

    Args:
        kernel: its side.
        taken: input channels.
        places: of its output.
    """
    if groups == 1 and kernel == 1:
        return "pointwise" if places > 1 else "linear"
    if groups == 1:
        return "dense"
    return "depthwise" if groups == taken else "grouped"


def _product(factors: Sequence[Tensor], given: Tensor) -> Operator:
    """Of matrices, one of which may be weights: those are the same for all rows of a batch."""
    left, right = factors
    flops = given.numel() * left.shape[-1] // BATCH
    weighs = left.dim() == 2 or 0 in (left.stride(0), right.stride(0))
    places = max(1, given.numel() // given.shape[-1] // BATCH)
    kind = kind_of(1, 1, left.shape[-1], places) if weighs else "attention"
    return Operator(kind, left.shape[-1], given.shape[-1], 1, places, flops)


def _attention(args: Sequence[Any]) -> list[Operator]:
    """Both products of queries, keys and values, (n, heads, tokens, width) each."""
    query, key, value = args[:3]
    heads = math.prod(query.shape[:-2]) // BATCH
    tokens, others = query.shape[-2], key.shape[-2]
    return [
        Operator("attention", taken, given, 1, heads * tokens, heads * tokens * taken * given)
        for taken, given in ((query.shape[-1], others), (others, value.shape[-1]))
    ]


def _other(name: str, args: Sequence[Any], given: Any) -> str | None:
    """Name of the number that an operator counts for; None where it counts for none."""
    if name in NORMS:
        return f"norm_{NORMS[name]}"
    if name in ACTIVATIONS:
        return f"act_{ACTIVATIONS[name]}"
    if name == "cat":
        return "joins" if _is_map(given) else None
    both = [each for each in args[:2] if isinstance(each, Tensor)]
    if len(both) < 2 or not all(map(_is_map, both)):
        return None
    if name == "add":
        return "additions" if both[0].shape == both[1].shape else None
    if name == "mul":
        return "gates" if _gates(*both) or _gates(*both[::-1]) else None
    return None


def _is_map(tensor: Any) -> bool:
    """Whether it is of an image each, (n, channels, h, w) or (n, tokens, width)."""
    return isinstance(tensor, Tensor) and tensor.dim() > 2 and tensor.shape[0] == BATCH


def _gates(numbers: Tensor, maps: Tensor) -> bool:
    """Whether one holds a number for each channel of the other."""
    return (
        numbers.dim() == maps.dim() == 4
        and numbers.shape[1] == maps.shape[1]
        and math.prod(numbers.shape[2:]) == 1 < math.prod(maps.shape[2:])
    )
