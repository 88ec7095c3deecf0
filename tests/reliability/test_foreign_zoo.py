"""A zoo from someone else."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from PIL import Image

from tans.workflow import verify
from tans.zoo.blobs import Files, LocalBlobs
from tans.zoo.zoo import Zoo
from tests.reliability.counting import Trials
from tests.reliability.whole_zoo import Command

Rows = list[dict[str, Any]]


def rewrite(folder: Path, table: str, change: Callable[[Rows], object]) -> None:
    """A table as somebody else may write it: of changed rows, and without seals."""
    database = lancedb.connect(folder)
    stored = database.open_table(table).to_arrow()
    rows = stored.to_pylist()
    change(rows)
    database.create_table(table, pa.Table.from_pylist(rows, stored.schema), mode="overwrite")
    unseal(folder)


def unseal(folder: Path) -> None:
    for seals in (folder / "seals", folder / "retrieval" / "seals"):
        shutil.rmtree(seals, ignore_errors=True)


def restored(folder: Path, whole: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(whole, folder, symlinks=True)


def setting(column: str, value: Any) -> Callable[[Rows], object]:
    """Change a column of all rows."""
    return lambda rows: [row.update({column: value}) for row in rows]


ENTRIES = {
    "id": [None, ""],
    "origins": [None, [], [None], [""], ["elsewhere"]],
    "task": [None, "elsewhere"],
    "family": [None, ""],
    "name": [None, ""],
    "size": [None, 0, -5, 30_000, 2**62],
    "mean": [None, [float("nan")] * 3, [-1.0, 0.0, 0.0], [1e9] * 3],
    "std": [None, [0.0] * 3, [float("inf")] * 3, [-1.0] * 3],
    "weights": [None, "", "../../x", "A" * 64, "0" * 63, "/etc/passwd", "0" * 64 + "\n"],
    "place": ["", "/etc/passwd", "file:///etc/passwd", "package:x"],
    "licence": [None],
    "width": [None, 0, -1],
    "body_params": [None, 0, -(2**60)],
    "body_flops": [None, 0, -1],
    "val_accuracy": [-0.1, 1.5, float("nan"), float("inf")],
    "accuracy": [-0.1, 1.5, float("nan"), float("inf")],
}
TASKS = {
    "name": [None, ""],
    "classes": [None, [None]],
    "card": [None, "", "{half", "[]", "{}", '"text"', '{"family": "x"}', "[" * 100_000],
    "sheet": ["../../x", "", "0" * 63],
    "features": ["../../x", "", "0" * 63],
    "weights": ["../../x", ""],
    "train_images": [None, -1],
    "cost_s": [None, -1.0, float("nan"), float("inf")],
}
TRANSFERS = {
    "source": [None, ""],
    "target": [None, ""],
    "epochs": [None, -1],
    "images": [None, -1],
    "accuracy": [None, -0.1, 1.5, float("nan")],
    "seed": [None],
    "seconds": [None, -1.0, float("nan"), float("inf")],
}
LOGS = {
    "costs": {"task": [None], "step": [None, ""], "count": [None, -1], "seconds": [None, -1.0]},
    "ledger": {
        "pair": [None, ""],
        "accuracy": [None, 1.5, float("nan")],
        "growth": [None, float("inf")],
        "latency_ms": [-1.0],
    },
}


def each(values: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(column, value) for column, wrong in values.items() for value in wrong]


@pytest.mark.long
def test_wrong_entries(
    broken_zoo: Path,
    whole_zoo: Zoo,
    fails: Command,
    trials: Trials,
) -> None:
    """A column of the networks holds what cannot be: one error from `tans zoo list`"""
    for column, value in each(ENTRIES):
        with trials.trial((column, value)):
            restored(broken_zoo, whole_zoo.path)
            rewrite(broken_zoo, "entries", setting(column, value))
            error = fails("zoo", "list", "--zoo", broken_zoo)
            assert "entries.lance is damaged" in error
            assert "row" in error
            assert column in error or value in (None, ["elsewhere"])


@pytest.mark.long
def test_wrong_tasks(
    broken_zoo: Path,
    whole_zoo: Zoo,
    fails: Command,
    trials: Trials,
) -> None:
    """A column of the source tasks holds what cannot be: one error from `tans zoo list`"""
    for column, value in each(TASKS):
        with trials.trial((column, value)):
            restored(broken_zoo, whole_zoo.path)
            rewrite(broken_zoo, "tasks", setting(column, value))
            error = fails("zoo", "list", "--zoo", broken_zoo)
            assert "tasks.lance is damaged" in error
            assert "row" in error
            assert column in error


@pytest.mark.long
def test_wrong_transfers_and_logs(
    broken_zoo: Path,
    whole_zoo: Zoo,
    trials: Trials,
) -> None:
    """A column of transfers, costs or the ledger holds what cannot be: one error when read"""
    reads: dict[str, Callable[[Zoo], object]] = {
        "transfers": Zoo.transfers,
        "costs": lambda zoo: zoo.costs.read(),
        "ledger": lambda zoo: zoo.ledger.read(),
    }
    for table, values in {"transfers": TRANSFERS, **LOGS}.items():
        for column, value in each(values):
            with trials.trial((table, column, value)):
                restored(broken_zoo, whole_zoo.path)
                rewrite(broken_zoo, table, setting(column, value))
                with pytest.raises(Exception, match=f"{table}.lance is damaged .*{column}"):
                    reads[table](Zoo.open(broken_zoo))


@pytest.mark.long
def test_wrong_vectors(
    broken_zoo: Path,
    whole_zoo: Zoo,
    trials: Trials,
) -> None:
    """A vector holds what is no number, or has another length: one error when read"""
    wrong = {
        "similarities": [[0.5] * 3, [float("nan")] * 496, [None] * 496],
        "functional": [[float("inf")] * 1280, [None] * 1280],
        "topology": [[float("nan")] * 36, [None]],
    }
    for column, value in each(wrong):
        with trials.trial((column, value[:1], len(value))):
            restored(broken_zoo, whole_zoo.path)
            rewrite(broken_zoo, "entries", setting(column, value))
            with pytest.raises(Exception, match=f"entries.lance is damaged .*{column}"):
                Zoo.open(broken_zoo).entries()
            if value[0] != 0.5:
                with pytest.raises(Exception, match=f"entries.lance is damaged .*{column}"):
                    Zoo.open(broken_zoo).matrix(column)


@pytest.mark.long
def test_wrong_columns(
    broken_zoo: Path,
    whole_zoo: Zoo,
    fails: Command,
    trials: Trials,
) -> None:
    """A table has a column too many, too few, or of another type: one error"""
    for table in ("entries", "tasks"):
        for change in (
            lambda t: t.append_column("more", pa.array([1] * len(t))),
            lambda t: t.drop_columns(["weights"]),
            lambda t: t.set_column(
                t.column_names.index("weights"), "weights", pa.array([1] * len(t))
            ),
            lambda t: t.select(t.column_names[:1]).rename_columns(["other"]),
        ):
            with trials.trial((table, change)):
                restored(broken_zoo, whole_zoo.path)
                database = lancedb.connect(broken_zoo)
                rows = change(database.open_table(table).to_arrow())
                database.create_table(table, rows, mode="overwrite")
                unseal(broken_zoo)
                assert "column" in fails("zoo", "list", "--zoo", broken_zoo)


@pytest.mark.long
def test_wrong_manifests(
    broken_zoo: Path,
    colours: Path,
    fails: Command,
    trials: Trials,
) -> None:
    """`zoo.json`, `retriever.json` or `judge.json` is no JSON, of another schema, or absurd"""
    unseal(broken_zoo)
    zoo, retriever, judge = (
        broken_zoo / name
        for name in ("zoo.json", "retrieval/retriever.json", "retrieval/judge.json")
    )
    changes: list[tuple[Path, Callable[[dict[str, Any]], object]]] = [
        *[(path, lambda f: f.update(schema=99)) for path in (zoo, retriever, judge)],
        *[(path, lambda f: f.pop("schema")) for path in (zoo, retriever, judge)],
        *[(path, lambda f: f.update(more=1)) for path in (zoo, retriever, judge)],
        (zoo, lambda f: f["base"].update(weights="../../x")),
        (zoo, lambda f: f["base"].update(weights="0" * 64)),
        (zoo, lambda f: f["base"]["ref"].update(family="other")),
        (zoo, lambda f: f["base"]["ref"].update(name="lite0:9x9")),
        (zoo, lambda f: f["base"]["ref"]["input"].update(size=30_000)),
        (retriever, lambda f: f["files"].update(weights="../weights/x.safetensors")),
        (retriever, lambda f: f["files"].update(models="/etc/passwd")),
        (retriever, lambda f: f["settings"].update(dim=10**9)),
        (retriever, lambda f: f["settings"].update(members=10**9)),
        (retriever, lambda f: f["settings"].update(hidden=10**12)),
        (retriever, lambda f: f.update(features=10**12)),
        (retriever, lambda f: f["parts"].update(topology=10**12)),
        (retriever, lambda f: f.update(networks=f["networks"][:8])),
        (judge, lambda f: f.update(weights=[float("nan")] * 4)),
        (judge, lambda f: f.update(margin=-1)),
        (judge, lambda f: f.update(mean=[1.0])),
    ]
    for number, (path, change) in enumerate(changes):
        sound = path.read_text()
        with trials.trial((path.name, number)):
            fields = json.loads(sound)
            change(fields)
            path.write_text(json.dumps(fields))
            fails("search", colours, "--zoo", broken_zoo, "--look", 1)
        path.write_text(sound)
    for path in (zoo, retriever, judge):
        for text in ("", "[]", "null", "{", "[" * 100_000, "\0"):
            sound = path.read_text()
            with trials.trial((path.name, text[:5])):
                path.write_text(text)
                fails("search", colours, "--zoo", broken_zoo, "--look", 1)
            path.write_text(sound)


class Opened:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def header(shape: list[int], end: int, pad: int = 0) -> bytes:
    text = json.dumps({"w": {"dtype": "F16", "shape": shape, "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(text) + pad) + text + b" " * pad


def hostile_weights(trap: Path, sound: bytes) -> dict[str, bytes]:
    """Contents in place of weights."""
    state = safetensors.torch.load(sound)
    metadata = json.loads(sound[8 : 8 + int.from_bytes(sound[:8], "little")])["__metadata__"]

    def saved(tensors: dict[str, torch.Tensor], **more: str) -> bytes:
        return safetensors.torch.save(tensors, {**metadata, **more})

    scale = next(name for name in state if name.endswith(":scale"))
    steps = scale.replace(":scale", ":steps")
    return {
        "a pickle": pickle.dumps(Opened(trap)),
        "nothing": b"",
        "a header of 2**60 bytes": struct.pack("<Q", 2**60) + b"{}",
        "a header that is no JSON": struct.pack("<Q", 4) + b"{{{{",
        "an absurd shape": header([2**40, 2**40], 4) + b"1234",
        "more than there is": header([10**9], 2 * 10**9) + b"1234",
        "weights that are not finite": saved(
            {**state, scale: torch.full_like(state[scale], torch.nan)}
        ),
        "scales of another shape": saved({**state, scale: state[scale][:1]}),
        "scales without steps": saved({n: t for n, t in state.items() if n != steps}),
        "steps without scales": saved({n: t for n, t in state.items() if n != scale}),
        "steps of another type": saved({**state, steps: state[steps].float()}),
        "scalars": saved({n: torch.tensor(1.0) for n in state}),
        "vectors of another length": saved(
            {n: t[:-1] if t.dim() == 1 and ":" not in n else t for n, t in state.items()}
        ),
        "no tensors": saved({}),
        "a base that is not there": saved(state, base="0" * 64),
        "a base that climbs": saved(state, base="../../x"),
        "complex numbers": saved(
            {**state, "classifier.bias": torch.zeros(3, dtype=torch.complex64)}
        ),
    }


@pytest.mark.long
def test_hostile_weights(
    broken_zoo: Path,
    whole_zoo: Zoo,
    colours: Path,
    fails: Command,
    trials: Trials,
    tmp_path: Path,
) -> None:
    """Weights are a pickle, absurd, not finite or of other shapes: one error, nothing is run"""
    trap, out = tmp_path / "sprung", tmp_path / "out"
    files = Files(LocalBlobs(broken_zoo))
    weights = Zoo.open(broken_zoo).task("red").weights
    contents = hostile_weights(trap, files.get("weights", weights))
    for name, content in contents.items():
        with trials.trial(name):
            restored(broken_zoo, whole_zoo.path)
            digest = files.put("weights", content)

            def point(rows: Rows, digest: str = digest) -> None:
                for row in rows:
                    if row["weights"] == weights:
                        row["weights"] = digest

            for table in ("entries", "tasks"):
                rewrite(broken_zoo, table, point)
            for command in (
                ("finetune", colours, "--network", "red", "-o", out),
                ("search", colours, "--look", 2),
            ):
                fails(*command, "--zoo", broken_zoo)
            assert not trap.exists()
            assert not out.exists()


def webp(width: int, height: int) -> bytes:
    """A WebP that says so much of itself: an extended header and no picture."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def lossless(width: int, height: int, tmp_path: Path) -> bytes:
    Image.new("RGB", (width, height)).save(tmp_path / "x.webp", lossless=True)
    return (tmp_path / "x.webp").read_bytes()


