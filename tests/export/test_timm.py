"""Networks in timm's layout, opened by timm itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from tans.errors import InputError
from tans.export.finetuned import load_finetuned, save_finetuned
from tans.export.formats import export_network
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.features import reference_images
from tans.networks.network import prepare
from tans.tasks.images import resize
from tans.types import InputSpec, NetworkRef
from tests.export.conftest import as_tuned
from tests.networks.plain import with_statistics
from tests.small_zoo import drawn_task

SLOW = pytest.mark.slow
TASK = drawn_task("red", "one")


def save(folder: Path, ref: NetworkRef, deep: bool = False) -> Path:
    network = with_statistics(build(ref, 3).eval())
    network.replace_head(3, seed=1, deep=deep)
    save_finetuned(folder, as_tuned(network.eval(), TASK), TASK)
    return folder


@pytest.mark.parametrize(
    "ref",
    [
        ref_of(LITE0.largest, 64),
        NetworkRef("timm", "resnet10t", InputSpec(48, (124.0, 116.0, 103.0), (58.0, 57.0, 57.0))),
        pytest.param(NetworkRef("timm", "mobilenetv3_small_050", InputSpec(64)), marks=SLOW),
        pytest.param(NetworkRef("timm", "test_vit", InputSpec(160)), marks=SLOW),
        # its head is a convolution
        pytest.param(NetworkRef("timm", "dla34", InputSpec(64)), marks=SLOW),
    ],
    ids=str,
)
def test_timm_opens_it_and_gives_the_same(tmp_path: Path, ref: NetworkRef) -> None:
    folder = save(tmp_path / "tuned", ref)
    export = export_network(folder, "timm")
    assert export.files[0] == folder / "timm" / "model.safetensors"
    assert {path.name for path in (folder / "timm").iterdir()} == {
        "model.safetensors", "config.json", "README.md",
    }  # fmt: skip
    model = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True).eval()
    network = load_finetuned(folder).network
    x = prepare(resize(reference_images(), ref.input.size), ref.input)
    with torch.no_grad():
        torch.testing.assert_close(model(x), network(x), atol=1e-5, rtol=1e-5)
    config = json.loads((folder / "timm" / "config.json").read_text())
    assert config["label_names"] == list(TASK.classes)
    assert config["pretrained_cfg"]["license"] == "unknown"


def test_timm_prepares_images_as_tans_does(tmp_path: Path) -> None:
    ref = NetworkRef("timm", "resnet10t", InputSpec(48, (124.0, 116.0, 103.0), (58.0, 57.0, 57.0)))
    folder = save(tmp_path / "tuned", ref)
    export_network(folder, "timm")
    model = timm.create_model(f"local-dir:{folder / 'timm'}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model))
    pixels = reference_images()[0].permute(1, 2, 0).numpy()  # (64, 64, 3)
    image = Image.fromarray(pixels).resize((90, 70))
    classifier = load_finetuned(folder)
    (ours,) = classifier.predict([image], top=3)
    with torch.no_grad():
        shares = model(transform(image)[None]).softmax(1)[0]
    for label, share in ours.ranked:
        assert share == pytest.approx(shares[TASK.classes.index(label)].item(), abs=1e-2)


def test_a_deep_head_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = save(tmp_path / "tuned", ref_of(LITE0.largest, 32), deep=True)
    with pytest.raises(InputError, match="fine-tune with --plain-head, or export it with"):
        export_network(folder, "timm")
    assert not (folder / "timm").exists()


def test_a_slice_is_no_network_of_timm(tmp_path: Path) -> None:
    folder = save(tmp_path / "tuned", ref_of(LITE0.smallest, 32))
    with pytest.raises(InputError, match="timm does not have; export it with --format onnx"):
        export_network(folder, "timm")
    assert not (folder / "timm").exists()


@pytest.mark.slow
def test_a_head_of_two_layers_is_refused(tmp_path: Path) -> None:
    ref = NetworkRef("timm", "deit_tiny_distilled_patch16_224", InputSpec(224))
    folder = save(tmp_path / "tuned", ref)
    with pytest.raises(InputError, match="is no linear layer in timm"):
        export_network(folder, "timm")
    assert not (folder / "timm").exists()


@pytest.mark.long
def test_a_folder_of_that_name_that_no_export_wrote_stays(tmp_path: Path) -> None:
    ref = NetworkRef("timm", "resnet10t", InputSpec(32))
    folder = save(tmp_path / "tuned", ref)
    (folder / "timm").mkdir()
    (folder / "timm" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes.txt, which is no export"):
        export_network(folder, "timm")
    assert (folder / "timm" / "notes.txt").read_text() == "mine"
    shutil.rmtree(folder / "timm")
    for _ in range(2):  # an export replaces an earlier one
        export_network(folder, "timm")
