"""Published networks of another family in a zoo: searched, costed, tuned, saved and verified."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tans
from tans.build.adding import add_network
from tans.costs.limits import needs
from tans.errors import ZooError
from tans.meta.calibrator import Calibrator
from tans.meta.data import MetaData
from tans.meta.evidence import COLUMNS
from tans.meta.presets import MetaSettings
from tans.meta.train import meta_train
from tans.networks.family import build, describe
from tans.networks.network import prepare
from tans.networks.published import get_published, read_published
from tans.training import Recipe
from tans.types import Constraints
from tans.zoo.copy import copy_tasks
from tans.zoo.sources import Sources
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import drawn_task

pytestmark = pytest.mark.long  # networks as published, at the sizes they were published for

NAMES = ("tf_efficientnet_lite0", "mobilenetv2_100")
SIDE = 32
QUERY = drawn_task("green", "three", seed=5)


@pytest.fixture(scope="module")
def zoo(measured_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """With both networks for small images; to be read only."""
    folder = tmp_path_factory.mktemp("published") / "zoo"
    shutil.copytree(measured_zoo.path, folder)
    zoo = Zoo.open(folder)
    for name in NAMES:
        add_network(zoo, name, sizes=[SIDE])
    # a rule that believes the probe, so that there is a second look
    rule = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), rule, bias=0.0, strength=1.0).save(zoo.retrieval)
    return Zoo.open(folder)


def test_they_are_referenced_with_their_own_input_and_not_copied(
    zoo: Zoo, measured_zoo: Zoo
) -> None:
    assert zoo.files.keys() == measured_zoo.files.keys()
    found = {e.ref.name: zoo.entry(e.id) for e in Sources.of(zoo).published}
    assert found.keys() == set(NAMES)
    for name, entry in found.items():
        published = get_published(name)
        assert (entry.weights, entry.place) == (published.sha256, str(published.file))
        assert (entry.origins, entry.licence) == ((IMAGENET,), published.licence)
        assert entry.ref.input == replace(published.ref.input, size=SIDE)
        assert entry.body_costs == describe(entry.ref).costs(0)
        assert entry.topology is None
        assert entry.similarities is not None


def test_their_network_is_the_published_one(zoo: Zoo) -> None:
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    for entry in Sources.of(zoo).published:
        network = zoo.load(entry.id)
        fresh = build(entry.ref, 1000)
        fresh.load_weights(read_published(get_published(entry.ref.name)))
        with torch.no_grad():
            x = prepare(images, entry.ref.input)
            torch.testing.assert_close(network(x), fresh.eval()(x))


def test_a_search_looks_at_them_beside_the_others(zoo: Zoo) -> None:
    found = tans.search(QUERY, zoo, top=50)
    ids = {entry.id for entry in Sources.of(zoo).published}
    assert ids <= {look.id for look in found.looks}
    assert ids <= {match.id for match in found}
    tight = tans.search(QUERY, zoo, top=50, max_params=3e6)
    assert not {m.id for m in tight} & {i for i in ids if zoo.entry(i).body_params > 3e6}


def test_one_is_tuned_saved_loaded_and_used(zoo: Zoo, tmp_path: Path) -> None:
    entry = next(e for e in Sources.of(zoo).published if e.ref.name == "mobilenetv2_100")
    tuned = tans.finetune_entry(QUERY, zoo, entry, Recipe(epochs=1, batch_size=8))
    assert (tuned.entry, tuned.input) == (entry, entry.ref.input)
    tans.save_finetuned(tmp_path, tuned, QUERY)
    loaded = tans.load_finetuned(tmp_path)
    assert loaded.network.ref == entry.ref
    assert (
        "(x - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)"
        in (loaded.card["preprocessing"]["words"])
    )
    images, _ = QUERY.split("test", SIDE)
    with torch.no_grad():
        x = prepare(images[:4], entry.ref.input)
        torch.testing.assert_close(loaded.network(x), tuned.network(x))


def test_they_are_sound_and_are_copied_as_references(zoo: Zoo, tmp_path: Path) -> None:
    assert verify_zoo(zoo).ok
    copied = copy_tasks(zoo, tmp_path / "copy", ["red"])
    assert Sources.of(copied).published == Sources.of(zoo).published
    assert verify_zoo(copied).ok


def test_their_costs_are_counted_with_the_users_head(zoo: Zoo) -> None:
    refs = [entry.ref for entry in Sources.of(zoo).published]
    counted = needs(refs, QUERY, Constraints())
    expected = [describe(ref).costs(len(QUERY.classes), deep=True) for ref in refs]
    assert counted["max_params"].tolist() == [c.params for c in expected]


def test_meta_training_masks_what_they_lack(zoo: Zoo) -> None:
    settings = MetaSettings(
        parts=("topology", "similarities"),
        normalisation="separate",
        steps=2,
        query_images=20,
        query_least=20,
        evaluate_every=0,
    )
    retriever = meta_train(MetaData.from_zoo(zoo), settings)
    assert retriever.matrix.isfinite().all()


def test_other_weights_at_the_same_place_are_refused(zoo: Zoo) -> None:
    entry = Sources.of(zoo).published[0]
    with pytest.raises(ZooError, match="have SHA-256"):
        zoo.load_entry(replace(entry, weights="0" * 64))
    with pytest.raises(ZooError, match="no published network is known"):
        zoo.load_entry(replace(entry, place="package:../x"))
