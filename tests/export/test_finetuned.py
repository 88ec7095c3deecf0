from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tans.errors import InputError, TansWarning
from tans.export.finetuned import check_writable, load_finetuned, predict_files, save_finetuned
from tans.licences import LicenceChain
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import Network, prepare
from tans.novelty import Novelty
from tans.tasks.findings import Findings
from tans.tasks.reading import Reading
from tans.tasks.task import Task, TaskCard
from tans.temperature import Calibration
from tans.training import Epoch, FineTuned, Recipe
from tests.zoo.conftest import make_entry

RESOLUTION = 32
ENTRY = replace(
    make_entry("0" * 64, ref_of(LITE0.smallest, RESOLUTION), "icons"),
    id="icons-0badcafe",
    licence="Apache-2.0",
)
COLOURS = {"red": (230, 20, 20), "grün": (20, 200, 20), "blue": (20, 20, 230)}


@pytest.fixture(scope="module")
def task() -> Task:
    images = torch.zeros(30, 3, 16, 16, dtype=torch.uint8)
    card = TaskCard("colours", "1", "CC0-1.0", "drawn")
    return Task.from_arrays("colours", images, torch.arange(30) % 3, tuple(COLOURS), card)


@pytest.fixture(scope="module")
def tuned() -> FineTuned:
    torch.manual_seed(0)
    return finetuned(build(ref_of(LITE0.smallest, RESOLUTION), 3).eval())


@pytest.fixture
def folder(tmp_path: Path, tuned: FineTuned, task: Task) -> Path:
    save_finetuned(tmp_path / "out", tuned, task)
    return tmp_path / "out"


def finetuned(network: Network, val: float = 0.5) -> FineTuned:
    history = (Epoch(1, 1.2, val, val, 0.5), Epoch(2, 0.7, val, val, 1.0))
    confusion = torch.tensor([[2, 0, 0], [1, 1, 0], [0, 0, 2]])
    recipe = Recipe(epochs=2, seed=7)
    return FineTuned(network, history, 2, 5 / 6, confusion, 1.1, tuple(COLOURS), recipe, ENTRY)


def draw(path: Path, colour: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 12), COLOURS[colour]).save(path)
    return path


def test_loaded_network_computes_what_the_saved_one_does(folder: Path, tuned: FineTuned) -> None:
    exported = load_finetuned(folder)
    images = torch.randint(0, 256, (2, 3, RESOLUTION, RESOLUTION), dtype=torch.uint8)
    x = prepare(images, tuned.network.input)
    with torch.no_grad():
        torch.testing.assert_close(exported.network(x), tuned.network(x))
    assert not exported.network.training
    assert exported.classes == tuple(COLOURS)
    assert exported.resolution == RESOLUTION
    assert exported.network.ref == tuned.network.ref


