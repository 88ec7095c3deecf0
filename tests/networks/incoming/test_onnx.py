"""Graphs of ONNX come in as frozen features."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from tans.errors import InputError
from tans.networks.families.onnx import GRAPH, ONNX
from tans.networks.family import describe, resized
from tans.networks.incoming.incoming import Incoming, Stated
from tans.networks.incoming.onnx import from_file
from tans.networks.network import Network
from tests.networks.incoming.sources import KNOWN, onnx_file

FLOPS = 6 * 16 * 16 * 3 * 3 * 3
"""Multiply-adds of its convolution."""


def network_of(incoming: Incoming) -> Network:
    network = ONNX.build(incoming.ref, 3)
    network.load_weights(incoming.weights, strict=False)
    return network.eval()


def features_of(path: Path, x: Tensor) -> Tensor:
    """What the graph's own pooling gives, from the whole file."""
    import onnx

    model = onnx.load(path)
    model.graph.output.add().name = "pooled"
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return torch.from_numpy(session.run(["pooled"], {"images": x.numpy()})[0]).flatten(1)


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_features_are_those_of_the_last_pooling(
    tmp_path: Path, nhwc: bool, batch: int | str
) -> None:
    path = onnx_file(tmp_path / "tiny.onnx", nhwc=nhwc, batch=batch)
    network = network_of(from_file(path, KNOWN))
    x = torch.randn(3, 3, 32, 32)
    turned = x.permute(0, 2, 3, 1) if nhwc else x
    parts = turned.contiguous().split(1 if batch == 1 else 3)
    expected = torch.cat([features_of(path, part) for part in parts])
    torch.testing.assert_close(network.features(x), expected)
    torch.testing.assert_close(network.features(x[:1]), expected[:1])


def test_its_name_tells_what_it_costs(tmp_path: Path) -> None:
    incoming = from_file(onnx_file(tmp_path / "tiny.onnx"), KNOWN)
    known = describe(incoming.ref)
    assert (known.width, known.head_width, known.body_params) == (6, 6, 6 * 3 * 9)
    assert known.body_flops == FLOPS
    assert incoming.ref.name.startswith("tiny {")
    assert list(incoming.weights) == [GRAPH]
    assert (incoming.settled.licence, incoming.settled.origins) == ("MIT", ("leaves",))
    assert any("stays as it is" in note for note in incoming.settled.notes)


def test_any_output_can_be_asked_for(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "tiny.onnx")
    scores = from_file(path, replace(KNOWN, output="scores"))
    assert describe(scores.ref).width == 4
    assert describe(scores.ref).body_flops == FLOPS + 6 * 4
    with pytest.raises(InputError, match=r"maps is \(1, 6, 16, 16\); expected pooled features"):
        from_file(path, replace(KNOWN, output="maps"))
    with pytest.raises(InputError, match="none is not there; expected pooled"):
        from_file(path, replace(KNOWN, output="none"))


def test_what_stands_in_its_metadata_counts(tmp_path: Path) -> None:
    said = {"license": "bsd-3-clause", "mean": "[1, 2, 3]", "std": "64", "origin": "stones"}
    settled = from_file(onnx_file(tmp_path / "a.onnx", metadata=said), Stated()).settled
    assert (settled.licence, settled.origins) == ("BSD-3-Clause", ("stones",))
    assert (settled.input.mean, settled.input.std) == ((1, 2, 3), (64, 64, 64))


def test_only_its_head_learns_and_it_can_be_copied(tmp_path: Path) -> None:
    network = network_of(from_file(onnx_file(tmp_path / "tiny.onnx"), KNOWN))
    x = torch.randn(2, 3, 32, 32)
    network(x).sum().backward()
    assert network.is_frozen
    assert {name for name, _ in network.named_parameters()} == {
        "classifier.weight",
        "classifier.bias",
    }
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.testing.assert_close(twin(x), network(x))
    assert copy.deepcopy(network.body).to("meta")(x.to("meta")).shape == (2, 6)


def test_the_graph_is_the_one_of_its_name(tmp_path: Path) -> None:
    incoming = from_file(onnx_file(tmp_path / "tiny.onnx"), KNOWN)
    other = {GRAPH: incoming.weights[GRAPH] + 1}
    with pytest.raises(ValueError, match="the graph has SHA-256"):
        ONNX.build(incoming.ref, 3).load_weights(other, strict=False)
    with pytest.raises(InputError, match="takes images of 32 pixels a side only, not of 64"):
        describe(resized(incoming.ref, 64))
    with pytest.raises(InputError, match="tells no graph of ONNX"):
        describe(replace(incoming.ref, name='tiny {"size":32}'))
    with pytest.raises(InputError, match="names no network"):
        describe(replace(incoming.ref, name="tiny"))


def test_any_size_is_asked_for(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "any.onnx", side="side")
    with pytest.raises(
        InputError, match="the size of its images does not stand in .*; give --size"
    ):
        from_file(path, replace(KNOWN, size=None))
    assert describe(from_file(path, replace(KNOWN, size=64)).ref).body_flops == 4 * FLOPS


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"pooled": False}, "has no features that were pooled; give --output .* such as"),
        ({"channels": 1}, r"of 4 dimensions \[0, 1, 32, 32\]"),
        ({"side": 48}, "takes images of 48 pixels a side only, not of 32"),
        ({"poison": float("nan")}, "no finite numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, made: dict[str, object], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        from_file(onnx_file(tmp_path / "x.onnx", **made), KNOWN)  # type: ignore[arg-type]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\x08\xff no graph")
    with pytest.raises(InputError, match="cannot be read as ONNX"):
        from_file(tmp_path / "x.onnx", KNOWN)
    with pytest.raises(InputError, match="No such file"):
        from_file(tmp_path / "none.onnx", KNOWN)


@pytest.mark.slow
def test_features_of_an_exported_network_are_its_own(tmp_path: Path) -> None:
    import timm

    theirs = timm.create_model("test_efficientnet", num_classes=7).eval()
    x = torch.randn(2, 3, 64, 64)
    program = torch.onnx.export(
        theirs, (x[:1],), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},), verbose=False
    )
    assert program is not None
    program.save(tmp_path / "exported.onnx")
    incoming = from_file(tmp_path / "exported.onnx", replace(KNOWN, size=64))
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features(x), pre_logits=True)  # type: ignore[operator]
    np.testing.assert_allclose(network_of(incoming).features(x), expected, atol=1e-4)
    assert isinstance(network_of(incoming).body, nn.Module)
