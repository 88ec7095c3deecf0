"""Networks of others in a zoo: searched, costed, tuned, copied and verified as all else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision

import tans
from tans.build.adding import add_network
from tans.costs.latency import latencies
from tans.errors import InputError, ZooError
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks.incoming.incoming import Stated
from tans.networks.network import prepare
from tans.training import Recipe
from tans.types import ZooEntry
from tans.zoo.copy import copy_tasks
from tans.zoo.sources import Sources
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.networks.incoming.sources import (
    KNOWN,
    LEAVES,
    TIMM,
    onnx_file,
    timm_file,
    timm_network,
    transformers_folder,
    transformers_network,
)
from tests.small_zoo import drawn_task

QUERY = drawn_task("green", "three", seed=5)
STATED = Stated(licence="mit", origin="leaves", size=32)
BRIEF = Recipe(epochs=1, batch_size=16)


def writable(small_zoo: Zoo, folder: Path) -> Zoo:
    shutil.copytree(small_zoo.path, folder)
    return Zoo.open(folder)


@pytest.fixture
def zoo(small_zoo: Zoo, tmp_path: Path) -> Zoo:
    return writable(small_zoo, tmp_path / "zoo")


@pytest.fixture(scope="module")
def grown(small_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """With a network of each kind, whose retriever was trained before they came; to be read."""
    made = tmp_path_factory.mktemp("sources")
    zoo = writable(small_zoo, made / "zoo")
    torch.save(torchvision.models.shufflenet_v2_x0_5(num_classes=7).state_dict(), made / "w.pth")
    weights = timm_file(made / "w.safetensors")
    add_network(zoo, TIMM, replace(STATED, weights=weights))
    add_network(zoo, TIMM, replace(STATED, weights=weights, origin="imagenet"))
    shuffle = replace(STATED, weights=made / "w.pth", origin="shapes")
    add_network(zoo, "torchvision:shufflenet_v2_x0_5", shuffle)
    add_network(zoo, transformers_folder(made / "vit", "vit"), Stated(origin="plants"))
    add_network(zoo, onnx_file(made / "tiny.onnx"), replace(KNOWN, origin="stones"))
    # a rule that believes the probe, so that there is a second look
    rule = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), rule, bias=0.0, strength=1.0).save(zoo.retrieval)
    return Zoo.open(zoo.path)


def added(zoo: Zoo, small_zoo: Zoo) -> list[ZooEntry]:
    before = {entry.id for entry in small_zoo.entries(vectors=False)}
    return [entry for entry in zoo.entries() if entry.id not in before]


@pytest.mark.long
def test_each_kind_is_there_with_its_task(grown: Zoo, small_zoo: Zoo) -> None:
    found = {(entry.ref.family, entry.task) for entry in added(grown, small_zoo)}
    assert found == {
        ("timm", "leaves"),
        ("timm", "imagenet"),
        ("torchvision", "shapes"),
        ("transformers", "plants"),
        ("onnx", "stones"),
    }
    plants = grown.task("plants")
    assert (plants.classes, plants.sheet, plants.features) == (LEAVES, None, None)
    assert plants.card["family"] == "plants"
    assert grown.task("stones").classes == ()
    for entry in added(grown, small_zoo):
        assert entry.similarities is not None
        assert entry.topology is entry.functional is None
        assert entry.licence in ("MIT", "CC-BY-4.0")


@torch.no_grad()
def test_stored_networks_compute_what_their_origins_do(grown: Zoo) -> None:
    x = torch.randn(2, 3, 32, 32)
    (leaves,) = grown.entries(task="leaves")
    assert torch.equal(grown.load(leaves.id)(x), timm_network()(x))
    (plants,) = grown.entries(task="plants")
    expected = transformers_network("vit")(x).logits
    torch.testing.assert_close(grown.load(plants.id)(x), expected, atol=1e-5, rtol=1e-5)


def test_a_head_of_other_classes_than_the_tasks_is_left_out(grown: Zoo) -> None:
    (entry,) = (e for e in grown.entries(task="imagenet") if e.ref.family == "timm")
    assert not grown.has_head(entry)
    with pytest.raises(ZooError, match="stored without a head"):
        grown.load(entry.id)


@pytest.mark.long
def test_a_search_finds_them_though_it_learnt_before_they_came(grown: Zoo, small_zoo: Zoo) -> None:
    ids = {entry.id for entry in added(grown, small_zoo)}
    found = tans.search(QUERY, grown, top=100, look=len(grown.tasks()))
    assert ids <= {look.id for look in found.looks}
    assert ids <= {match.id for match in found}
    tight = tans.search(QUERY, grown, top=100, max_params=5e3)
    assert {grown.entry(match.id).ref.family for match in tight} == {"onnx"}
    looked = {look.id for look in tight.looks}
    large = {id for id in ids if grown.entry(id).body_params > 5e3}
    assert not looked & large  # what does not fit is not looked at


@pytest.mark.long
def test_each_is_tuned_saved_and_used(grown: Zoo, small_zoo: Zoo, tmp_path: Path) -> None:
    images, _ = QUERY.split("test", 32)
    for entry in added(grown, small_zoo):
        tuned = tans.finetune_entry(QUERY, grown, entry, BRIEF)
        folder = tmp_path / entry.id
        tans.save_finetuned(folder, tuned, QUERY)
        loaded = tans.load_finetuned(folder).network
        x = prepare(images[:4], entry.ref.input)
        with torch.no_grad():
            torch.testing.assert_close(loaded(x), tuned.network(x))
            before = grown.load_entry(entry).features(x)
        frozen = torch.equal(loaded.features(x), before)
        assert frozen == (entry.ref.family == "onnx")


def test_they_can_be_timed_before_any_was_loaded(
    grown: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    (stones,) = Zoo.open(grown.path).entries(task="stones")
    times, _ = latencies([stones.ref], 3)
    assert times[0] > 0


@pytest.mark.long
def test_they_are_sound_and_are_copied(grown: Zoo, tmp_path: Path) -> None:
    assert verify_zoo(grown).problems == ()
    copied = copy_tasks(grown, tmp_path / "copy", ["stones", "plants", "leaves"])
    assert verify_zoo(copied).ok
    assert copied.entries(task="plants") == grown.entries(task="plants")


def test_what_is_there_is_replaced_and_that_is_told(zoo: Zoo, tmp_path: Path) -> None:
    stated = replace(STATED, weights=timm_file(tmp_path / "w.safetensors"))
    first = add_network(zoo, TIMM, stated, [32, 48])
    assert [entry.resolution for entry in first.entries] == [32, 48]
    again = add_network(zoo, TIMM, replace(stated, licence="apache-2.0"))
    assert f"{first.entries[0].id} was there already, and is replaced" in again.notes
    assert zoo.entry(first.entries[0].id).licence == "Apache-2.0"
    assert len(zoo.entries(task="leaves")) == 2


def test_each_of_several_networks_of_one_task_speaks_for_itself(zoo: Zoo, tmp_path: Path) -> None:
    small = add_network(
        zoo, onnx_file(tmp_path / "a.onnx"), replace(KNOWN, origin="leaves")
    ).entries[0]
    large = add_network(
        zoo, TIMM, replace(STATED, weights=timm_file(tmp_path / "w.safetensors"))
    ).entries[0]
    sources = Sources.of(Zoo.open(zoo.path))
    assert sources.largest["leaves"].id == large.id
    assert [sources.stand_in(each).id for each in (small, large)] == [small.id, large.id]


def test_nothing_is_written_when_something_is_not_known(zoo: Zoo, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in zoo.path.rglob("*") if path.is_file()}
    weights = timm_file(tmp_path / "w.safetensors")
    for source, stated, expected in (
        (TIMM, replace(STATED, weights=weights, licence=None), "give --licence"),
        (TIMM, replace(STATED, weights=weights, origin=None), "give --origin"),
        (TIMM, replace(STATED, weights=weights, licence="free"), "no SPDX licence"),
        ("timm:test_resnet", replace(STATED, weights=weights), "are not those of test_resnet"),
        (str(tmp_path), STATED, "of no known layout"),
    ):
        with pytest.raises(InputError, match=expected):
            add_network(zoo, source, stated)
    assert before == {p: p.stat().st_mtime_ns for p in zoo.path.rglob("*") if p.is_file()}


def test_a_zoo_without_a_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="has no base, beside which"):
        add_network(Zoo.create(tmp_path / "empty"), TIMM)


def test_a_base_that_is_not_elastic_is_refused(zoo: Zoo, tmp_path: Path) -> None:
    """Its features are of another width than those that the networks of its zoo have."""
    stated = replace(STATED, weights=timm_file(tmp_path / "w.safetensors"))
    (stored,) = add_network(zoo, TIMM, stated).entries
    zoo.set_base(stored.weights, stored.ref)
    with pytest.raises(ZooError, match="or none that is elastic"):
        add_network(zoo, TIMM, stated)


# what was fine-tuned here


@pytest.fixture(scope="module")
def tuned(grown: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a folder of a network of a task of the grown zoo, fine-tuned."""
    made: dict[str, Path] = {}

    def tune(task: str) -> Path:
        if task not in made:
            entry = min(grown.entries(task=task), key=lambda each: each.body_params)
            folder = tmp_path_factory.mktemp("tuned")
            tans.save_finetuned(folder, tans.finetune_entry(QUERY, grown, entry, BRIEF), QUERY)
            made[task] = folder
        return made[task]

    return tune


