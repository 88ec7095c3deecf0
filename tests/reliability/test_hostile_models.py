"""Fine-tuned folders that others send."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from tans import cli
from tans.errors import InputError
from tans.export.finetuned import load_finetuned, save_finetuned
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.tasks.task import Task
from tans.training import Epoch, FineTuned, Recipe
from tests.reliability.counting import Trials
from tests.small_zoo import drawn_task

CARD, WEIGHTS = "model.json", "model.safetensors"
HEAD = "classifier.weight"
LOST = object()
"""In place of a value: the field is left out."""
DEEP = 100_000


@pytest.fixture(scope="module")
def task() -> Task:
    return drawn_task("red", "one")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, task: Task) -> Path:
    """A folder as `tans finetune` writes it."""
    torch.manual_seed(0)
    network = build(ref_of(LITE0.smallest, 32), 3).eval()
    history = (Epoch(1, 1.2, 0.5, 0.5, 0.5),)
    counts = torch.eye(3, dtype=torch.int64)
    tuned = FineTuned(network, history, 1, 1.0, counts, 1.1, task.classes, Recipe(epochs=1))
    folder = tmp_path_factory.mktemp("sound") / "tuned"
    save_finetuned(folder, tuned, task)
    return folder


@pytest.fixture
def sent(sound: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with parts of its own."""

    def make(
        card: bytes | None = None,
        content: bytes | None = None,
        changes: Mapping[str, object] = MappingProxyType({}),
    ) -> Path:
        folder = tmp_path / "sent"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        content = (sound / WEIGHTS).read_bytes() if content is None else content
        own = json.loads((sound / CARD).read_text())
        own["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
        for place, value in changes.items():
            put(own, place.split("."), value)
        (folder / WEIGHTS).write_bytes(content)
        (folder / CARD).write_bytes(json.dumps(own).encode() if card is None else card)
        return folder

    return make


def put(fields: dict[str, Any], place: list[str], value: object) -> None:
    *above, last = place
    for name in above:
        fields = fields[name]
    if value is LOST:
        del fields[last]
    else:
        fields[last] = value


def refuse(folder: Path) -> str:
    """The one error that loading gives, short enough to be read."""
    with pytest.raises(InputError) as refused:
        load_finetuned(folder)
    said = str(refused.value)
    assert len(said) < 1000, said[:1000]
    assert "fine-tune" in said
    assert "\n" not in said
    return said


def test_what_is_sound_is_loaded(trials: Trials, sent: Callable[..., Path], task: Task) -> None:
    """A sound folder is loaded, also through links"""
    for name in ("plain", CARD, WEIGHTS):
        with trials.trial(name):
            folder = sent()
            if name != "plain":
                (folder / name).rename(folder / "elsewhere")
                (folder / name).symlink_to("elsewhere")
            assert load_finetuned(folder).classes == task.classes


@pytest.mark.parametrize(
    "card",
    [
        b"",
        b"hello",
        pickle.dumps({"schema": 3}),
        b"[]",
        b"null",
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"schema":' + b"9" * 5000 + b"}",
        b'{"schema":NaN}',
        b'{"schema":3,"x":"\xff"}',
        b'{"schema":3,"schema":99}',
    ],
    ids=str,
)
def test_a_description_that_is_none(trials: Trials, sent: Callable[..., Path], card: bytes) -> None:
    """The description is no JSON, no fields, or nested without end"""
    with trials.trial(card[:20]):
        refuse(sent(card=card))


FIELDS: dict[str, tuple[object, ...]] = {
    "schema": (LOST, 0, -1, 2**70, 99, True, 3.0, "3", None, [3]),
    "network": (LOST, None, 5, "timm", [], {}, [[]]),
    "network.family": (LOST, None, 5, "", "nope", "../elastic", "hf-hub", "elastic\n"),
    "network.name": (
        *(LOST, None, 5, "", "lite0", "lite0:", "lite0:9x9", "lite0:" + "3x3|" * DEEP),
        *("lite0:" + "9" * 5000 + "x3", "nope:3x3", "/etc/passwd", "http://x/y", "lite0:-1x3"),
    ),
    "network.input": (LOST, None, 32, [], {}),
    "network.input.size": (
        *(LOST, None, 0, -1, 30_000, 10**9, 10**18, 10**30, 1.5, "big", float("nan")),
    ),
    "network.input.mean": (
        *(LOST, None, [float("nan")] * 3, [float("inf")] * 3, [-1] * 3, [1, 2], [1] * 4, ["a"] * 3),
    ),
    "network.input.std": (
        *(LOST, None, [0] * 3, [float("nan")] * 3, [float("inf")] * 3, [-1] * 3, [1e-320] * 3),
        *([1e300] * 3, [1, 2], [1] * 4, ["a"] * 3),
    ),
    "classes": (
        *(LOST, None, 5, "abc", {"a": 1}, [], ["a"], ["a", "b"], ["a", "b", "c", "d"]),
        *(["a"] * 3, ["a", "b", ""], ["a", "b", " "], ["a", "b", 3], ["a", "b", None]),
    ),
    "reading": (LOST, None, 5, [], {}),
    "reading.ranges": (LOST, {"uint8": [0, 1]}, {"uint16": [1, 0]}, {"uint16": [0, float("inf")]}),
    "reading.ground": (LOST, [0, 0], [300] * 3, ["a"] * 3, [1.5] * 3),
    "temperature": (LOST, None, 0, -1, float("nan"), float("inf"), 1e-320, 1e30, "warm"),
    "weights": (LOST, None, 5, "x", [], {}),
    "weights.file": (LOST, None, 5, "../model.safetensors", "/etc/passwd", "model.pt"),
    "weights.sha256": (LOST, None, 5, "0" * 64),
}


@pytest.mark.parametrize("field", FIELDS)
def test_fields_that_lack_or_cannot_be(
    trials: Trials, sent: Callable[..., Path], field: str
) -> None:
    """A field of the description lacks, is of another type, or says what cannot be"""
    for value in FIELDS[field]:
        with trials.trial(f"{field}={str(value)[:40]}"):
            refuse(sent(changes={field: value}))


@pytest.mark.parametrize(
    "name",
    [
        *("", "../x", "hf-hub:timm/resnet18.a1_in1k", "hf_hub:evil/model", "local-dir:/tmp"),
        *("http://example.com/x", "resnet18.nope", "timm/resnet18", "vit_base_patch16_224"),
        *("resnet18", "eva_giant_patch14_560"),
    ],
)
def test_names_of_other_networks(trials: Trials, sent: Callable[..., Path], name: str) -> None:
    """A network of timm that there is not, that lies elsewhere, or that the weights are not of"""
    with trials.trial(name):
        refuse(sent(changes={"network.family": "timm", "network.name": name}))


def test_a_large_network_of_small_weights_takes_no_memory(
    trials: Trials, sent: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of gigabytes whose weights are none is refused before it is built"""
    real = torch.nn.init.kaiming_uniform_

    def drawn(tensor: Tensor, *given: Any, **named: Any) -> Tensor:
        assert tensor.is_meta, "memory was asked for"
        return real(tensor, *given, **named)

    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", drawn)
    with trials.trial("a head of a million outputs"):
        refuse(sent(changes={"classes": [str(number) for number in range(10**6)]}))


def changed(sound: Path, change: Callable[[dict[str, Tensor]], object]) -> bytes:
    tensors = dict(load((sound / WEIGHTS).read_bytes()))
    change(tensors)
    return save(tensors)


def with_header(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def claims(shape: list[int], end: int) -> bytes:
    return with_header({HEAD: {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}})


def of_torch() -> bytes:
    stream = io.BytesIO()
    torch.save({HEAD: torch.zeros(3, 3)}, stream)
    return stream.getvalue()


FILES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "pickle": lambda _: pickle.dumps({HEAD: 1}),
    "torch": lambda _: of_torch(),
    "cut in half": lambda data: data[: len(data) // 2],
    "cut by a byte": lambda data: data[:-1],
    "too long": lambda data: data + b"x",
    "far too long": lambda data: data + b"\0" * 2**25,
    "header of 2^62 bytes": lambda _: struct.pack("<Q", 2**62) + b"{}",
    "10^15 elements": lambda _: claims([10**15], 4 * 10**15),
    "10^15 elements of no bytes": lambda _: claims([10**15], 0),
    "none times 10^15": lambda _: claims([0, 10**15], 0),
    "a negative size": lambda _: claims([-1], 4),
    "no tensor": lambda _: with_header({}),
}

TENSORS: Mapping[str, Callable[[dict[str, Tensor]], object]] = {
    "NaN": lambda t: t[HEAD].fill_(float("nan")),
    "infinite": lambda t: t[HEAD].fill_(float("inf")),
    "one NaN in statistics": lambda t: (
        next(v for k, v in t.items() if "running_var" in k).view(-1)[0].fill_(float("nan"))
    ),
    "missing": lambda t: t.pop(HEAD),
    "one more": lambda t: t.update(more=torch.zeros(1)),
    "renamed": lambda t: t.update({"../x": t.pop(HEAD)}),
    "another shape": lambda t: t.update({HEAD: torch.zeros(5, 5)}),
    "transposed": lambda t: t.update({HEAD: t[HEAD].T.contiguous()}),
    "a number": lambda t: t.update({HEAD: torch.tensor(1.0)}),
    "integers": lambda t: t.update({HEAD: t[HEAD].int()}),
    "truths": lambda t: t.update({HEAD: t[HEAD].bool()}),
    "8 bits": lambda t: t.update({HEAD: t[HEAD].to(torch.float8_e4m3fn)}),
    "64 bits": lambda t: t.update({HEAD: t[HEAD].double()}),
}


def test_files_of_weights_that_are_none(
    trials: Trials, sent: Callable[..., Path], sound: Path
) -> None:
    """The weights are a pickle, cut, too long, or claim what is not there"""
    for name, change in FILES.items():
        with trials.trial(name):
            refuse(sent(content=change((sound / WEIGHTS).read_bytes())))


def test_tensors_that_do_not_fit(trials: Trials, sent: Callable[..., Path], sound: Path) -> None:
    """A tensor lacks, is one too many, of another shape or type, or not finite"""
    for name, change in TENSORS.items():
        with trials.trial(name):
            said = refuse(sent(content=changed(sound, change)))
            assert "classifier.weight" in said or name in (
                "one NaN in statistics",
                "one more",
                "renamed",
            )


def test_weights_that_give_no_number(
    trials: Trials, sent: Callable[..., Path], sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finite weights that give no number give no label, and that is told"""
    image = sound.parent / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(image)
    changes: dict[str, Callable[[dict[str, Tensor]], object]] = {
        "negative variances": lambda t: [v.fill_(-1) for k, v in t.items() if "running_var" in k],
        "huge": lambda t: [v.fill_(3e38) for k, v in t.items() if v.is_floating_point()],
    }
    for name, change in changes.items():
        with trials.trial(name):
            folder = sent(content=changed(sound, change))
            with pytest.raises(SystemExit) as stopped:
                cli.main(["predict", str(folder), str(image)])
            out, err = capsys.readouterr()
            assert (stopped.value.code, out) == (1, "")
            assert "the network gives no number" in err


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def lost(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**42)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_places_without_an_end(trials: Trials, sent: Callable[..., Path], name: str) -> None:
    """In place of a file a pipe, a device, a folder, a link to nowhere, or terabytes of nothing"""
    for kind in (pipe, device, lost, loop, endless, Path.mkdir):
        with trials.trial(kind.__name__):
            folder = sent()
            (folder / name).unlink()
            try:
                kind(folder / name)
            except OSError as error:
                if error.errno != errno.EFBIG:  # the disk under the tests knows no such file
                    raise
            refuse(folder)


def test_what_is_sent_stays_as_it_is(trials: Trials, sent: Callable[..., Path]) -> None:
    """A folder that is refused is not changed, and no network is saved over it"""
    for changes in ({"network.name": "../x"}, {"classes": []}, {"weights.sha256": "0" * 64}):
        with trials.trial(changes):
            folder = sent(changes=changes)
            content = {path.name: path.read_bytes() for path in folder.iterdir()}
            refuse(folder)
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == content
