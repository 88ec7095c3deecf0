"""Files of weights are read without running anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tans.errors import InputError
from tans.networks.incoming.files import read_json, read_weights

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_safetensors_come_with_what_they_say(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors", {"license": "mit"})
    tensors, said = read_weights(tmp_path / "w.safetensors")
    assert said == {"license": "mit"}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    "content",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3},
        {"model": {"state_dict": {f"module.{name}": t for name, t in TENSORS.items()}}},
        {f"_orig_mod.{name}": t for name, t in TENSORS.items()},
    ],
)
def test_what_training_scripts_save_is_unwrapped(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth")[0].keys() == TENSORS.keys()


def test_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (nn.Linear(1, 1), {"weight": Evil()}):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(InputError, match="what is pickled is never run"):
            read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 cut"])
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_weights(tmp_path / name)


def test_what_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds a list; expected tensors by name"):
        read_weights(tmp_path / "list.pth")
    torch.save({"epoch": 1}, tmp_path / "none.pth")
    with pytest.raises(InputError, match="holds no tensors"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(InputError, match="Is a directory"):
        read_weights(tmp_path)


def test_json_names_things(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") == {}
    for text in ("{", "[1]", "\udcff"):
        (tmp_path / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError, match=r"x\.json"):
            read_json(tmp_path / "x.json")