def packed_features(rows: int, width: int, **changes: torch.Tensor) -> bytes:
    stored = {
        "steps": torch.zeros(rows, width, dtype=torch.uint8),
        "scale": torch.ones(width),
        "offset": torch.zeros(width),
        "labels": torch.zeros(rows, dtype=torch.uint8),
    }
    return safetensors.torch.save({**stored, **changes})


@pytest.mark.long
def test_hostile_sheets_and_features(
    broken_zoo: Path,
    tmp_path: Path,
    trials: Trials,
) -> None:
    """A sheet or features are a pickle, absurd, of other sizes or classes: one error"""
    trap, files = tmp_path / "sprung", Files(LocalBlobs(broken_zoo))
    contents = [
        *[("sheet", data) for data in (b"", b"x" * 100, pickle.dumps(Opened(trap)))],
        *[("sheet", webp(w, h)) for w, h in ((512, 512), (16_383, 16_383), (2**24, 2**24))],
        *[("sheet", lossless(w, h, tmp_path)) for w, h in ((64, 64), (3_000, 3_000))],
        *[("features", data) for data in (b"", pickle.dumps(Opened(trap)))],
        ("features", header([2**40, 2**40], 4) + b"1234"),
        ("features", safetensors.torch.save({"steps": torch.zeros(2, 2, dtype=torch.uint8)})),
        ("features", packed_features(5, 7)),
        ("features", packed_features(0, 1280)),
        ("features", packed_features(5, 1280, labels=torch.full((5,), 3, dtype=torch.uint8))),
        ("features", packed_features(5, 1280, labels=torch.full((5,), -1, dtype=torch.int16))),
        ("features", packed_features(5, 1280, labels=torch.zeros(4, dtype=torch.uint8))),
        ("features", packed_features(5, 1280, labels=torch.zeros(5))),
        ("features", packed_features(5, 1280, scale=torch.full((1280,), torch.nan))),
        ("features", packed_features(5, 1280, offset=torch.full((1280,), torch.inf))),
        ("features", packed_features(5, 1280, steps=torch.zeros(5, 1280))),
    ]
    for number, (column, content) in enumerate(contents):
        with trials.trial((column, number)):
            digest = files.put("sheets" if column == "sheet" else "features", content)
            rewrite(broken_zoo, "tasks", setting(column, digest))
            zoo = Zoo.open(broken_zoo)
            with pytest.raises(Exception, match=f"{digest}.* is damaged"):
                (zoo.thumbnails if column == "sheet" else zoo.features)("red")
            assert not trap.exists()


