"""A network of any family: a body that makes features of images, and a linear head.

The head reads the pooled features alone, or those of the stages before them too, as in Evci et al.,
Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning, ICML 2022.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.twin import twin
from tans.types import InputSpec, NetworkRef

Weights = dict[str, Tensor]
"""Tensors of a network by name: those of its body as the body names them, and ``HEAD``."""
HEAD = "classifier."
"""Begins the names of a head's weights and biases."""

BATCH, LARGE = 256, 96
"""Images in one batch that is looked at, and pixels a side from which on there are fewer."""
CACHED = 2**18
"""Pixels of one batch on a processor: what a layer makes of more leaves its caches, which takes up
to twice the time."""


def prepare(images: Tensor, input: InputSpec) -> Tensor:
    """What a network takes, float32, of images, uint8 (n, 3, r, r)."""
    mean, std = scale_of(input, images.device)
    return (images.float() - mean) / std  # (n, 3, r, r)


def images_at_once(side: int, where: torch.device | None = None) -> int:
    """Images of so many pixels a side that are looked at in one batch: memory bounds it.

    Args:
        where: the device; None for what must not depend on it, as what is drawn at random.
    """
    pixels = CACHED if where and where.type == "cpu" else BATCH * LARGE**2
    return max(1, min(BATCH, pixels // side**2))


def converted(x: Tensor, given: InputSpec, wanted: InputSpec) -> Tensor:
    """What one network takes, of what another takes, float32 (n, 3, r, r) both."""
    if wanted == given:
        return x
    mean, std = scale_of(given, x.device)
    pixels = x * std + mean
    if wanted.size != given.size:
        side = (wanted.size, wanted.size)
        pixels = F.interpolate(pixels, side, mode="bilinear", antialias=True)
    return prepare(pixels, wanted)


@lru_cache(maxsize=256)
def scale_of(input: InputSpec, where: torch.device) -> Tensor:
    """Mean and deviation of an input on a device, (2, 3, 1, 1); kept, or each batch would wait."""
    with torch.inference_mode(False):
        return torch.tensor([input.mean, input.std], device=where)[..., None, None]


class DeepHead(nn.Linear):
    """A linear head on what several stages give, each of them standardised and of equal weight.

    Args:
        blocks: widths of what stands side by side in the features.
        classes: outputs.
    """

    mean: Tensor
    """Of each feature, (width,); subtracted first."""
    scale: Tensor
    """What the difference is multiplied by, (width,)."""

    def __init__(self, blocks: Sequence[int], classes: int) -> None:
        super().__init__(sum(blocks), classes)
        self.blocks = tuple(blocks)
        self.register_buffer("mean", torch.zeros(self.in_features))
        self.register_buffer("scale", torch.ones(self.in_features))

    def forward(self, features: Tensor) -> Tensor:
        """Class scores (n, classes) of features (n, width)."""
        return super().forward(self.standardised(features))

    def standardised(self, features: Tensor) -> Tensor:
        """What its weights are for, (n, width), of features (n, width)."""
        return (features - self.mean) * self.scale


class Network(nn.Module):
    """A body of some family under a linear head.

    Args:
        ref: what is built.
        body: makes pooled features (n, width) of prepared images (n, 3, r, r).
        width: of the features.
        classes: outputs of the head.
        stages: names of the body's modules that end its stages, from input to output.

    Raises:
        InputError: the body names weights as a head does.
    """

    def __init__(
        self, ref: NetworkRef, body: nn.Module, width: int, classes: int, stages: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.ref, self.width, self.stage_names = ref, width, tuple(stages)
        if any(name.startswith(HEAD) for name, _ in body.named_parameters()):
            raise InputError(f"a body of {ref} names weights {HEAD}*, as those of a head are named")
        self.body = body
        self.classifier = nn.Linear(width, classes)

    @property
    def input(self) -> InputSpec:
        """What images it takes."""
        return self.ref.input

    def features(self, x: Tensor) -> Tensor:
        """Pooled features, (n, 3, r, r) to (n, width)."""
        return self.body(x)

    def stages(self, x: Tensor) -> list[Tensor]:
        """What each stage gives for images (n, 3, r, r): maps (n, channels, height, width)."""
        maps: dict[str, Tensor] = {}

        def keep(name: str, output: Tensor) -> None:
            maps[name] = output.clone()  # what comes next may work in place

        self._watched(x, keep)
        return [maps[name] for name in self.stage_names]

    def _watched(self, x: Tensor, see: Callable[[str, Tensor], None]) -> Tensor:
        """Features (n, width) of images, telling what each stage gives on the way."""
        hooks = [
            self.body.get_submodule(name).register_forward_hook(
                lambda _module, _input, output, name=name: see(name, output)
            )
            for name in self.stage_names
        ]
        try:
            return self.body(x)
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def is_frozen(self) -> bool:
        """Whether its body has nothing that learns: its head alone does."""
        return next(self.body.parameters(), None) is None

    @property
    def is_deep(self) -> bool:
        """Whether the head reads what stages give besides the features."""
        return isinstance(self.classifier, DeepHead)

    def head_features(self, x: Tensor) -> Tensor:
        """What the head reads of images (n, 3, r, r): (n, width of the head).

        Under a deep head these are the mean and the maximum of each channel of each stage, and the
        pooled features, side by side.
        """
        if not self.is_deep:
            return self.features(x)
        return torch.cat([part.float() for part in self.blocks(x)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (n, 3, r, r) to (n, classes)."""
        return self.classifier(self.head_features(x))

    def scores_and_lengths(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores (n, classes) of images (n, 3, r, r), and how long what the head reads is.

        The length (n,) is that of standardised features under a deep head: how far from the usual.
        """
        features, head = self.head_features(x), self.classifier
        read = head.standardised(features) if isinstance(head, DeepHead) else features
        return head(features), read.norm(dim=1)

    def replace_head(self, classes: int, seed: int = 0, deep: bool = False) -> None:
        """Put a new linear head on, drawn from ``seed``.

        Args:
            deep: let it read the stages too, as far as the network has stages with maps.
        """
        where = self.classifier.weight.device
        blocks = self.block_widths() if deep else [self.width]
        with torch.device("meta"):
            head = DeepHead(blocks, classes) if deep else nn.Linear(self.width, classes)
        self.classifier = _drawn(head, seed, where)

    def blocks(self, x: Tensor) -> list[Tensor]:
        """What a deep head reads of images (n, 3, r, r), side by side: (n, width of each) each."""
        pooled: dict[str, tuple[Tensor, Tensor]] = {}

        def pool(name: str, output: Tensor) -> None:  # at once: what comes next may work in place
            pooled[name] = pooled_map(output)

        features = self._watched(x, pool)
        return [*(part for name in self.stage_names for part in pooled[name]), features]

    def block_widths(self) -> list[int]:
        """Of ``blocks``, seen in a forward pass of one image.

        On the meta device the pass would cost more: it imports a compiler.
        """
        seen = type(self)(self.ref, twin(self.body), self.width, 1, self.stage_names).eval()
        side, where = self.input.size, self.classifier.weight.device
        with torch.no_grad():
            return [part.shape[1] for part in seen.blocks(torch.zeros(1, 3, side, side).to(where))]

    def weights(self, keep_vars: bool = False) -> Weights:
        """Its tensors by name, running statistics among them.

        Args:
            keep_vars: give parameters that gradients flow into, else plain tensors.
        """
        body = self.body.state_dict(keep_vars=keep_vars)
        return {**body, **self.classifier.state_dict(prefix=HEAD, keep_vars=keep_vars)}

    def load_weights(self, weights: Mapping[str, Tensor], strict: bool = True) -> list[str]:
        """Take tensors as ``weights`` names them; the names of those that were not given.

        Args:
            strict: refuse weights that lack a tensor of the network, or have one too many.

        Raises:
            RuntimeError: they do not fit.
        """
        head = {k.removeprefix(HEAD): v for k, v in weights.items() if k.startswith(HEAD)}
        body = {k: v for k, v in weights.items() if not k.startswith(HEAD)}
        state = OrderedDict(body)
        # some modules ask which version of theirs made the tensors
        state._metadata = self.body.state_dict()._metadata  # type: ignore[attr-defined]
        missing = list(self.body.load_state_dict(state, strict=strict).missing_keys)
        lost = self.classifier.load_state_dict(head, strict=strict).missing_keys
        return [*missing, *(HEAD + name for name in lost)]


def _drawn(head: nn.Linear, seed: int, where: torch.device) -> nn.Linear:
    """A head of the meta device somewhere, with the numbers that ``nn.Linear`` draws of a seed.

    What others draw from is not touched, as others may draw at the same time.
    """
    if where.type == "meta":
        return head
    generator, least = torch.Generator().manual_seed(seed), head.in_features**-0.5
    weight = torch.empty(head.weight.shape, device="cpu")
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    bias = torch.empty(head.out_features, device="cpu").uniform_(-least, least, generator=generator)
    state = {"weight": weight, "bias": bias}
    if isinstance(head, DeepHead):
        state |= {"mean": torch.zeros_like(weight[0]), "scale": torch.ones_like(weight[0])}
    head.load_state_dict({name: part.to(where) for name, part in state.items()}, assign=True)
    return head


def allocated(network: Network) -> Network:
    """A network of the meta device on the processor, whose numbers are whatever memory holds.

    As ``Module.to_empty``, which imports an algebra system first.
    """
    held = {
        name: torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(held, assign=True)
    return network


def pooled_map(output: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum (n, channels) of what a stage gives, (n, channels, height, width)."""
    return output.mean((2, 3)), output.amax((2, 3))


def without_head(weights: Mapping[str, Tensor]) -> Weights:
    """Weights of the body alone."""
    return {name: tensor for name, tensor in weights.items() if not name.startswith(HEAD)}
