"""Repositories of a hub, and folders of both layouts; the hub is a server on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
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

SIZES = {"vit": 32}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of what a hub holds, by owner and name."""
    held = tmp_path / "held"

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.wfile.write(self.answer())

        def answer(self) -> bytes:
            owner, name, _, _, *rest = self.path.strip("/").split("/")
            path = held / owner / name / "/".join(rest)
            content = path.read_bytes() if path.is_file() else b""
            self.send_response(200 if path.is_file() else 404)
            if not path.is_file():
                known = (held / owner / name).is_dir()
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return content

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield held
        server.shutdown()


def test_a_repository_of_timms_layout(hub: Path) -> None:
    timm_folder(hub / "leafers" / "tiny")
    incoming = read_network("hf-hub:leafers/tiny", Stated())
    assert (incoming.ref.family, incoming.ref.name) == ("timm", "test_efficientnet")
    assert incoming.settled.licence == "Apache-2.0"
    assert incoming.settled.origins == ("imagenet",)


def test_a_repository_of_transformers_layout(hub: Path) -> None:
    transformers_folder(hub / "leafers" / "vit", "vit")
    incoming = read_network("hf-hub:leafers/vit", Stated(origin="leaves"))
    assert incoming.ref.family == "transformers"
    assert incoming.classes == LEAVES


def test_what_the_hub_lacks_is_told(hub: Path) -> None:
    (hub / "leafers" / "empty").mkdir(parents=True)
    with pytest.raises(InputError, match="holds neither config.json nor weights"):
        read_network("hf-hub:leafers/empty", Stated())
    with pytest.raises(InputError, match=r"cannot be fetched .*has no such repository"):
        read_network("hf-hub:leafers/none", Stated())
    with pytest.raises(InputError, match="names no repository; expected hf-hub:OWNER/NAME"):
        read_network("hf-hub:leafers", Stated())


@pytest.mark.slow
def test_a_hub_out_of_reach_is_one_clear_error(
    hub: Path,  # noqa: ARG001 - for its own cache
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="the hub is out of reach.*give a folder of it"):
        read_network("hf-hub:leafers/vit", Stated())


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
