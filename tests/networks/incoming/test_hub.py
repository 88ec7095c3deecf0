"""Repositories of a hub, and folders of both layouts; the hub is a server on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.errors import InputError
from tans.networks.families.transformers import TRANSFORMERS
from tans.networks.incoming.incoming import Stated
from tans.networks.incoming.reading import read_network
from tans.types import InputSpec, NetworkRef
from tests.networks.incoming.sources import (
    CONFIGS,
    LEAVES,
    timm_folder,
    transformers_folder,
    transformers_network,
)
from tests.stub_hub import StubHub

SIZES = {"vit": 32}


def test_a_repository_of_timms_layout(hub: StubHub) -> None:
    timm_folder(hub.held / "leafers" / "tiny")
    incoming = read_network("hf-hub:leafers/tiny", Stated())
    assert (incoming.ref.family, incoming.ref.name) == ("timm", "test_efficientnet")
    assert incoming.settled.licence == "Apache-2.0"
    assert incoming.settled.origins == ("imagenet",)


def test_a_repository_of_transformers_layout(hub: StubHub) -> None:
    transformers_folder(hub.held / "leafers" / "vit", "vit")
    incoming = read_network("hf-hub:leafers/vit", Stated(origin="leaves"))
    assert incoming.ref.family == "transformers"
    assert incoming.classes == LEAVES


def test_what_the_hub_lacks_is_told(hub: StubHub) -> None:
    (hub.held / "leafers" / "empty").mkdir(parents=True)
    with pytest.raises(InputError, match="holds neither config.json nor weights"):
        read_network("hf-hub:leafers/empty", Stated())
    with pytest.raises(InputError, match=r"cannot be fetched .*has no such repository"):
        read_network("hf-hub:leafers/none", Stated())
    with pytest.raises(InputError, match="names no repository; expected hf-hub:OWNER/NAME"):
        read_network("hf-hub:leafers", Stated())


@pytest.mark.parametrize("ails", ["gone", "busy"])
def test_where_the_hub_does_not_answer_what_was_fetched_before_is_read(
    hub: StubHub, monkeypatch: pytest.MonkeyPatch, ails: str
) -> None:
    for name in ("vit", "never"):
        transformers_folder(hub.held / "leafers" / name, "vit")
    before = read_network("hf-hub:leafers/vit", Stated(origin="leaves"))
    hub.asked.clear()
    if ails == "gone":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.ails.update(dict.fromkeys(("leafers/vit", "leafers/never"), ails))
    again = read_network("hf-hub:leafers/vit", Stated(origin="leaves"))
    assert (again.ref, again.classes) == (before.ref, before.classes)
    assert all(torch.equal(again.weights[name], own) for name, own in before.weights.items())
    with pytest.raises(InputError, match="the hub is out of reach.*give a folder of it"):
        read_network("hf-hub:leafers/never", Stated(origin="leaves"))
    assert not hub.asked


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_of_transformers_layout(tmp_path: Path, kind: str) -> None:
    folder = transformers_folder(tmp_path / "net", kind)
    incoming = read_network(str(folder), Stated(origin="leaves"))
    assert incoming.settled.licence == "CC-BY-4.0"
    assert incoming.classes == LEAVES
    assert incoming.ref.input.size == 32
    assert incoming.ref.input.mean == (127.5, 102.0, 76.5)
    network = TRANSFORMERS.build(incoming.ref, 5).eval()
    network.load_weights(incoming.weights)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = transformers_network(kind)(x).logits
    torch.testing.assert_close(network(x), expected)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "net", "vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match="are not those of its config.json"):
        read_network(str(folder), Stated(origin="leaves"))


def test_code_beside_weights_is_not_run(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "net", "vit")
    config = json.loads((folder / "config.json").read_text())
    own = {"model_type": "mine", "auto_map": {"AutoModel": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    (folder / "mine.py").write_text("raise SystemExit('ran')")
    with pytest.raises(InputError, match="runs code of its own, which is refused"):
        read_network(str(folder), Stated(origin="leaves"))


def test_what_is_not_said_is_asked_for(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "net", "vit", "license: other\nlicense_name: mine")
    with pytest.raises(InputError, match="licence 'mine'.*LicenseRef-mine"):
        read_network(str(folder), Stated(origin="leaves"))
    (folder / "README.md").unlink()
    with pytest.raises(InputError, match=r"no licence stands in .*README.md; give --licence"):
        read_network(str(folder), Stated(origin="leaves"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match="give --mean"):
        read_network(str(folder), Stated(origin="leaves", licence="mit"))


def test_folders_of_neither_layout_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 3}')
    for _ in range(2):
        with pytest.raises(InputError, match="is of no known layout; expected config.json"):
            read_network(str(tmp_path), Stated())
        (tmp_path / "config.json").unlink(missing_ok=True)
    pickled = timm_folder(tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(torch.nn.Linear(1, 1), pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="what is pickled is never run"):
        read_network(str(pickled), Stated())


def test_names_that_could_fetch_or_fill_memory_are_refused() -> None:
    ref = NetworkRef("transformers", "", InputSpec(32))
    for name, expected in (
        ('vit {"_attn_implementation":"owner/kernels"}', "has no setting"),
        ('vit {"num_hidden_layers":1000000}', "no network that can be built"),
        ('timm_wrapper {"architecture":"resnet18"}', "no image classifier of type"),
        ("bert {}", "no image classifier of type"),
        ("siglip {}", "reads text too"),
        ("vit [1]", "names no network"),
        ('vit {"hidden_act":"nonsense","image_size":32}', "cannot be built"),
        ('vit {"image_size":64}', "takes no images of 32 pixels"),
    ):
        with pytest.raises(InputError, match=expected):
            TRANSFORMERS.describe(replace(ref, name=name))
