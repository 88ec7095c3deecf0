"""Networks of every family as ONNX, run in ONNX Runtime beside PyTorch."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tans.errors import InputError
from tans.export.classifier import Classifier
from tans.export.finetuned import load_finetuned
from tans.export.onnx import Graph, onnx_file, run_onnx, run_torch
from tans.networks.families.elastic.specification import LITE0, OFA_MBV3, ref_of
from tans.networks.family import build
from tans.networks.network import Network, prepare
from tans.tasks.decoding import decode
from tans.types import InputSpec, NetworkRef
from tests.export.conftest import Tuned
from tests.networks.plain import PLAIN, plain_ref, with_statistics
from tests.networks.registry import ALL

pytestmark = pytest.mark.usefixtures("plain_family")


def session(file: bytes | Path) -> onnxruntime.InferenceSession:
    given = file if isinstance(file, bytes) else str(file)
    return onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])


NO_WAY = frozenset({"test_vit_relpos"})
"""What PyTorch itself cannot trace for batches of any size."""


def assert_same(network: Network, deep: bool, wild: bool = False) -> None:
    """In any batch, ONNX Runtime gives what PyTorch gives.

    Args:
        wild: random weights may make scores of any length, and some let 32 bits themselves lose
            many digits: differences are measured by both then.
    """
    network = with_statistics(network.eval())
    network.replace_head(5, seed=1, deep=deep)
    with torch.no_grad():
        network.classifier.weight *= 5  # probabilities that differ
    classifier = Classifier(network.eval(), tuple("abcde"), temperature=0.7)
    file = onnx_file(classifier, {"labels": "[]"})
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    opened, size = session(file), network.input.size
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 3):
        images = torch.randint(0, 256, (batch, 3, size, size), generator=generator)
        images = images.to(torch.uint8)
        found, scores = opened.run(["probabilities", "scores"], {"images": images.float().numpy()})
        with torch.no_grad():
            expected = network(prepare(images, network.input)) / 0.7
            exact = copy.deepcopy(network).double()(prepare(images, network.input).double()) / 0.7
        if wild:
            lost = float((expected - exact).abs().max())
            np.testing.assert_allclose(
                scores, exact, atol=1e-3 * float(exact.abs().max()) + 10 * lost, rtol=0
            )
            continue
        np.testing.assert_allclose(found, expected.softmax(1), atol=1e-4)
        np.testing.assert_allclose(scores, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.long
def test_a_network_of_any_family(deep: bool) -> None:
    assert_same(PLAIN.build(plain_ref(16), 5), deep)


@pytest.mark.slow
@pytest.mark.parametrize(
    "ref",
    [
        ref_of(LITE0.smallest, 32),
        ref_of(LITE0.largest, 64),
        ref_of(OFA_MBV3.smallest, 64),
        NetworkRef("timm", "mobilenetv3_small_050", InputSpec(64)),
        NetworkRef("timm", "tf_efficientnet_lite0", InputSpec(64)),
        NetworkRef("timm", "resnet10t", InputSpec(64, (124.0, 116.0, 103.0), (58.0, 57.0, 57.0))),
        NetworkRef("timm", "test_vit", InputSpec(160)),
    ],
    ids=str,
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_network_of_each_family(ref: NetworkRef, deep: bool) -> None:
    assert_same(build(ref, 5), deep)


@pytest.mark.slow
@pytest.mark.parametrize("ref", ALL, ids=lambda ref: f"{ref.family}-{ref.name.partition(' ')[0]}")
def test_every_network_that_comes_in_can_go_out(ref: NetworkRef) -> None:
    torch.manual_seed(0)
    network = build(ref, 5)
    if ref.name in NO_WAY:
        with pytest.raises(InputError, match="PyTorch cannot export"):
            assert_same(network, deep=False)
        return
    assert_same(network, deep=False, wild=True)


def test_a_file_takes_pixels_and_says_what_they_are(exported: Path) -> None:
    opened = session(exported / "network.onnx")
    (images,) = opened.get_inputs()
    assert (images.name, images.type, images.shape[1:]) == ("images", "tensor(float)", [3, 32, 32])
    assert isinstance(images.shape[0], str)
    assert [output.name for output in opened.get_outputs()] == ["probabilities", "scores"]
    told = opened.get_modelmeta().custom_metadata_map
    card = load_finetuned(exported)
    assert json.loads(told["labels"]) == list(card.classes)
    assert float(told["temperature"]) == card.temperature
    assert (told["input_size"], told["licence"]) == ("32", "unstated")
    assert "upright by its EXIF orientation" in told["preprocessing"]
    assert told["tans"]


def test_eight_bits_are_smaller_and_do_the_same(exported: Path, tuned: Tuned) -> None:
    classifier = load_finetuned(exported)
    small = exported / "network.int8.onnx"
    paths = sorted(tuned.images.rglob("*.png"))
    expected = [p.label for p in classifier.predict(paths)]
    images = torch.stack(
        [torch.from_numpy(classifier.reading.square(decode(p), 32)) for p in paths]
    ).permute(0, 3, 1, 2)
    found = run_onnx(small.read_bytes(), images).argmax(1)
    assert [classifier.classes[label] for label in found.tolist()] == expected
    metadata = session(small).get_modelmeta().custom_metadata_map
    assert metadata == session(exported / "network.onnx").get_modelmeta().custom_metadata_map
    kinds = {node.op_type for node in onnx.load(str(small)).graph.node}
    assert "QuantizeLinear" in kinds


def test_weights_of_eight_bits_leave_room_for_sums_in_sixteen(exported: Path) -> None:
    graph = onnx.load(str(exported / "network.int8.onnx")).graph
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert weights
    assert max(int(np.abs(each.astype(int)).max()) for each in weights) * 2 * 255 < 2**15


def test_pytorch_gives_the_probabilities_of_predictions(tuned: Tuned) -> None:
    classifier = load_finetuned(tuned.folder)
    pixels = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    (shares,) = run_torch(classifier, pixels)
    (prediction,) = classifier.predict(pixels.permute(0, 2, 3, 1).numpy())
    assert prediction.probability == pytest.approx(shares.max().item(), abs=1e-6)


@pytest.mark.long
def test_what_pytorch_cannot_export_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(_: Graph, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if images.sum() > 0:
            return images, images
        return images, -images

    monkeypatch.setattr(Graph, "forward", forward)
    classifier = Classifier(PLAIN.build(plain_ref(16), 2).eval(), ("a", "b"))
    with pytest.raises(InputError, match=r"cannot export plain:16 .*--format safetensors"):
        onnx_file(classifier, {})


def test_weights_that_one_file_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tans.export.onnx.LARGEST", 1000)
    classifier = Classifier(PLAIN.build(plain_ref(16), 2).eval(), ("a", "b"))
    with pytest.raises(InputError, match="more than 2 GB"):
        onnx_file(classifier, {})
