"""What an export writes, what it says of itself, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tans.errors import InputError, MissingExtraError
from tans.export import formats
from tans.export.finetuned import load_finetuned
from tans.export.formats import describe_network, export_network
from tests.export.conftest import Tuned


@pytest.fixture
def folder(tuned: Tuned, tmp_path: Path) -> Path:
    """A copy that may be written."""
    shutil.copytree(tuned.folder, tmp_path / "tuned")
    return tmp_path / "tuned"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_safetensors_stand_alone(folder: Path, tuned: Tuned) -> None:
    export = export_network(folder, "safetensors", images=[tuned.images])
    assert export.files == (folder / "network.safetensors",)
    assert export.images == "6 test images of images"
    assert export.network.difference == 0
    assert (export.network.agreement, export.network.accuracy) == (1, 1)
    assert export.network.bytes == (folder / "network.safetensors").stat().st_size
    network = load_finetuned(folder).network
    with safe_open(folder / "network.safetensors", "pt") as file:
        told = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert all(torch.equal(tensors[name], t) for name, t in network.weights().items())
    assert json.loads(told["labels"]) == ["dark blue", "grün", "red"]
    assert (told["family"], told["architecture"]) == ("plain", "16")
    assert json.loads(told["stages"]) == ["first", "last"]
    assert (told["input_size"], json.loads(told["mean"])) == ("32", [120, 110, 100])
    assert "resize the whole image to 32 x 32 pixels" in told["preprocessing"]
    assert (told["licence"], told["licence_of_images"]) == ("unstated", "unstated")
    assert told["weights"] == json.loads((folder / "model.json").read_text())["weights"]["sha256"]
    assert float(told["temperature"]) == load_finetuned(folder).temperature


def test_an_export_replaces_an_earlier_one(folder: Path) -> None:
    (folder / "network.safetensors").write_bytes(b"older")
    export_network(folder, "safetensors")
    names = set(contents(folder))
    export = export_network(str(folder), "safetensors")
    assert export.images == "32 reference images"
    assert export.network.accuracy is None
    assert set(contents(folder)) == names
    with safe_open(folder / "network.safetensors", "pt") as file:
        assert file.metadata() == describe_network(load_finetuned(folder)) | {"format": "pt"}


def test_what_computes_something_else_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    monkeypatch.setattr(formats, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="differ by up to .* over 32 reference images; expected"):
        export_network(folder, "safetensors")
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("format", "options", "words"),
    [
        ("onnxx", {}, "expected one of onnx, timm, safetensors"),
        ("onnx", {"int8": True}, "expected some of the network's kind: --images"),
        ("timm", {"int8": True, "images": ["x"]}, "expected onnx"),
        ("safetensors", {"images": ["nowhere"]}, "no image can be read from nowhere"),
        ("timm", {}, "is a network that timm does not have"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, format: str, options: dict[str, object], words: str
) -> None:
    before = contents(folder)
    with pytest.raises(InputError, match=words):
        export_network(folder, format, **options)  # type: ignore[arg-type]
    assert contents(folder) == before


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_folder_without_a_network_is_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(InputError, match="no fine-tuned network"):
        export_network(tmp_path / "nowhere", format)
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_network_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"none")
    with pytest.raises(InputError, match="is damaged"):
        export_network(folder, "safetensors")


def test_a_folder_that_cannot_be_written_is_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(formats, "try_folder", refuse)
    with pytest.raises(InputError, match="cannot be written: .*Permission denied"):
        export_network(folder, "safetensors")


def test_what_writes_onnx_is_an_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tans\[onnx\]'"):
        export_network(folder, "onnx")


def test_a_folder_of_an_older_tans_is_exported(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    for name in ("licences", "costs", "images", "data"):
        del card[name]
    (folder / "model.json").write_text(json.dumps(card))
    (folder / "README.md").unlink()
    export_network(folder, "safetensors")
    assert describe_network(load_finetuned(folder))["licence"] == "unstated"


def test_names_that_utf8_cannot_hold_are_escaped(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    card["task"], card["classes"] = "\udcff", ["\udcff", "b", "c"]
    (folder / "model.json").write_text(json.dumps(card))
    export_network(folder, "safetensors")
    with safe_open(folder / "network.safetensors", "pt") as file:
        told = file.metadata()
    assert json.loads(told["labels"])[0] == "\udcff"
    assert told["task"] == "\\udcff"


@pytest.fixture
def made(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a folder with exports, where making the same again takes no time."""
    shutil.copytree(exported, tmp_path / "made")
    file = (exported / "network.onnx").read_bytes()
    monkeypatch.setattr(formats, "onnx_file", lambda *_: file)
    return tmp_path / "made"


@pytest.mark.long
def test_an_older_network_of_eight_bits_is_told(made: Path) -> None:
    export = export_network(made, "onnx")
    assert export.int8 is None
    assert [path.name for path in export.files] == ["network.onnx", "predict_onnx.py"]
    (told,) = export.warnings
    assert "network.int8.onnx is of an earlier export" in told


@pytest.mark.long
def test_eight_bits_that_lose_labels_are_told(
    made: Path, tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (made / "network.onnx").read_bytes()
    really = formats.run_onnx
    monkeypatch.setattr(
        formats,
        "run_onnx",
        lambda file, images: really(whole, images).roll(0 if file == whole else 1, dims=1),
    )
    export = export_network(made, "onnx", images=[tuned.images], int8=True)
    assert export.int8 is not None
    assert export.int8.agreement == 0
    told = export.warnings[-1]
    assert "network.int8.onnx gives 100% of images another label" in told


def test_a_graph_that_computes_something_else_is_not_written(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("network.onnx", "network.int8.onnx", "predict_onnx.py"):
        (made / name).unlink()
    before = contents(made)
    monkeypatch.setattr(formats, "run_onnx", lambda _, images: torch.full((len(images), 3), 0.5))
    with pytest.raises(InputError, match="network.onnx would give probabilities that differ"):
        export_network(made, "onnx")
    assert contents(made) == before
