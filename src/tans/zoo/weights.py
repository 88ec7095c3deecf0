"""Weights small enough to ship: 4-bit differences from a shared base, or 16 bits whole; or exact.

A difference is stored as steps of one scale per output channel, two steps a byte. No weight is
off by more than half a step: the scale may let the largest weights saturate, but by less than that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tans.errors import InputError, ZooError
from tans.networks.batchnorm import recalibrate
from tans.networks.family import Elastic, Family, get_family
from tans.networks.network import HEAD, Network, Weights, allocated
from tans.types import NetworkRef

STEPS, SCALE = ":steps", ":scale"
"""Endings of the two tensors that hold one quantised tensor."""
LEVELS = 7
"""Steps go from -LEVELS to LEVELS."""
DIVISORS = (5.9, 6.3, 6.6, 6.8, 7.0, 7.15, 7.3, 7.4, 7.49)
"""Candidate scales are a channel's largest difference over these.

Below LEVELS + 1/2, so that the largest difference too is met within half a step.
"""
LONGEST = 300
"""Characters of a message of torch that are passed on."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
RESTORE = "run 'tans zoo verify', then restore it from a copy or build the zoo again"


def pack_difference(state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> Weights:
    """Store a network as its difference from a base of the same shapes.

    Tensors of two or more dimensions become 4-bit differences; vectors and the classifier, which
    belongs to its task alone, are kept as float16 values; batch-norm statistics are left out.

    Args:
        state: names to tensors of any shape.
        base: the same names and shapes; it may lack the classifier.

    Raises:
        ZooError: a value is not finite, or the base does not match.
    """
    packed: Weights = {}
    for name, tensor in state.items():
        if _is_statistic(name):
            continue
        if tensor.dim() < 2 or not tensor.numel() or name.startswith(HEAD):
            packed[name] = to_half(name, tensor)
        else:
            difference = _plain(tensor) - _plain(_of_base(name, tensor.shape, base))
            steps, scale = _quantise(name, difference)
            packed[name + STEPS] = _pack_nibbles(steps)
            packed[name + SCALE] = scale
    return packed


def unpack_difference(packed: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> Weights:
    """Inverse of ``pack_difference``: float32 tensors, without batch-norm statistics.

    Raises:
        ZooError: it was packed against another base, or is damaged.
    """
    state: Weights = {}
    for key, tensor in packed.items():
        if key.endswith(STEPS):
            name = key.removesuffix(STEPS)
            state[name] = _restore(name, packed, base)
        elif not key.endswith(SCALE):
            state[key] = _widen(tensor)
    return state


def pack_whole(state: Mapping[str, Tensor]) -> Weights:
    """Store a network by itself: floating tensors as float16, statistics kept.

    Raises:
        ZooError: a value is not finite or beyond float16.
    """
    return {name: to_half(name, tensor) for name, tensor in state.items()}


def pack_exact(state: Mapping[str, Tensor]) -> Weights:
    """Store a network by itself, as it is; ``unpack_whole`` reads it.

    Raises:
        ZooError: a value is not finite.
    """
    check_finite(state)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def unpack_whole(packed: Mapping[str, Tensor]) -> Weights:
    """Inverse of ``pack_whole``: floating tensors as float32."""
    return {name: _widen(tensor) for name, tensor in packed.items()}


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that no network can compute with.

    Raises:
        ZooError: a value is not finite, or complex.
    """
    for name, tensor in state.items():
        if tensor.is_complex() or not torch.isfinite(tensor).all():
            raise ZooError(f"{name} holds values that are no finite numbers")


def shortened(error: Exception) -> str:
    """What an error says, without the lists that torch adds."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


def has_statistics(state: Mapping[str, Tensor]) -> bool:
    """Whether a state holds the running statistics of batch-norm layers."""
    return any(map(_is_statistic, state))


def has_head(state: Mapping[str, Tensor]) -> bool:
    """Whether a state holds a classifier."""
    return f"{HEAD}bias" in state


def assemble(state: Mapping[str, Tensor], ref: NetworkRef) -> Network:
    """A network with its own of stored weights, in evaluation mode.

    Running statistics that the weights lack are unset: recalibrate before use. Weights without a
    head get a new one of a single class.

    Raises:
        ZooError: the weights are not of this network.
    """
    family = get_family(ref.family)
    network = _unfilled(family, ref, state)
    try:
        own = state if is_own(state, network) else family.select(state, ref)
        missing = network.load_weights(own, strict=False)
    except (RuntimeError, InputError, LookupError, TypeError, ValueError) as error:
        reason = shortened(error)
        raise ZooError(f"the weights do not fit {ref.name}: {reason}; {RESTORE}") from error
    lost = {name for name in missing if not _is_statistic(name)}
    if not has_head(state):
        network.replace_head(1)
        lost -= {f"{HEAD}weight", f"{HEAD}bias"}
    if lost:
        raise ZooError(f"the weights lack {', '.join(sorted(lost)[:3])} of {ref.name}; {RESTORE}")
    return network.eval()


def is_own(state: Mapping[str, Tensor], network: Network) -> bool:
    """Whether a state is that of a network as it is, and no larger one's that it is a slice of."""
    shapes = {name: tensor.shape for name, tensor in network.weights().items()}
    return shapes == {name: tensor.shape for name, tensor in state.items()}


def _unfilled(family: Family, ref: NetworkRef, state: Mapping[str, Tensor]) -> Network:
    """A network whose weights are about to be replaced by those of a state."""
    classes = state[f"{HEAD}bias"].shape[:1].numel() if has_head(state) else 1
    deep = f"{HEAD}scale" in state
    if not isinstance(family, Elastic):
        values, body = sum(t.numel() for t in state.values()), family.describe(ref).body_params
        if body > values:  # before memory is taken for them
            raise ZooError(f"{ref.name} has {body} parameters, its weights {values}; {RESTORE}")
        network = family.build(ref, classes)  # it may hold what no weights name
        if deep:
            network.replace_head(classes, deep=True)
        return network
    with torch.device("meta"):  # no time for random weights
        network = family.build(ref, classes)
        if deep:
            network.replace_head(classes, deep=True)
    return allocated(network)


def calibrated(
    state: Mapping[str, Tensor],
    ref: NetworkRef,
    images: Callable[[], Tensor],
    anew: bool = False,
) -> Network:
    """As ``assemble``, with batch-norm statistics.

    Args:
        images: gives those that statistics are taken from, uint8 (n, 3, r, r), unless the weights
            hold statistics of their own and the network is no slice of a larger one, or it has
            no batch-norm at all.
        anew: take statistics from the images in any case.

    Raises:
        ZooError: the weights are not of this network.
    """
    network, family = assemble(state, ref), get_family(ref.family)
    sliced = isinstance(family, Elastic) and not family.is_largest(ref)
    sliced = sliced and not is_own(state, network)
    normalises = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    if normalises and (anew or sliced or not has_statistics(state)):
        recalibrate(network, images())
    return network


def to_half(name: str, tensor: Tensor) -> Tensor:
    """The tensor as float16; integers as they are.

    Raises:
        ZooError: a value is not finite or beyond float16.
    """
    tensor = tensor.detach().cpu()
    half = tensor.half() if tensor.is_floating_point() else tensor
    if not torch.isfinite(half).all():
        raise ZooError(
            f"{name} holds values that are not finite or beyond 65504; expected finite numbers: "
            "look for a training that diverged and lower its learning rate"
        )
    return half.contiguous()


def to_bytes(tensors: Weights, base: str | None = None) -> bytes:
    """A safetensors file that names its form, and its base when it is a difference.

    The same tensors give the same bytes, which the library alone does not promise of metadata.
    """
    plain = safetensors.torch.save(tensors)
    start = 8 + int.from_bytes(plain[:8], "little")
    metadata = {"form": "whole"} if base is None else {"form": "difference", "base": base}
    header = json.dumps(
        {"__metadata__": metadata, **json.loads(plain[8:start])}, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)  # the format aligns tensors to 8 bytes
    return len(header).to_bytes(8, "little") + header + plain[start:]


def from_bytes(data: bytes) -> tuple[Weights, str | None]:
    """Tensors of a safetensors file, and the hash of its base when it is a difference.

    Raises:
        ZooError: the bytes are no such file.
    """
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise ZooError(f"not a safetensors file ({error}); expected one written by tans") from error
    return tensors, header.get("__metadata__", {}).get("base")


def _is_statistic(name: str) -> bool:
    return name.endswith(STATISTICS)


def _of_base(name: str, shape: torch.Size, base: Mapping[str, Tensor]) -> Tensor:
    if name not in base or base[name].shape != shape:
        found = tuple(base[name].shape) if name in base else "nothing"
        raise ZooError(
            f"{name} is {tuple(shape)} and the base has {found}; expected equal shapes: "
            "store this network whole, or against the base that it was trained from"
        )
    return base[name]


def _quantise(name: str, difference: Tensor) -> tuple[Tensor, Tensor]:
    """Steps in [-LEVELS, LEVELS], shaped as the difference (c, ...), and float16 scales (c,)."""
    rows = difference.flatten(1)  # (c, k)
    divisors = torch.tensor(DIVISORS)[:, None]  # (s, 1)
    candidates = _half_above(rows.abs().amax(1) / divisors)  # (s, c)
    widths = candidates.float().clamp_min(torch.finfo(torch.float16).tiny / 1024)[..., None]
    steps = (rows / widths).round().clamp(-LEVELS, LEVELS)  # (s, c, k)
    best = (steps * widths - rows).square().sum(2).argmin(0)  # (c,)
    channels = torch.arange(len(rows))
    scale = to_half(f"the difference of {name} from its base", candidates[best, channels])
    return steps[best, channels].view_as(difference), scale


def _half_above(values: Tensor) -> Tensor:
    """The least float16 that is not below each value; rounding down could break the half step."""
    half = values.half()
    return (half.view(torch.int16) + (half.float() < values)).view(torch.float16)


def _restore(name: str, stored: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> Tensor:
    origin, scale = base.get(name), stored.get(name + SCALE)
    packed = stored[name + STEPS]
    if (
        origin is None
        or scale is None
        or scale.shape != origin.shape[:1]
        or packed.numel() != (origin.numel() + 1) // 2
    ):
        raise ZooError(
            f"{name} does not fit its base; expected the base that it was stored against: {RESTORE}"
        )
    steps = _unpack_nibbles(packed)[: origin.numel()].view(len(scale), -1)  # (c, k)
    return _plain(origin) + (steps * scale.float()[:, None]).view_as(origin)


def _pack_nibbles(steps: Tensor) -> Tensor:
    """Steps of any shape to ceil(n / 2) bytes."""
    flat = (steps.flatten() + LEVELS + 1).to(torch.uint8)
    flat = torch.nn.functional.pad(flat, (0, flat.numel() % 2))
    return flat[0::2] | flat[1::2] << 4


def _unpack_nibbles(packed: Tensor) -> Tensor:
    """Bytes (b,) to steps, float32 (2 b,)."""
    return torch.stack((packed & 15, packed >> 4), dim=1).flatten().float() - (LEVELS + 1)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu()


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