@pytest.mark.long
def test_links_that_lead_out(
    broken_zoo: Path,
    whole_zoo: Zoo,
    colours: Path,
    fails: Command,
    trials: Trials,
) -> None:
    """A file or folder is a link out of the zoo: one error; a link inside it is followed"""
    weights = Zoo.open(broken_zoo).task("red").weights
    names = ["zoo.json", "weights", "sheets", "entries.lance", "tasks.lance", "retrieval"]
    names += ["retrieval/judge.json", f"weights/{weights}.safetensors", "seals"]
    names += [
        str(next(broken_zoo.glob(pattern)).relative_to(broken_zoo))
        for pattern in ("entries.lance/data/*", "entries.lance/_versions/*.manifest")
    ]
    for name in names:
        for inside in (False, True):
            if inside and name == "seals":
                continue
            with trials.trial((name, inside)):
                restored(broken_zoo, whole_zoo.path)
                kept = (broken_zoo if inside else broken_zoo.parent) / "elsewhere"
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink(missing_ok=True)
                (broken_zoo / name).rename(kept)
                (broken_zoo / name).symlink_to(kept)
                if inside and not name.startswith(("retrieval", "seals")):
                    assert Zoo.open(broken_zoo).load(Zoo.open(broken_zoo).entries(task="red")[0].id)
                elif not inside:
                    error = fails("search", colours, "--zoo", broken_zoo, "--look", 2)
                    assert "leads out" in error


