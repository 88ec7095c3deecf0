"""What is read of a graph of ONNX: its image input, its pooled features, and what they cost.

The graph is run once on noise, so that all shapes are those that are, also where a graph computes
them itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from tans.errors import InputError
from tans.plugins import library

FLOAT = 1
"""Type of an element, float32, as ONNX numbers it."""
COUNTED = frozenset({1, 2, 3, 10, 16})
"""Types of elements that are weights: floats of 32, 16 and brain's 16 bits, and 8 bits."""
POOLS = frozenset({"GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool", "ReduceMean"})
WEIGHT_AT = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "FusedConv": 1, "QLinearConv": 3}
"""Which input of a convolution is its weights."""
PRODUCTS = frozenset({"Gemm", "MatMul", "FusedMatMul", "FusedGemm", "MatMulInteger"})
STATISTICS = (3, 4)
"""Which inputs of a batch-norm are no parameters."""
NAMED = 8
"""Outputs that a message names, at most."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Images:
    """The one input of a graph."""

    name: str
    layout: Literal["nchw", "nhwc"]
    batch: int
    """Images that it takes at once; 0 where it says any number."""
    size: int | None
    """Pixels a side; None where it says any."""


def image_input(model: Any, what: str) -> Images:
    """The input that takes images.

    Raises:
        InputError: there are several, or it takes none of three colours, squares and floats.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in known]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise InputError(f"{what} has inputs {names or 'none'}; expected one, of images")
    kind = inputs[0].type.tensor_type
    sides = [max(0, dim.dim_value) for dim in kind.shape.dim]  # 0 where any
    if len(sides) != 4 or kind.elem_type != FLOAT or 3 not in (sides[1], sides[3]):
        raise InputError(
            f"{what} takes {inputs[0].name} of {len(sides)} dimensions {sides} and type "
            f"{kind.elem_type}; expected float32 images (n, 3, r, r) or (n, r, r, 3)"
        )
    layout: Literal["nchw", "nhwc"] = "nchw" if sides[1] == 3 else "nhwc"
    height, width = sides[2:] if layout == "nchw" else sides[1:3]
    if height and width and height != width:
        raise InputError(f"{what} takes images of {height} x {width} pixels; expected squares")
    return Images(inputs[0].name, layout, sides[0], max(height, width) or None)


def fix_input(model: Any, images: Images, size: int) -> None:
    """Say of a graph that it takes images of so many pixels a side."""
    sides: list[int] = [images.batch, 3, size, size]
    if images.layout == "nhwc":
        sides = [images.batch, size, size, 3]
    given = next(each for each in model.graph.input if each.name == images.name)
    for dim, side in zip(given.type.tensor_type.shape.dim, sides, strict=True):
        if side:
            dim.dim_value = side
        else:
            dim.dim_param = "images"


def shapes_of(model: Any, images: Images, size: int, what: str) -> dict[str, Shape]:
    """Shapes of all that a graph computes of one image, or of as many as it takes, by name.

    Raises:
        InputError: ONNX Runtime cannot run it, or takes no images of this size.
    """
    watched = onnx_library().ModelProto()
    watched.CopyFrom(model)
    given = {each.name for each in watched.graph.output}
    for name in _computed(watched):
        if name not in given:
            watched.graph.output.add().name = name
    values = run(watched.SerializeToString(), images.name, noise(images, size, 1), what)
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    return shapes | {t.name: tuple(t.dims) for t in model.graph.initializer}