def test_a_deep_head_is_saved_and_loaded(tmp_path: Path, task: Task) -> None:
    network = build(ref_of(LITE0.smallest, RESOLUTION), 3).eval()
    network.replace_head(3, seed=1, deep=True)
    save_finetuned(tmp_path, finetuned(network), task)
    loaded = load_finetuned(tmp_path).network
    assert loaded.is_deep
    x = torch.randn(2, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(loaded(x), network(x), atol=1e-6)


def test_description_says_all_that_is_needed_to_use_and_to_trace_it(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    assert card["network"] == {
        "family": "elastic",
        "name": str(LITE0.smallest),
        "input": {"size": RESOLUTION, "mean": [127, 127, 127], "std": [128, 128, 128]},
    }
    assert card["source"] == {"entry": "icons-0badcafe", "licence": "Apache-2.0"}
    assert card["recipe"]["seed"] == 7
    assert (card["best_epoch"], card["test_images"]) == (2, 6)
    assert [epoch["epoch"] for epoch in card["history"]] == [1, 2]
    assert card["confusion"][1] == [1, 1, 0]
    assert card["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert (card["commonest_class"], card["commonest_share"]) == ("red", pytest.approx(1 / 3))
    assert card["recall"][1] == {"class": "grün", "test_images": 2, "found": 1, "recall": 0.5}
    assert card["accuracy_interval"][0] < card["test_accuracy"] < card["accuracy_interval"][1]
    assert "6 test images are too few to tell" in card["warnings"][0]
    preprocessing = card["preprocessing"]
    assert (preprocessing["mean"], preprocessing["std"]) == ([127] * 3, [128] * 3)
    assert preprocessing["size"] == [RESOLUTION, RESOLUTION]
    assert "32 x 32" in preprocessing["words"]
    assert "(x - 127) / 128" in preprocessing["words"]
    assert card == load_finetuned(folder).card


def test_a_network_of_no_zoo_names_no_source(tmp_path: Path, tuned: FineTuned, task: Task) -> None:
    save_finetuned(tmp_path, replace(tuned, entry=None), task)
    assert load_finetuned(tmp_path).card["source"] == {"entry": None, "licence": None}


def test_missing_validation_is_valid_json(tmp_path: Path, tuned: FineTuned, task: Task) -> None:
    save_finetuned(tmp_path, finetuned(tuned.network, val=float("nan")), task)
    text = (tmp_path / "model.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["history"][0]["val_accuracy"] is None


def test_saving_again_replaces_the_network_and_keeps_other_files(folder: Path, task: Task) -> None:
    (folder / "report.html").write_text("kept")
    other = build(ref_of(LITE0.largest, RESOLUTION), 3).eval()
    save_finetuned(folder, finetuned(other), task)
    assert load_finetuned(folder).network.ref == other.ref
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.md", "model.json", "model.safetensors", "report.html"}


def test_the_card_lies_beside_the_network(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "# colours\n" in text
    assert "from `icons-0badcafe`" in text
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert f"| parameters | {card['costs']['params']:,} |" in text
    assert card["licences"] == {"network": "Apache-2.0", "base": None, "data": None}
    assert card["images"] == {"source": "colours", "licence": "CC0-1.0", "groups": None}


def test_licences_of_all_that_it_came_from_are_kept(
    tmp_path: Path, tuned: FineTuned, task: Task
) -> None:
    chain = LicenceChain("MIT", "Apache-2.0", "CC-BY-4.0")
    save_finetuned(tmp_path, replace(tuned, licences=chain), task)
    assert load_finetuned(tmp_path).card["licences"] == asdict(chain)


def test_a_readme_of_others_stays_and_is_told(tmp_path: Path, tuned: FineTuned, task: Task) -> None:
    (tmp_path / "README.md").write_text("# mine")
    with pytest.warns(TansWarning, match=r"README.md is not of tans, and stays"):
        save_finetuned(tmp_path, tuned, task)
    assert (tmp_path / "README.md").read_text() == "# mine"
    assert load_finetuned(tmp_path).classes == task.classes


def test_exports_of_the_network_before_are_told(folder: Path, tuned: FineTuned, task: Task) -> None:
    (folder / "network.onnx").write_bytes(b"older")
    with pytest.warns(TansWarning, match=r"network.onnx in .*run 'tans export' again"):
        save_finetuned(folder, tuned, task)


def test_foreign_description_is_not_overwritten(
    tmp_path: Path, tuned: FineTuned, task: Task
) -> None:
    (tmp_path / "model.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match="give another folder"):
        save_finetuned(tmp_path, tuned, task)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert (tmp_path / "model.json").read_text() == '{"mine": 1}'


def test_folder_that_cannot_be_made_is_one_error(
    tmp_path: Path, tuned: FineTuned, task: Task
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_finetuned(tmp_path / "file" / "out", tuned, task)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 99, "architecture": ""}'])
def test_folder_without_a_description_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(InputError, match=r"fine-tune"):
        load_finetuned(tmp_path)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no fine-tuned network"):
        load_finetuned(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"family": "elastic", "name": "lite0:9x9", "input": {"size": 32}}},
        {"network": {"family": "elastic", "name": "nowhere:3x3", "input": {"size": 32}}},
        {"network": {"family": "nowhere", "name": "lite0:3x3", "input": {"size": 32}}},
        {"network": 5},
        {"classes": ["one", "two"]},
        {"classes": None},
        {"network": {"family": "elastic", "name": str(LITE0.smallest), "input": {"size": 0}}},
        {"weights": {}},
    ],
)
def test_damaged_description_is_refused(folder: Path, change: dict[str, object]) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | change))
    with pytest.raises(InputError, match="is damaged"):
        load_finetuned(folder)


def test_damaged_or_missing_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"\0\1\2\3")
    with pytest.raises(InputError, match="hash"):
        load_finetuned(folder)
    weights.unlink()
    with pytest.raises(InputError, match="is damaged"):
        load_finetuned(folder)