@pytest.mark.long
def test_networks_that_no_family_builds(
    broken_zoo: Path,
    whole_zoo: Zoo,
    colours: Path,
    fails: Command,
    trials: Trials,
    tmp_path: Path,
) -> None:
    """A network is of an unknown family, or has a name that none builds: one error where used"""
    wrong = [
        ("family", "of-mine"),
        ("family", "timm"),
        ("name", "lite0"),
        ("name", "lite0:"),
        ("name", "lite0:3x6"),
        ("name", "lite9:3x6,3x6"),
        ("name", "lite0:" + "9" * 5000 + "x1"),
        ("name", "x" * 100_000),
        ("name", "\x1b[31mred"),
    ]
    for column, value in wrong:
        with trials.trial((column, value[:20])):
            restored(broken_zoo, whole_zoo.path)
            rewrite(broken_zoo, "entries", setting(column, value))
            out = tmp_path / "out"
            fails("finetune", colours, "--zoo", broken_zoo, "--network", "red", "-o", out)
            assert not out.exists()
            assert verify(Zoo.open(broken_zoo)).problems


def test_a_folder_that_is_no_zoo(
    tmp_path: Path,
    colours: Path,
    fails: Command,
    trials: Trials,
) -> None:
    """The zoo is a file, an empty folder, or has empty tables: one error from every command"""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    Zoo.create(tmp_path / "bare")
    for name in ("file", "empty", "bare", "nothing"):
        out = tmp_path / "out"
        for command in (
            ("zoo", "show", "x"),
            ("search", colours),
            ("finetune", colours, "-o", out),
            *([] if name == "bare" else [("zoo", "list"), ("zoo", "verify")]),
        ):
            with trials.trial((name, *command[:2])):
                fails(*command, "--zoo", tmp_path / name)
                assert not out.exists()