def run(content: bytes, name: str, images: np.ndarray, what: str) -> dict[str, np.ndarray]:
    """All outputs of a graph, by name.

    Raises:
        InputError: ONNX Runtime cannot run it.
        MissingExtraError: ONNX Runtime is not installed.
    """
    onnxruntime = library("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        outputs = [each.name for each in session.get_outputs()]
        values = session.run(outputs, {name: images})
    except Exception as error:  # of many kinds, which the runtime does not name
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{what} cannot be run by ONNX Runtime: {said}") from error
    arrays = zip(outputs, values, strict=True)
    return {name: value for name, value in arrays if isinstance(value, np.ndarray)}


def noise(images: Images, size: int, count: int) -> np.ndarray:
    """Images as a graph takes them, float32; as many as asked for, or as it takes at once."""
    drawn = np.random.default_rng(0).normal(size=(images.batch or count, 3, size, size))
    drawn = drawn.transpose(0, 2, 3, 1) if images.layout == "nhwc" else drawn
    return np.ascontiguousarray(drawn, dtype=np.float32)


def pooled_output(model: Any, shapes: Mapping[str, Shape], what: str) -> str:
    """Name of the last features of a graph that were pooled over all places of an image.

    Raises:
        InputError: there are none.
    """
    pooled = [node.output[0] for node in model.graph.node if _pools(node, shapes)]
    for name in reversed(pooled):
        if not _spreads(name, model, shapes):
            return name
    flat = [name for name in _computed(model) if width_of(shapes.get(name, ())) > 1]
    raise InputError(
        f"{what} has no features that were pooled; give --output with the name of its features, "
        f"such as one of {', '.join(flat[-NAMED:]) or 'none'}"
    )


def width_of(shape: Shape) -> int:
    """Of features (n, width), or (n, width, 1, 1) and the like; 0 where places are several."""
    sides = [side for side in shape[1:] if side != 1]
    return sides[0] if len(sides) == 1 else int(not sides and len(shape) > 1)


def cut_to(model: Any, output: str) -> Any:
    """A graph of what one output needs, and that alone."""
    onnx = onnx_library()
    needed, nodes = {output}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(_read(node))
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.metadata_props[:]
    graph = cut.graph
    for part in (graph.node, graph.initializer, graph.value_info, graph.output):
        del part[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(t for t in model.graph.initializer if t.name in needed)
    graph.output.append(onnx.helper.make_tensor_value_info(output, FLOAT, None))
    return cut


def parameters(model: Any) -> int:
    """Of a graph, running statistics of batch-norms left out."""
    left = {
        name
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        for name in (node.input[at] for at in STATISTICS)
    }
    constants = {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    stored = {tensor.name: tensor for tensor in model.graph.initializer} | constants
    return sum(
        math.prod(tensor.dims)
        for name, tensor in stored.items()
        if name not in left and tensor.data_type in COUNTED and tensor.dims
    )


def multiply_adds(model: Any, shapes: Mapping[str, Shape], images: int) -> int:
    """Of convolutions and matrix products of a graph, for one image.

    Args:
        shapes: of all tensors, for so many images.
    """
    return sum(_multiply_adds(node, shapes) for node in model.graph.node) // images


def _multiply_adds(node: Any, shapes: Mapping[str, Shape]) -> int:
    made = math.prod(shapes.get(node.output[0], (0,)))
    if (at := WEIGHT_AT.get(node.op_type)) is not None:
        weight = shapes.get(node.input[at], (0, 0))
        if node.op_type == "ConvTranspose":
            made = math.prod(shapes.get(node.input[0], (0,)))
        return made * math.prod(weight[1:])
    if node.op_type in PRODUCTS:
        first = shapes.get(node.input[0], (0,))
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        return made * first[0 if turned else -1]
    return 0


def _pools(node: Any, shapes: Mapping[str, Shape]) -> bool:
    """Whether a node makes one place of those of an image, (n, c, h, w), or tokens (n, t, c)."""
    if node.op_type not in POOLS:
        return False
    before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if node.op_type.startswith("Global"):
        return width_of(after) > 0
    channels = {3: before[2:3], 4: (before[1:2] + before[3:4])}.get(len(before), ())
    places = math.prod(before) // max(1, math.prod(after))
    return places > 1 and width_of(after) in channels and _last(before, after)


def _spreads(name: str, model: Any, shapes: Mapping[str, Shape]) -> bool:
    """Whether places of an image are computed from features, as where they squeeze and excite."""
    reached = {name}
    for node in model.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            if any(len(s) > 2 and not width_of(s) for s in map(shapes.get, node.output) if s):
                return True
    return False


def _last(before: Shape, after: Shape) -> bool:
    """Whether tokens (n, t, c) were pooled to (n, c), and no layer-norm took the mean of each."""
    return len(before) != 3 or after[-1] == before[-1]


def _computed(model: Any) -> Iterator[str]:
    """Names of what nodes give, in order."""
    for node in model.graph.node:
        yield from (name for name in node.output if name)


def _read(node: Any) -> Iterator[str]:
    """Names of what a node reads, those of graphs within it too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read(inner)


def onnx_library() -> ModuleType:
    """Not imported before it is needed.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    return library("onnx", "onnx")
