"""A release becomes a zoo, whole or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
import torchvision
from bench.tests.release.published import DATASETS, NETWORKS, queries, write_release
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from torch import Tensor

from tans.errors import InputError, ZooError
from tans.meta.data import MetaData
from tans.networks.families.elastic.onceforall import DEVIATION, MEAN
from tans.networks.families.elastic.specification import architecture_of
from tans.networks.features import image_features
from tans.types import ZooEntry
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tans_bench.release.contents import SPACE, TRAIN, read_networks
from tans_bench.release.importing import Imported, import_release

PIXELS = torch.randint(0, 256, (2, 3, 96, 96), generator=torch.Generator().manual_seed(0)).float()


def made_supernet(classes: int) -> OFAMobileNetV3:
    with torch.random.fork_rng():
        torch.manual_seed(classes)
        network = OFAMobileNetV3(
            n_classes=classes,
            dropout_rate=0,
            width_mult=1.2,
            ks_list=[3, 5, 7],
            expand_ratio_list=[3, 4, 6],
            depth_list=[2, 3, 4],
        )
        network.set_bn_param(momentum=1.0, eps=1e-5)
        with torch.no_grad():
            network.train()(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def supernets() -> dict[str, OFAMobileNetV3]:
    return {"bees": made_supernet(5), "stars": made_supernet(3)}


@pytest.fixture(scope="module")
def imported(
    tmp_path_factory: pytest.TempPathFactory,
    release: Path,
    supernets: dict[str, OFAMobileNetV3],
) -> Imported:
    """With two supernets, one as its authors keep it and one as a state dict, and ResNet-18."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "nets").mkdir()
    torch.save(supernets["bees"], folder / "nets" / "bees.pt")
    torch.save({"state_dict": supernets["stars"].state_dict()}, folder / "nets" / "stars.pth")
    (folder / "nets" / "read_me.txt").write_text("what is no weights is left alone")
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")
    return import_release(
        release, folder / "zoo", supernets=folder / "nets", query_weights=folder / "resnet18.pth"
    )


def of(imported: Imported, task: str) -> list[ZooEntry]:
    return imported.zoo.entries(task=task)


@pytest.mark.long
def test_all_networks_are_there_with_what_is_known_of_them(
    imported: Imported, release: Path
) -> None:
    published = read_networks(release / "p_mod_zoo.pt")
    assert (imported.networks, imported.loadable) == (len(DATASETS) * NETWORKS, 2 * NETWORKS)
    for name in DATASETS:
        entries = {architecture_of(entry.ref): entry for entry in of(imported, name)}
        rows = [row for row, dataset in enumerate(published.datasets) if dataset == name]
        assert entries.keys() == {published.architectures[row] for row in rows}
        for row in rows:
            entry = entries[published.architectures[row]]
            assert entry.accuracy == pytest.approx(float(published.accuracy[row]))
            assert entry.topology == SPACE.topology(published.architectures[row])
            assert torch.allclose(
                torch.tensor(entry.functional), published.functional[row], rtol=1e-3, atol=1e-4
            )
            costs = SPACE.costs(published.architectures[row], 0, 224)
            assert entry.body_costs == costs
    assert imported.zoo.matrix("functional").shape == (imported.networks, 1536)


@pytest.mark.long
def test_query_features_are_those_to_train_on(imported: Imported) -> None:
    data = MetaData.from_zoo(imported.zoo)
    assert data.features.shape == (30 * len(DATASETS), 512)
    content = queries()
    for name in DATASETS:
        found, labels = imported.zoo.features(name)
        expected = torch.cat([part.reshape(-1, 512) for part in content[name][TRAIN]])
        assert torch.allclose(found, expected, atol=0.03)  # kept in 8 bits
        assert labels.bincount().tolist() == ([10] * 3 if len(content[name][TRAIN]) == 3 else [30])


@pytest.mark.parametrize("task", ["bees", "stars"])
@torch.no_grad()
@pytest.mark.long
def test_a_network_whose_supernet_was_given_computes_what_the_authors_one_does(
    imported: Imported, supernets: dict[str, OFAMobileNetV3], task: str
) -> None:
    for entry in random.Random(0).sample(of(imported, task), 3):
        layers = [layer or (3, 3) for layer in SPACE.to_slots(architecture_of(entry.ref))]
        kernels, expands = (list(each) for each in zip(*layers, strict=True))
        depths = [len(stage) for stage in architecture_of(entry.ref).stages]
        supernets[task].set_active_subnet(kernels, expands, depths)
        theirs = supernets[task].get_active_subnet(preserve_weight=True).eval()
        ours = imported.zoo.load(entry.id, classes=2).features((PIXELS - 127) / 128)
        expected = features_of(theirs)
        # zeros are padded around other values there, see with_our_images
        similar = torch.nn.functional.cosine_similarity(ours, expected)
        assert bool((similar > 0.99).all())


