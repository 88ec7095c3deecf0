"""Graphs of ONNX, cut to the features that a head is put on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tans.errors import InputError
from tans.files import check_file
from tans.networks.families.onnx import GRAPH, MOST_BYTES, Graph
from tans.networks.incoming.graphs import (
    Images,
    cut_to,
    fix_input,
    image_input,
    multiply_adds,
    noise,
    onnx_library,
    parameters,
    pooled_output,
    run,
    shapes_of,
    width_of,
)
from tans.networks.incoming.incoming import Colours, Found, Incoming, Stated, in_bytes, settle
from tans.types import NetworkRef

SUFFIX = ".onnx"
FROZEN = "its graph stays as it is: a fine-tune trains a head on its features"


def from_file(path: Path, stated: Stated) -> Incoming:
    """The features of a graph, which are frozen.

    Raises:
        InputError: the file cannot be read or run, takes no square images or gives no pooled
            features, or something is not known of it.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    what = str(path)
    model = _read(path)
    images = image_input(model, what)
    settled = settle(_found(path, model, images), stated)
    size = settled.input.size
    if images.size not in (None, size):
        raise InputError(f"{what} takes images of {images.size} pixels a side only, not of {size}")
    fix_input(model, images, size)
    shapes = shapes_of(model, images, size, what)
    output = stated.output or pooled_output(model, shapes, what)
    width = width_of(shapes.get(output, ()))
    if not width:
        came = shapes.get(output, "not there")
        raise InputError(f"{what}: {output} is {came}; expected pooled features (n, width)")
    cut = cut_to(model, output)
    images = _batched(cut, images, size, output, what)
    fix_input(cut, images, size)
    content = cut.SerializeToString(deterministic=True)
    graph = Graph(
        hashlib.sha256(content).hexdigest(),
        len(content),
        images.name,
        output,
        size,
        width,
        max(1, parameters(cut)),
        multiply_adds(cut, shapes, images.batch or 1),
        images.batch,
        images.layout,
    )
    ref = NetworkRef("onnx", graph.named(path.stem), settled.input)
    weights = {GRAPH: torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    notes = (*settled.notes, f"features of {path.name} are its tensor {output}", FROZEN)
    return Incoming(ref, weights, replace(settled, notes=notes), made=f"the graph {path.name}")


def _read(path: Path) -> Any:
    """A graph with its weights, also where those lie in files beside it."""
    onnx = onnx_library()
    try:
        if check_file(path).st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than 2 GB; expected a smaller graph")
        return onnx.load(path)
    except InputError:
        raise
    except Exception as error:  # of protocol buffers, which have no names that can be relied on
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{path} cannot be read as ONNX: {said}; give another file") from error


def _found(path: Path, model: Any, images: Images) -> Found:
    """What stands in a graph's metadata, as those who made it chose to call it."""
    said = {each.key.lower(): each.value for each in model.metadata_props}
    licence = said.get("license") or said.get("licence")
    origin = said.get("origin")
    return Found(
        str(path),
        f"the metadata of {path.name}",
        f"the metadata of {path.name}",
        images.size or _number(said.get("size")),
        _colours(said.get("mean")),
        _colours(said.get("std")),
        licence,
        (origin,) if origin else (),
    )


def _colours(text: str | None) -> Colours | None:
    """Three values from 0 to 255 that a text of JSON says; None where it says none."""
    try:
        return in_bytes(json.loads(text or ""), 1.0)
    except (ValueError, TypeError, InputError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _batched(cut: Any, images: Images, size: int, output: str, what: str) -> Images:
    """The input, of one image at once where several do not give what each gives alone.

    Raises:
        InputError: features are no finite numbers.
    """
    content, pair = cut.SerializeToString(), noise(images, size, 2)
    if images.batch:
        found = run(content, images.name, pair, what)[output]
    else:
        alone = [run(content, images.name, pair[k : k + 1], what)[output] for k in range(2)]
        found = np.concatenate(alone)
        try:
            both = run(content, images.name, pair, what)[output]
            if both.shape != found.shape or not np.allclose(both, found, atol=1e-3, rtol=1e-3):
                images = replace(images, batch=1)
        except InputError:
            images = replace(images, batch=1)
    if not np.isfinite(found).all():
        raise InputError(f"{what} gives features that are no finite numbers; get it again")
    return images
