"""Graphs of ONNX: a frozen body, which ONNX Runtime runs, under a head that learns.

The graph is what weights are elsewhere: one tensor of its bytes. The name of a network tells its
hash, and what has been counted of it, so that it is described without it.

Reference: https://onnx.ai and https://onnxruntime.ai.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import ModuleType
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.families.named import read, written
from tans.networks.family import Description
from tans.networks.network import Network, Weights
from tans.plugins import library
from tans.types import Digest, Name, NetworkRef

GRAPH = "_extra_state"
"""Name of the graph's bytes among the tensors of a network, as torch calls what is no weight."""
MOST_BYTES = 2**31 - 1
"""Of a graph: that protocol buffers can hold."""


@dataclass(frozen=True)
class Graph:
    """What is known of a graph; all of it stands in the name of its network."""

    sha256: Digest
    """Of its bytes."""
    bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    input: Name
    """Of its one input."""
    output: Name
    """Of its one output, the features."""
    size: PositiveInt
    """Pixels a side of images; it takes no others."""
    width: PositiveInt
    """Of the features."""
    params: PositiveInt
    flops: NonNegativeInt
    """Multiply-adds of convolutions and linear layers for one image."""
    batch: NonNegativeInt = 0
    """Images that it takes at once; 0 for any number."""
    layout: Literal["nchw", "nhwc"] = "nchw"

    def named(self, word: str) -> str:
        """The network's name.

        Args:
            word: says of what, such as the stem of the file that it came in.
        """
        return written(word, asdict(self))


class OnnxFamily:
    """Graphs of ONNX; the name of a network holds a ``Graph``."""

    def __init__(self) -> None:
        self._lent: dict[str, Callable[[], Mapping[str, Tensor]]] = {}

    def build(self, ref: NetworkRef, classes: int) -> Network:
        """A network under an untrained head, which runs once it has its graph.

        Raises:
            InputError: the name tells no graph, or it takes no images of this size.
        """
        graph = _graph_of(ref)
        return Network(ref, OnnxBody(graph), graph.width, classes)

    def describe(self, ref: NetworkRef) -> Description:
        """What its name tells of a network.

        Raises:
            InputError: the name tells no graph, or it takes no images of this size.
        """
        graph = _graph_of(ref)
        return Description(graph.width, graph.params, graph.flops, graph.width)

    def select(self, weights: Mapping[str, Tensor], ref: NetworkRef) -> Weights:  # noqa: ARG002
        """All of them: each network is stored on its own."""
        return dict(weights)

    def lend(self, ref: NetworkRef, read: Callable[[], Mapping[str, Tensor]]) -> None:
        """Say what gives the graph of a network, for when it runs without having been given it."""
        self._lent[_graph_of(ref).sha256] = read

    def borrowed(self, sha256: str) -> Tensor:
        """Bytes of the graph of a hash, uint8 (b,).

        Raises:
            InputError: nobody has lent it.
        """
        if sha256 not in self._lent:
            raise InputError(
                f"the graph of hash {sha256[:8]} is not known here; load its network from a zoo or "
                "a folder"
            )
        return self._lent[sha256]()[GRAPH]


class OnnxBody(nn.Module):
    """Runs a graph; nothing in it learns, and no gradient flows through it.

    Args:
        graph: what is known of it; its bytes are loaded, or borrowed when it runs.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._bytes: bytes | None = None  # no tensor: it is never copied, moved or averaged

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, width) of images (n, 3, r, r)."""
        if x.device.type == "meta":
            return x.new_empty(len(x), self.graph.width)
        session = _session(self._content())
        images = x.detach().float().cpu()
        if self.graph.layout == "nhwc":
            images = images.permute(0, 2, 3, 1)
        parts = images.split(self.graph.batch or max(1, len(images)))
        return torch.cat([self._run(session, part) for part in parts]).to(x.device)

    def get_extra_state(self) -> Tensor:
        """The graph's bytes, uint8 (b,)."""
        if self._bytes is None:
            return torch.empty(self.graph.bytes, dtype=torch.uint8)
        return torch.frombuffer(bytearray(self._bytes), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Take the graph's bytes.

        Raises:
            ValueError: they are not those of the hash in its name.
        """
        if not isinstance(state, Tensor) or state.dtype != torch.uint8 or state.is_meta:
            raise ValueError("a graph of ONNX is bytes; expected a tensor of uint8")
        content = state.cpu().contiguous().numpy().tobytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.graph.sha256:
            raise ValueError(f"the graph has SHA-256 {digest}, its name says {self.graph.sha256}")
        self._bytes = content

    def _content(self) -> bytes:
        if self._bytes is None:
            self.set_extra_state(ONNX.borrowed(self.graph.sha256))
        assert self._bytes is not None
        return self._bytes

    def _run(self, session: Any, images: Tensor) -> Tensor:
        """Features (n, width) of images, as many as it takes at once, or fewer."""
        count = len(images)
        if self.graph.batch:
            images = F.pad(images, (0, 0) * 3 + (0, self.graph.batch - count))
        given = {self.graph.input: images.contiguous().numpy()}
        (features,) = session.run([self.graph.output], given)
        return torch.from_numpy(features).float().flatten(1)[:count]


ONNX = OnnxFamily()


@lru_cache(maxsize=4096)
def _graph_of(ref: NetworkRef) -> Graph:
    _, facts = read(ref.name)
    try:
        graph = TypeAdapter(Graph).validate_python(facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            f"{ref.name[:80]!r} tells no graph of ONNX ({'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}); add it again with 'tans zoo add'"
        ) from error
    if graph.size != ref.input.size:
        raise InputError(
            f"{read(ref.name)[0]} takes images of {graph.size} pixels a side only, not of "
            f"{ref.input.size}; choose {graph.size}, or add it again with --size"
        )
    return graph


@lru_cache(maxsize=4)
def _session(content: bytes) -> Any:
    """What runs a graph; kept, as it cannot be copied with a network."""
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds, which its runtime does not name
        raise InputError(f"ONNX Runtime cannot run the graph: {error}") from error


def _runtime() -> ModuleType:
    """Not imported before it is needed."""
    return library("onnxruntime", "onnx")
