"""Networks of torchvision come in with what stands with its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from tans.errors import InputError
from tans.networks.families.torchvision import TORCHVISION
from tans.networks.incoming.incoming import Stated
from tans.networks.incoming.reading import read_network

NAME = "shufflenet_v2_x0_5"
STATED = Stated(licence="mit", origin="leaves", size=64)


def theirs(classes: int) -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.get_model(NAME, weights=None, num_classes=classes).eval()


def test_weights_of_a_file(tmp_path: Path) -> None:
    torch.save(theirs(7).state_dict(), tmp_path / "w.pth")
    incoming = read_network(f"torchvision:{NAME}", replace(STATED, weights=tmp_path / "w.pth"))
    network = TORCHVISION.build(incoming.ref, 7).eval()
    network.load_weights(incoming.weights)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs(7)(x))
    assert incoming.ref.input.mean == (123.675, 116.28, 103.53)
    assert len(incoming.classes) == 7


def test_its_own_weights_bring_all_that_is_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = torchvision.models.get_model_weights(NAME)
    monkeypatch.setattr(kind, "get_state_dict", lambda *_, **__: theirs(1000).state_dict())
    with pytest.raises(InputError, match="give --licence"):  # these weights name none
        read_network(f"torchvision:{NAME}", Stated())
    incoming = read_network(f"torchvision:{NAME}", Stated(licence="bsd-3-clause"))
    assert incoming.settled.licence == "BSD-3-Clause"
    assert incoming.settled.origins == ("imagenet",)
    assert incoming.ref.input.size == 224
    assert "tench" in incoming.classes


def test_what_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    kind = torchvision.models.get_model_weights(NAME)
    monkeypatch.setattr(kind, "get_state_dict", unreachable)
    with pytest.raises(InputError, match=r"no route to host.*give --weights with a file"):
        read_network(f"torchvision:{NAME}", Stated(licence="MIT"))


@pytest.mark.long
def test_a_licence_that_weights_name_themselves_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    kind = torchvision.models.get_model_weights("regnet_y_16gf")
    monkeypatch.setattr(kind, "get_state_dict", lambda *_, **__: told.append(1) or {})
    with pytest.raises(InputError, match="the weights are not those of regnet_y_16gf"):
        read_network("torchvision:regnet_y_16gf.IMAGENET1K_SWAG_E2E_V1", Stated(licence="mit"))
    assert told


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("torchvision:resnet_18", "no classifier 'resnet_18'; expected one such as resnet18"),
        ("torchvision:fasterrcnn_resnet50_fpn", "torchvision has no classifier"),
        ("torchvision:resnet18.V9", "no weights 'V9' of resnet18; expected one of IMAGENET1K_V1"),
    ],
)
def test_unknown_names_are_refused(source: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_network(source, Stated())