@pytest.mark.long
@pytest.mark.parametrize("task", ["red", "plants", "stones"])
def test_a_tuned_network_comes_in_with_its_head(
    zoo: Zoo, tuned: Callable[[str], Path], task: str
) -> None:
    folder = tuned(task)
    entry = add_network(zoo, folder, Stated(licence="MIT", family="bars")).entries[0]
    assert entry.origins == ("green", task)
    row = zoo.task("green")
    assert (row.classes, row.card["family"]) == (QUERY.classes, "bars")
    network, loaded = zoo.load(entry.id), tans.load_finetuned(folder).network
    images, _ = QUERY.split("test", 32)
    x = prepare(images[:4], entry.ref.input)
    with torch.no_grad():
        assert torch.equal(network(x), loaded(x))
    assert verify_zoo(zoo).problems == ()
    again = tans.finetune_entry(QUERY, zoo, entry, BRIEF)
    assert again.entry == entry
    assert entry.id in {match.id for match in tans.search(QUERY, zoo, top=100)}


@pytest.mark.long
def test_its_licence_is_asked_for_unless_all_is_known(
    zoo: Zoo, tuned: Callable[[str], Path], tmp_path: Path
) -> None:
    known = add_network(zoo, tuned("red")).entries[0]
    assert known.licence == "CC0-1.0 AND Apache-2.0"  # of images, weights and base
    path = shutil.copytree(tuned("red"), tmp_path / "unstated") / "model.json"
    card = json.loads(path.read_text())
    card["images"]["licence"] = "unstated"
    path.write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"no licence stands in .*model.json; give --licence"):
        add_network(zoo, path.parent)
    with pytest.raises(InputError, match="--mean came with .*leave it out"):
        add_network(zoo, tuned("red"), Stated(licence="MIT", mean=(1.0,) * 3))
    with pytest.raises(InputError, match="the task of ImageNet's networks"):
        add_network(zoo, tuned("red"), Stated(licence="MIT", origin="imagenet"))
