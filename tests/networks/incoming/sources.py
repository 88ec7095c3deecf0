"""Small sources of networks of others, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import timm
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from tans.networks.incoming.incoming import Stated

TIMM = "test_efficientnet"
LEAVES = tuple(f"leaf {k}" for k in range(5))
KNOWN = Stated(licence="mit", origin="leaves", size=32, mean=(120.0,) * 3, std=(60.0,) * 3)
"""All that may have to be said."""
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 32,
        "patch_size": 8,
    },
    "convnext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "resnet": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
    },
    "mobilenet_v2": {"depth_multiplier": 0.25},
}
"""Changes to the configurations of transformers that make small networks."""


def timm_network(classes: int = 5, name: str = TIMM) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=classes).eval()


def timm_file(path: Path, classes: int = 5, metadata: dict[str, str] | None = None) -> Path:
    """A file of safetensors with weights of ``TIMM``."""
    save_file(timm_network(classes).state_dict(), path, metadata)
    return path


def timm_folder(folder: Path, card: str | None = "license: apache-2.0", **config: Any) -> Path:
    """A folder as timm lays a repository out."""
    folder.mkdir(parents=True)
    timm_file(folder / "model.safetensors")
    settings = {"tag": "r160_in1k", "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 0.95}
    settings |= {"input_size": [3, 32, 32], "interpolation": "bicubic", "fixed_input_size": False}
    described = {"architecture": TIMM, "num_classes": 5, "pretrained_cfg": settings, **config}
    (folder / "config.json").write_text(json.dumps(described))
    if card is not None:
        (folder / "README.md").write_text(f"---\n{card}\ntags:\n- image-classification\n---\n# x\n")
    return folder


def transformers_network(kind: str) -> Any:
    torch.manual_seed(0)
    named = dict(enumerate(LEAVES))
    config = transformers.AutoConfig.for_model(kind, num_labels=5, **CONFIGS[kind])
    config.id2label, config.label2id = named, {name: k for k, name in named.items()}
    return transformers.AutoModelForImageClassification.from_config(config).eval()


def transformers_folder(folder: Path, kind: str, card: str = "license: cc-by-4.0") -> Path:
    """A folder as transformers saves a network."""
    transformers_network(kind).save_pretrained(folder)
    made = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2] * 3, "size": {"height": 32}}
    made |= {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(made))
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    return folder


def onnx_file(
    path: Path,
    *,
    side: int | str = 32,
    batch: int | str = "n",
    nhwc: bool = False,
    pooled: bool = True,
    channels: int = 3,
    metadata: dict[str, str] | None = None,
    poison: float | None = None,
) -> Path:
    """A graph of a convolution to 6 maps, a squeeze, pooling, and a head of 4 classes."""
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = generator.normal(size=shape).astype(np.float32)
        if poison is not None and name == "conv":
            values.flat[0] = poison
        return numpy_helper.from_array(values, name)

    shape = [batch, side, side, channels] if nhwc else [batch, channels, side, side]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    first = "turned" if nhwc else "images"
    nodes = [helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2])] * nhwc
    nodes += [
        helper.make_node("Conv", [first, "conv"], ["maps"], strides=[2, 2], pads=[1, 1, 1, 1]),
        # what squeezes is pooled too, and is not the last
        helper.make_node("GlobalAveragePool", ["maps"], ["squeezed"]),
        helper.make_node("Sigmoid", ["squeezed"], ["gate"]),
        helper.make_node("Mul", ["maps", "gate"], ["excited"]),
    ]
    last = [helper.make_node("GlobalAveragePool", ["excited"], ["pooled"])]
    if not pooled:
        last = [helper.make_node("MaxPool", ["excited"], ["pooled"], kernel_shape=[2, 2])]
    nodes += [
        *last,
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["scores"]),
    ]
    width = 6 if pooled or isinstance(side, str) else 6 * (side // 2 - 1) ** 2
    stored = [weights("conv", 6, channels, 3, 3), weights("head", width, 4)]
    graph = helper.make_graph(nodes, "tiny", [given], [made], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path
