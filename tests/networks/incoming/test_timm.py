"""Networks of timm come in with its settings, and features that are its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from tans.errors import InputError
from tans.networks.families.timm import TIMM
from tans.networks.incoming.incoming import Incoming, Stated
from tans.networks.incoming.reading import read_network
from tests.networks.incoming.sources import TIMM as NAME
from tests.networks.incoming.sources import timm_file, timm_folder, timm_network
from tests.stub_hub import StubHub

FULL = f"{NAME}.r160_in1k"
STATED = Stated(licence="mit", origin="leaves", size=32)


def check_same(incoming: Incoming) -> None:
    network = TIMM.build(incoming.ref, incoming.weights["classifier.bias"].numel()).eval()
    network.load_weights(incoming.weights)
    theirs = timm_network()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs(x))


@pytest.mark.parametrize("name", [NAME, f"timm:{NAME}"])
def test_weights_of_a_file(tmp_path: Path, name: str) -> None:
    path = timm_file(tmp_path / "w.safetensors")
    incoming = read_network(name, replace(STATED, weights=path))
    check_same(incoming)
    assert incoming.ref.name == NAME
    assert incoming.classes == ("0", "1", "2", "3", "4")
    assert incoming.ref.input.mean == (123.675, 116.28, 103.53)


def test_what_a_file_says_of_itself_counts(tmp_path: Path) -> None:
    path = timm_file(tmp_path / "w.safetensors", metadata={"license": "cc-by-4.0"})
    stated = replace(STATED, weights=path, licence=None)
    assert read_network(NAME, stated).settled.licence == "CC-BY-4.0"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = timm_file(tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="the weights are not those of test_resnet: "):
        read_network("timm:test_resnet", replace(STATED, weights=path))
    state = timm_network().state_dict()
    state["conv_stem.weight"] = torch.zeros(1, 1)
    save_file(state, path)
    with pytest.raises(InputError, match=r"conv_stem.weight is \(1, 1\), expected"):
        read_network(NAME, replace(STATED, weights=path))


def test_a_folder_of_its_layout(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "repo", label_names=["a", "b", "c", "d", "e"])
    incoming = read_network(str(folder), Stated())
    check_same(incoming)
    assert incoming.classes == ("a", "b", "c", "d", "e")
    assert incoming.settled.licence == "Apache-2.0"
    assert incoming.settled.origins == ("imagenet",)
    assert incoming.ref.input.std == (63.75,) * 3
    assert "bicubic and cut to the middle 0.95" in incoming.settled.notes[0]


def test_what_timm_does_not_build_by_name_is_refused(tmp_path: Path) -> None:
    changed = timm_folder(tmp_path / "a", model_args={"drop_path_rate": 0.1})
    with pytest.raises(InputError, match="with arguments of its own .*export it to ONNX"):
        read_network(str(changed), Stated())
    pooled = timm_folder(tmp_path / "b", global_pool="max")
    with pytest.raises(InputError, match="pools features by 'max'"):
        read_network(str(pooled), Stated())
    unknown = timm_folder(tmp_path / "c", architecture="no_such_net")
    with pytest.raises(InputError, match="no network 'no_such_net'"):
        read_network(str(unknown), Stated())


def test_unknown_names_and_misplaced_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network 'resnet_18'; expected one such as resnet18"):
        read_network("timm:resnet_18", Stated())
    with pytest.raises(InputError, match="no network 'nonsense' is known; expected timm:NAME"):
        read_network("nonsense", Stated())
    with pytest.raises(InputError, match="--output came with"):
        read_network(NAME, Stated(output="x"))
    folder = timm_folder(tmp_path / "repo")
    with pytest.raises(InputError, match="--weights came with"):
        read_network(str(folder), Stated(weights=tmp_path))


def test_a_size_that_it_does_not_take_is_refused(tmp_path: Path) -> None:
    save_file(timm_network(name="test_vit").state_dict(), tmp_path / "w.safetensors")
    stated = replace(STATED, weights=tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="images of 160 pixels a side only, not of 32"):
        read_network("test_vit", stated)
    found = read_network("test_vit", replace(stated, size=None))
    assert found.ref.input.size == 160
    assert "test_vit takes images of 160 pixels a side only" in found.settled.notes


def test_a_licence_of_timm_that_is_none_is_asked_for_before_anything_is_fetched() -> None:
    with pytest.raises(InputError, match="licence 'dinov3-license'.*LicenseRef-dinov3-license"):
        read_network("timm:vit_small_patch16_dinov3", Stated(origin="web"))


def test_a_hub_out_of_reach_is_told_at_once_unless_weights_were_fetched_before(
    hub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="timm cannot load weights of test_efficientnet") as told:
        read_network(f"timm:{NAME}", Stated())
    assert "the hub is out of reach" in str(told.value)
    assert "give --weights with a file of them, or a folder" in str(told.value)
    fetched = hub.cache / f"models--timm--{FULL}"
    path = fetched / "snapshots" / "b" / "model.safetensors"
    path.parent.mkdir(parents=True)
    (fetched / "refs").mkdir()
    (fetched / "refs" / "main").write_text("b")
    save_file(timm.create_model(NAME, num_classes=1000).state_dict(), path)
    incoming = read_network(f"timm:{NAME}", Stated())
    assert incoming.ref.name == FULL
    assert torch.equal(incoming.weights["conv_stem.weight"], load_file(path)["conv_stem.weight"])


def test_tags_stay_in_the_name(hub: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    real = timm.create_model

    def fetched(name: str, **options: object) -> torch.nn.Module:
        return real(name, **{**options, "pretrained": False})

    monkeypatch.setattr(timm, "create_model", fetched)
    hub.put(f"timm/{FULL}", timm_network())
    incoming = read_network(NAME, Stated())
    assert incoming.ref.name == FULL
    assert incoming.settled.origins == ("imagenet",)
    assert incoming.settled.licence == "Apache-2.0"
    assert len(incoming.classes) == 1000