def test_what_samples_mean_and_the_temperature_travel(
    tmp_path: Path, tuned: FineTuned, task: Task
) -> None:
    reading = Reading({"uint16": (0.0, 4095.0)}, (0, 0, 0))
    deep = replace(task, found=Findings(reading=reading))
    save_finetuned(tmp_path, replace(tuned, calibration=Calibration(1.7, 40)), deep)
    loaded = load_finetuned(tmp_path)
    assert (loaded.reading, loaded.temperature) == (reading, 1.7)
    words = loaded.card["preprocessing"]["words"]
    assert "uint16 samples from 0..4095" in words
    assert "background (0, 0, 0)" in words


def older(folder: Path, schema: int) -> dict[str, object]:
    """The description as the second schema and the first had it."""
    card = json.loads((folder / "model.json").read_text())
    del card["network"]
    return {
        **card,
        "schema": schema,
        "architecture": str(LITE0.smallest),
        "space": "lite0",
        "resolution": RESOLUTION,
    }


def test_networks_of_the_second_schema_are_read(folder: Path, tuned: FineTuned) -> None:
    (folder / "model.json").write_text(json.dumps(older(folder, 2)))
    loaded = load_finetuned(folder)
    assert loaded.network.ref == tuned.network.ref


def test_networks_of_the_first_schema_are_read(folder: Path) -> None:
    card = older(folder, 1)
    for name in ("reading", "temperature", "calibration", "data"):
        del card[name]
    (folder / "model.json").write_text(json.dumps(card))
    loaded = load_finetuned(folder)
    assert loaded.temperature == 1
    assert loaded.reading == Reading.whole()


@pytest.mark.parametrize(
    "change", [{"temperature": 0}, {"reading": {"ranges": {"uint16": [5, 5]}, "ground": [0, 0, 0]}}]
)
def test_a_description_that_cannot_be_is_damaged(folder: Path, change: dict[str, object]) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | change))
    with pytest.raises(InputError, match="is damaged"):
        load_finetuned(folder)


def test_a_network_that_cannot_be_written_is_kept_elsewhere(
    tmp_path: Path, tuned: FineTuned, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written") as refused:
        save_finetuned(tmp_path / "file" / "out", tuned, task)
    kept = re.search(r"it is in (\S+) instead", str(refused.value))
    assert kept is not None
    assert load_finetuned(kept[1]).classes == task.classes


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "try").write_text("mine")
    check_writable(tmp_path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("try", "mine")]
    check_writable(tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "try" / "out")


def test_files_are_classified_by_the_folder_of_a_network(folder: Path, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", "red")
    (prediction,) = predict_files(folder, [path])
    assert (prediction.path, prediction.error) == (path, None)
    assert prediction.label in COLOURS
    (ranked,) = predict_files(folder, [path], top=2)
    assert len(ranked.ranked) == 2


def test_what_was_strange_is_saved_and_older_files_do_without(
    tmp_path: Path, tuned: FineTuned, task: Task
) -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(50, 3, generator=generator), torch.rand(50, generator=generator)
    known = Novelty.of(seen, seen)
    save_finetuned(tmp_path, replace(tuned, novelty=known), task)
    assert load_finetuned(tmp_path).novelty == known
    path = tmp_path / "model.json"
    card = json.loads(path.read_text())
    assert len(card["novelty"]["known"]) == 50
    path.write_text(json.dumps({k: v for k, v in card.items() if k != "novelty"}))
    assert load_finetuned(tmp_path).novelty == Novelty()
    path.write_text(json.dumps({**card, "novelty": {**card["novelty"], "images": 7}}))
    with pytest.raises(InputError, match="50 numbers for 7 validation images"):
        load_finetuned(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("deep", [False, True])
def test_loading_one_imports_no_compiler(tmp_path: Path, task: Task, deep: bool) -> None:
    network = build(ref_of(LITE0.smallest, RESOLUTION), 3)
    network.replace_head(3, deep=deep)
    save_finetuned(tmp_path / "out", finetuned(network.eval()), task)
    code = "import sys, tans; tans.load_finetuned(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"sympy", "torch._dynamo"}.isdisjoint(done.stdout.split())