def features_of(network: torch.nn.Module) -> Tensor:
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    x = network.first_conv((PIXELS / 255 - mean) / deviation)
    for block in network.blocks:
        x = block(x)
    x = network.final_expand_layer(x).mean((2, 3), keepdim=True)
    return network.feature_mix_layer(x).flatten(1)


@pytest.mark.long
def test_a_network_whose_weights_were_not_given_says_what_to_give(imported: Imported) -> None:
    entry = of(imported, "cells_2_9")[0]
    assert not entry.has_weights
    with pytest.raises(ZooError, match="weights of this network were not given.*cells_2_9.pt"):
        imported.zoo.load(entry.id, classes=2)
    assert all(each.has_weights for each in of(imported, "bees"))


@pytest.mark.long
def test_the_zoo_is_sound(imported: Imported) -> None:
    report = verify_zoo(imported.zoo)
    assert report.ok
    assert (report.networks, report.missing) == (2 * NETWORKS, 4 * NETWORKS)
    assert not report.unused


@pytest.mark.long
@torch.no_grad()
def test_query_weights_make_the_features_of_images(imported: Imported) -> None:
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    zoo, network = imported.zoo, torchvision.models.resnet18()
    network.load_state_dict(torch.load(zoo.path.parent / "resnet18.pth", weights_only=True))
    network.fc = torch.nn.Identity()
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    expected = network.eval()((images / 255 - mean) / deviation)
    assert torch.allclose(image_features(zoo.query_network(), images), expected, atol=1e-4)


def test_without_query_weights_images_cannot_be_asked_with(release: Path, tmp_path: Path) -> None:
    made = import_release(release, tmp_path / "zoo")
    assert (made.loadable, made.networks) == (0, len(DATASETS) * NETWORKS)
    with pytest.raises(ZooError, match="has no base.*--query-weights"):
        made.zoo.query_network()


def test_queries_may_have_the_name_that_the_released_code_reads(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / "p_m_train.pt").rename(release / "meta_train.pt")
    assert import_release(release, tmp_path / "zoo").networks == len(DATASETS) * NETWORKS


def test_datasets_without_networks_are_left_out_and_told(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    torch.save(queries((*DATASETS, "clouds")), release / "p_m_train.pt")
    made = import_release(release, tmp_path / "zoo")
    assert "clouds has queries and no networks: left out" in made.notes[-1]
    assert {task.name for task in made.zoo.tasks()} == set(DATASETS)


@pytest.mark.long
def test_nothing_is_left_of_a_release_that_cannot_be_read(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    nets = release / "supernets"
    nets.mkdir()
    (tmp_path / "other").mkdir()
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    for name, content, expected in (
        ("bes.pt", {"a": torch.zeros(1)}, "is of no dataset.*such as bees.pt"),
        ("bees.pt", {"a": torch.zeros(1)}, "bees.pt: the weights do not fit 'ofa-mbv3-1.2'"),
        ("stars.pt", [1], "stars.pt holds a list"),
    ):
        torch.save(content, nets / name)
        with pytest.raises(InputError, match=expected):
            import_release(release, tmp_path / "zoo")
        (nets / name).unlink()
    with pytest.raises(InputError, match="query weights.*resnet18"):
        import_release(release, tmp_path / "zoo", query_weights=tmp_path / "other.pth")
    with pytest.raises(InputError, match="is no folder; expected one of supernets"):
        import_release(release, tmp_path / "zoo", supernets=tmp_path / "none")
    torch.save(queries(DATASETS[1:]), release / "p_m_train.pt")
    with pytest.raises(InputError, match=r"flowers_0_4 has no queries in p_m_train.pt"):
        import_release(release, tmp_path / "zoo")
    (release / "p_mod_zoo.pt").unlink()
    with pytest.raises(InputError, match=r"p_mod_zoo.pt cannot be read"):
        import_release(release, tmp_path / "zoo")
    assert {path.name for path in tmp_path.iterdir()} == {"release", "other", "other.pth"}


def test_a_folder_in_use_is_left_as_it_is(release: Path, tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is in use"):
        import_release(release, tmp_path / "zoo")
    assert [path.name for path in (tmp_path / "zoo").iterdir()] == ["letter.txt"]
    assert not (tmp_path / "zoo" / "zoo.json").exists()


def test_a_zoo_can_be_opened_where_it_was_made(imported: Imported) -> None:
    again = Zoo.open(imported.zoo.path)
    assert again.base_ref.name == "resnet18"
    assert again.query_network().width == 512
