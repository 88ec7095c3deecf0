"""A fine-tuned network as one file of ONNX, checked in ONNX Runtime against PyTorch.

The graph takes ``images``, float32 (n, 3, r, r) of values from 0 to 255, for any n, and gives
``probabilities`` and ``scores``, float32 (n, classes); scores are divided by the temperature.

References:
    https://onnx.ai/onnx/intro/concepts.html
    Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, CVPR 2018 (8 bits).
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tans.errors import InputError, MissingExtraError
from tans.export.classifier import Classifier
from tans.export.rounding import rounded
from tans.networks.batchnorm import folded
from tans.networks.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUTS = "images", ("probabilities", "scores")
LARGEST = 2**31 - 2**24
"""Bytes of weights in one file, which protobuf limits."""
BATCH = 64
QUANTISED = ["Conv", "MatMul", "Clip", "Relu", "Pad"]
"""Operators in 8 bits. Sums stay in 32, and so does the head, whose features have many ranges."""


class Graph(nn.Module):
    """What a file of ONNX computes: all from pixels to probabilities.

    Args:
        temperature: that scores are divided by.
    """

    mean: Tensor
    """Of red, green and blue, (3, 1, 1)."""
    std: Tensor

    def __init__(self, network: Network, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        self.register_buffer("mean", torch.tensor(network.input.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(network.input.std)[:, None, None])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and scores (n, classes) of pixels from 0 to 255, float32 (n, 3, r, r)."""
        scores = self.network((images - self.mean) / self.std) / self.temperature
        return scores.softmax(1), scores


def onnx_file(classifier: Classifier, metadata: Mapping[str, str]) -> bytes:
    """A network as ONNX.

    Args:
        metadata: what the file says beside the network, by name.

    Raises:
        InputError: the network is too large for one file, or PyTorch cannot export it.
        MissingExtraError: what writes ONNX is not installed.
    """
    require_onnx()
    network = classifier.network
    if sum(tensor.nbytes for tensor in network.weights().values()) > LARGEST:
        raise InputError(
            f"{network.ref} has more than 2 GB of weights, which one file of ONNX cannot hold; "
            "export it with --format safetensors"
        )
    return _written(classifier, folded(network.cpu()), metadata)


def _written(classifier: Classifier, network: Network, metadata: Mapping[str, str]) -> bytes:
    """A network as ONNX, in the place of a classifier's own."""
    model = _traced(Graph(network, classifier.temperature).eval())
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name, model.producer_version = "tans", metadata.get("tans", "")
    return model.SerializeToString()


def require_onnx() -> None:
    """See that what writes and runs ONNX is there, before anyone waits.

    Raises:
        MissingExtraError: it is not.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - PyTorch asks for it
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "onnx") from error
    _ = onnx, onnxruntime


def run_onnx(file: bytes, images: Tensor) -> Tensor:
    """Probabilities (n, classes) that ONNX Runtime gives for images, uint8 (n, 3, r, r)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.cat(
        [
            torch.from_numpy(session.run([OUTPUTS[0]], {INPUT: part.float().numpy()})[0])
            for part in images.split(BATCH)
        ]
    )


@torch.no_grad()
def run_torch(classifier: Classifier, images: Tensor) -> Tensor:
    """Probabilities (n, classes) that PyTorch gives for images, uint8 (n, 3, r, r)."""
    graph = Graph(classifier.network.cpu(), classifier.temperature).eval()
    return torch.cat([graph(part.float())[0] for part in images.split(BATCH)])


def quantised(classifier: Classifier, metadata: Mapping[str, str], images: Tensor) -> bytes:
    """A network as ONNX with weights, scaled for each channel, and activations of 8 bits.

    Args:
        metadata: what the file says beside the network, by name.
        images: that activations are measured on, uint8 (n, 3, r, r).

    Raises:
        InputError: PyTorch cannot export the network.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """Hands images over one by one."""

        def __init__(self) -> None:
            self.parts: Iterator[Tensor] = iter(images.split(1))

        def get_next(self) -> dict[str, Any] | None:
            part = next(self.parts, None)
            return None if part is None else {INPUT: part.float().numpy()}

    network = rounded(folded(classifier.network.cpu()), images)
    with tempfile.TemporaryDirectory(prefix="tans-") as folder, _quiet():
        whole, prepared, small = (Path(folder, name) for name in ("whole", "prepared", "small"))
        whole.write_bytes(_written(classifier, network, metadata))
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(small),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # the grid of ``rounded``
        )
        model, given = (onnx.load(str(path)) for path in (small, whole))
    del model.metadata_props[:]
    model.metadata_props.extend(given.metadata_props)
    return model.SerializeToString()


def _traced(graph: Graph) -> ModelProto:
    """Raises:
    InputError: PyTorch cannot export the network.
    """
    size = graph.network.input.size
    try:
        with _quiet():
            program = torch.onnx.export(
                graph,
                (torch.zeros(2, 3, size, size),),
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("n")},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever a body does that depends on its input
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"PyTorch cannot export {graph.network.ref} as ONNX ({reason}); export it with "
            "--format safetensors, or fine-tune another network"
        ) from error
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters tell of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
