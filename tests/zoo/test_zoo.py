"""The store: what goes in comes out, whatever happens to its writers and files."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tans.errors import InputError, TansError, ZooError
from tans.networks.batchnorm import recalibrate
from tans.networks.families.elastic.network import Network, normalise
from tans.networks.families.elastic.supernet import slice_state
from tans.networks.features import functional_embedding, probe_similarities
from tans.types import Transfer
from tans.zoo import previews as sheets
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo, entry_id
from tests.zoo.conftest import (
    CARD,
    CLASSES,
    SPACE,
    Tiny,
    make_entry,
    random_state,
    some_entries,
)

IMAGES = torch.arange(2 * 3 * 32 * 32).remainder(251).to(torch.uint8).view(2, 3, 32, 32)


def files(zoo: Zoo) -> dict[str, tuple[int, int]]:
    """Modification time and size of every file and folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in zoo.path.rglob("*")
    }


def scores(network: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return network(normalise(IMAGES))


# Rows


def test_what_is_added_comes_back(tiny: Tiny) -> None:
    zoo = Zoo.open(tiny.zoo.path)
    assert zoo.entries() == tiny.entries
    assert [zoo.entry(entry.id) for entry in tiny.entries] == tiny.entries
    (task,) = zoo.tasks()
    assert (task.name, task.classes, task.card) == ("cutlery", CLASSES, CARD)
    assert (task.weights, task.train_images, task.cost_s) == (tiny.weights, 6, 1.5)
    assert torch.equal(zoo.thumbnails("cutlery"), tiny.thumbnails)
    features, labels = zoo.features("cutlery")
    step = (tiny.features.amax(0) - tiny.features.amin(0)) / 255
    assert ((features - tiny.features).abs() <= 0.501 * step).all()
    assert torch.equal(labels, tiny.labels)
    assert (zoo.base, zoo.space, zoo.resolution) == (tiny.base, SPACE, 32)
    assert zoo.retrieval == zoo.path / "retrieval"


def test_an_empty_zoo_is_a_zoo(tmp_path: Path) -> None:
    Zoo.create(tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    zoo.add_entries([])
    zoo.add_transfers([])
    assert (zoo.tasks(), zoo.entries(), zoo.transfers(), zoo.base) == ([], [], [], None)
    assert zoo.matrix("topology").shape == (0, SPACE.topology_size)
    assert verify_zoo(zoo).ok
    with pytest.raises(ZooError, match="no base"):
        zoo.base_state()


def test_adding_again_replaces(tiny: Tiny) -> None:
    again = replace(tiny.entries[0], accuracy=0.75)
    tiny.zoo.add_entry(again)
    tiny.zoo.add_entries([again, again])
    assert Zoo.open(tiny.zoo.path).entries() == [again, tiny.entries[1]]


def test_transfers_come_back_once(tiny: Tiny) -> None:
    measured = [
        Transfer(e.id, "cutlery", 3, 300, 0.5, seed, 7.5) for e in tiny.entries for seed in (0, 1)
    ]
    tiny.zoo.add_transfers(measured)
    tiny.zoo.add_transfers([replace(measured[0], accuracy=0.625)])
    expected = [replace(measured[0], accuracy=0.625), *measured[1:]]
    assert Zoo.open(tiny.zoo.path).transfers() == expected


def test_vectors_are_kept_as_float16(tiny: Tiny) -> None:
    third = replace(tiny.entries[0], functional=(1 / 3,) * SPACE.features)
    tiny.zoo.add_entry(third)
    stored = Zoo.open(tiny.zoo.path).entry(third.id)
    assert stored.functional == (float(np.float16(1 / 3)),) * SPACE.features
    assert stored.topology == third.topology


def test_the_entries_of_one_task(tiny: Tiny) -> None:
    other = make_entry(tiny.weights, SPACE.smallest, task="it's another")
    tiny.zoo.add_entry(other)
    assert tiny.zoo.entries(task="cutlery") == tiny.entries
    assert tiny.zoo.entries(task="it's another") == [other]
    assert tiny.zoo.entries(task="none") == []


def test_matrices_are_in_the_order_of_entries(tiny: Tiny) -> None:
    tiny.zoo.add_entries(some_entries(tiny.weights, 30))
    tiny.zoo.compact()
    zoo = Zoo.open(tiny.zoo.path)
    for name in ("topology", "functional", "similarities"):
        matrix = zoo.matrix(name)
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous
        assert matrix.flags.writeable
        expected = np.array([getattr(entry, name) for entry in zoo.entries()], np.float32)
        assert np.array_equal(matrix, expected)


def test_entries_without_vectors_differ_in_nothing_else(tiny: Tiny) -> None:
    empty = {"topology": (), "functional": (), "similarities": ()}
    assert tiny.zoo.entries(vectors=False) == [replace(e, **empty) for e in tiny.entries]


def test_ids_name_task_weights_and_architecture() -> None:
    id = entry_id("cutlery", "0" * 64, SPACE.largest, 32)
    assert id.startswith("cutlery-")
    assert len(id.removeprefix("cutlery-")) == 8
    assert id == entry_id("cutlery", "0" * 64, SPACE.largest, 32)
    others = [entry_id("cutlery", "1" * 64, SPACE.largest, 32)]
    others += [entry_id("cutlery", "0" * 64, SPACE.smallest, 32)]
    others += [entry_id("cutlery", "0" * 64, SPACE.largest, 64)]
    assert id not in others


# Networks


def test_a_loaded_subnet_is_the_slice_with_statistics_of_the_thumbnails(tiny: Tiny) -> None:
    network = tiny.zoo.load(entry_id("cutlery", tiny.weights, SPACE.smallest, 32))
    expected = Network(SPACE, SPACE.smallest, len(CLASSES))
    state = tiny.zoo.base_state(tiny.weights)
    expected.load_state_dict(slice_state(state, SPACE, SPACE.smallest), strict=False)
    recalibrate(expected, sheets.resize(tiny.thumbnails, 32))
    assert not network.training
    assert torch.allclose(scores(network), scores(expected), atol=1e-5)


def test_stored_weights_are_near_what_was_given(tiny: Tiny) -> None:
    restored = tiny.zoo.base_state(tiny.weights)
    assert set(restored) < set(tiny.state)
    # differences of deviation 0.01 reach 0.05; half of a seventh of that
    assert all((restored[n] - tiny.state[n]).abs().max() < 0.005 for n in restored)


def test_the_largest_network_of_whole_weights_keeps_its_statistics(tiny: Tiny) -> None:
    state = random_state(3)
    generator = torch.Generator().manual_seed(0)
    for name in state:
        if name.endswith("running_mean"):
            state[name] = 0.1 * torch.randn(state[name].shape, generator=generator)
    weights = tiny.zoo.add_weights(state, base=None)
    tiny.zoo.add_entry(make_entry(weights, SPACE.largest))
    network = tiny.zoo.load(entry_id("cutlery", weights, SPACE.largest, 32))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name].half().to(tensor.dtype)), name


def test_a_new_head_is_drawn_from_the_seed(tiny: Tiny) -> None:
    id = tiny.entries[0].id
    networks = [tiny.zoo.load(id, classes=7, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (n.classifier.weight for n in networks)
    assert first.shape == (7, SPACE.features)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(networks[0].stem.conv.weight, tiny.zoo.load(id).stem.conv.weight)


def test_what_is_loaded_is_the_callers_own(tiny: Tiny) -> None:
    id = tiny.entries[0].id
    expected = scores(tiny.zoo.load(id))
    with torch.no_grad():
        for parameter in tiny.zoo.load(id).parameters():
            parameter.zero_()
        for tensor in tiny.zoo.base_state(tiny.weights).values():
            tensor.zero_()
    assert torch.equal(scores(tiny.zoo.load(id)), expected)


def test_the_query_network_is_the_base(tiny: Tiny) -> None:
    network, base = tiny.zoo.query_network(), tiny.zoo.base_state()
    assert all(torch.equal(t, base[name]) for name, t in network.state_dict().items())


def test_a_base_needs_statistics(tiny: Tiny) -> None:
    with pytest.raises(ZooError, match="running statistics"):
        tiny.zoo.set_base(tiny.weights)
    assert Zoo.open(tiny.zoo.path).base == tiny.base


def test_weights_without_a_head_load_with_a_new_one_only(tiny: Tiny) -> None:
    body = {n: t for n, t in tiny.state.items() if not n.startswith("classifier.")}
    for base in (tiny.base, None):
        entry = make_entry(tiny.zoo.add_weights(body, base=base), SPACE.smallest)
        tiny.zoo.add_entry(entry)
        assert not tiny.zoo.has_head(entry.weights)
        assert scores(tiny.zoo.load(entry.id, classes=4)).shape == (2, 4)
        with pytest.raises(ZooError, match="without a head"):
            tiny.zoo.load(entry.id)
    assert tiny.zoo.has_head(tiny.weights)


def test_embeddings_need_no_head(tiny: Tiny) -> None:
    state = random_state(3)
    body = {n: t for n, t in state.items() if not n.startswith("classifier.")}
    whole, headless = (tiny.zoo.add_weights(s, base=None) for s in (state, body))
    networks = [tiny.zoo.load_subnet("cutlery", w, SPACE.smallest) for w in (whole, headless)]
    for embed in (functional_embedding, probe_similarities):
        first, second = (embed(network, 32) for network in networks)
        assert torch.equal(first, second)


def test_a_base_needs_no_head(tiny: Tiny) -> None:
    body = {n: t for n, t in random_state(3).items() if not n.startswith("classifier.")}
    base = tiny.zoo.add_weights(body, base=None)
    tiny.zoo.set_base(base)
    zoo = Zoo.open(tiny.zoo.path)
    assert set(zoo.base_state()) == set(body)
    network = zoo.query_network()
    assert all(torch.equal(network.state_dict()[n], t) for n, t in zoo.base_state().items())
    weights = zoo.add_weights(tiny.state, base=base)
    assert zoo.has_head(weights)


def test_a_base_is_shared_with_its_entries(tiny: Tiny, tmp_path: Path) -> None:
    tiny.zoo.add_task(
        "imagenet",
        classes=CLASSES,
        card=CARD,
        thumbnails=tiny.thumbnails,
        features=None,
        weights=tiny.base,
        train_images=0,
        cost_s=0.0,
    )
    entry = make_entry(tiny.base, SPACE.smallest, task="imagenet")
    tiny.zoo.add_entry(entry)
    other = Zoo.create(tmp_path / "other", resolution=64)
    other.copy_base(tiny.zoo)
    assert (other.base, other.entries()) == (tiny.base, [entry])
    assert verify_zoo(other).ok
    assert torch.equal(scores(other.load(entry.id)), scores(tiny.zoo.load(entry.id)))


def test_a_task_without_images_has_no_features_and_no_thumbnails(tiny: Tiny) -> None:
    tiny.zoo.add_task(
        "imagenet",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=None,
        weights=tiny.base,
        train_images=0,
        cost_s=0.0,
    )
    features, labels = tiny.zoo.features("imagenet")
    assert (features.shape, labels.shape) == ((0, SPACE.features), (0,))
    with pytest.raises(ZooError, match="no thumbnails"):
        tiny.zoo.thumbnails("imagenet")


# Bad input


def test_unknown_names_are_answered_with_near_ones(tiny: Tiny) -> None:
    with pytest.raises(ZooError, match=tiny.entries[0].id):
        tiny.zoo.load(tiny.entries[0].id[:-1] + "x")
    with pytest.raises(ZooError, match="nearest are cutlery"):
        tiny.zoo.thumbnails("cutlry")
    with pytest.raises(ZooError, match="no entry"):
        tiny.zoo.entry("it's; DROP")
    with pytest.raises(InputError, match="functional"):
        tiny.zoo.matrix("accuracy")


def test_entries_that_cannot_be_right_are_refused(tiny: Tiny) -> None:
    entry = make_entry(tiny.weights, SPACE.sample(random.Random(5)))
    wrong = [
        replace(entry, weights="0" * 64),
        replace(entry, topology=entry.topology[1:]),
        replace(entry, functional=(float("nan"),) * SPACE.features),
        replace(entry, functional=(1e5,) * SPACE.features),
    ]
    for bad in wrong:
        with pytest.raises(ZooError):
            tiny.zoo.add_entries([entry, bad])
    assert tiny.zoo.entries() == tiny.entries


def test_nothing_is_left_of_a_task_that_is_refused(tiny: Tiny) -> None:
    before = files(tiny.zoo)
    with pytest.raises(ZooError):
        tiny.zoo.add_task(
            "broken",
            classes=CLASSES,
            card=CARD,
            thumbnails=tiny.thumbnails.flip(0),
            features=(torch.full((2, 4), torch.inf), torch.zeros(2)),
            weights=tiny.weights,
            train_images=1,
            cost_s=0.0,
        )
    with pytest.raises(ZooError, match="not finite"):
        tiny.zoo.add_weights({"w": torch.tensor([torch.nan])}, base=None)
    assert files(tiny.zoo) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no zoo in"),
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"schema": 1}', "schema 1"),
        ('{"schema": 2, "space": "lite0"}', "damaged"),
        ('{"schema": 2, "space": "none", "resolution": 64, "base": null}', "damaged"),
    ],
)
def test_a_folder_that_is_no_zoo_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "zoo.json").write_text(text)
    with pytest.raises(ZooError, match=message):
        Zoo.open(tmp_path)


def test_creating_goes_on_with_a_zoo_of_the_same_settings(tiny: Tiny) -> None:
    assert Zoo.create(tiny.zoo.path, "lite0", 32).entries() == tiny.entries
    with pytest.raises(ZooError, match="at 32 pixels"):
        Zoo.create(tiny.zoo.path, "lite0", 64)


def test_a_zoo_cannot_be_made_of_nonsense(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot make"):
        Zoo.create(tmp_path / "file")
    with pytest.raises(InputError, match="lite0"):
        Zoo.create(tmp_path / "zoo", "none")
    with pytest.raises(InputError, match="resolution"):
        Zoo.create(tmp_path / "zoo", "lite0", 0)
    assert not (tmp_path / "zoo").exists()


# Damage


@pytest.mark.parametrize("table", ["entries", "tasks", "transfers"])
def test_a_damaged_table_is_one_clear_error(tiny: Tiny, table: str) -> None:
    tiny.zoo.add_transfers([Transfer(tiny.entries[0].id, "cutlery", 1, 6, 0.5, 0, 2.5)])
    for file in (tiny.zoo.path / f"{table}.lance").rglob("*.*"):
        if file.is_file():
            file.write_bytes(b"nothing")
    zoo = Zoo.open(tiny.zoo.path)
    with pytest.raises(ZooError, match=f"{table}.lance is damaged"):
        getattr(zoo, table)()
    assert any(table in problem for problem in verify_zoo(zoo).problems)


def test_damaged_weights_are_one_clear_error(tiny: Tiny) -> None:
    for digest in (tiny.base, tiny.weights):
        file = tiny.zoo.path / "weights" / f"{digest}.safetensors"
        whole = file.read_bytes()
        file.write_bytes(whole[:1000])
        with pytest.raises(ZooError, match=digest):
            Zoo.open(tiny.zoo.path).load(tiny.entries[0].id)
        file.write_bytes(whole)
    assert Zoo.open(tiny.zoo.path).load(tiny.entries[0].id)


def test_storing_again_heals_a_damaged_file(tiny: Tiny) -> None:
    file = tiny.zoo.path / "weights" / f"{tiny.weights}.safetensors"
    file.write_bytes(b"")
    assert tiny.zoo.add_weights(tiny.state, base=tiny.base) == tiny.weights
    assert verify_zoo(Zoo.open(tiny.zoo.path)).ok


def test_reading_writes_nothing(tiny: Tiny) -> None:
    tiny.zoo.compact()
    before = files(tiny.zoo)
    zoo = Zoo.open(tiny.zoo.path)
    zoo.load(zoo.entries()[0].id)
    zoo.features(zoo.tasks()[0].name)
    zoo.transfers()
    zoo.matrix("functional")
    verify_zoo(zoo)
    with pytest.raises(TansError):
        zoo.entry("unknown")
    assert files(zoo) == before


def test_compacting_leaves_few_files(tiny: Tiny) -> None:
    for entry in some_entries(tiny.weights, 12):
        tiny.zoo.add_entry(entry)
    held = tiny.zoo.entries()
    lance = f"{tiny.zoo.path}/entries.lance"
    assert sum(name.startswith(lance) for name in files(tiny.zoo)) > 30
    reader = Zoo.open(tiny.zoo.path)
    reader.entries()
    tiny.zoo.compact()
    kept = [path for path in tiny.zoo.path.rglob("*") if path.is_file()]
    assert len(kept) <= 1 + 3 * 4 + 4
    assert reader.entries() == tiny.zoo.entries() == Zoo.open(tiny.zoo.path).entries() == held


# Several writers, and writers that die

WRITER = """
import sys
from tests.zoo.conftest import some_entries
from tans.zoo.zoo import Zoo
path, weights, seed, count = sys.argv[1:]
zoo = Zoo.open(path)
shared = some_entries(weights, 3, seed=100)
for k, entry in enumerate(some_entries(weights, int(count), seed=int(seed))):
    zoo.add_entries([entry, shared[k % 3]])
    if k % 4 == 1:
        zoo.add_weights(zoo.base_state(weights), base=zoo.base)
    if k % 4 == 3:
        zoo.compact()
    print(entry.id, flush=True)
"""


def start_writer(tiny: Tiny, seed: int, count: int) -> subprocess.Popen[str]:
    args = [str(tiny.zoo.path), tiny.weights, str(seed), str(count)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *args], stdout=subprocess.PIPE, text=True, cwd=root
    )


def test_writers_at_once_lose_nothing(tiny: Tiny) -> None:
    writers = [start_writer(tiny, seed, 8) for seed in (1, 2)]
    added = {line.strip() for writer in writers for line in writer.communicate()[0].splitlines()}
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(added) == 16
    ids = [entry.id for entry in Zoo.open(tiny.zoo.path).entries()]
    assert len(ids) == len(set(ids)) == 16 + 3 + 2
    assert added < set(ids)


def test_a_killed_writer_loses_at_most_what_it_had_in_hand(tiny: Tiny) -> None:
    writer = start_writer(tiny, 1, 1000)
    assert writer.stdout is not None
    added = [writer.stdout.readline().strip() for _ in range(6)]
    writer.kill()
    added += writer.communicate()[0].split()
    assert all(added)
    zoo = Zoo.open(tiny.zoo.path)
    ids = {entry.id for entry in zoo.entries()}
    assert ids >= {*added, *(entry.id for entry in tiny.entries)}
    assert len(ids) <= len(added) + 1 + 3 + 2
    assert verify_zoo(zoo).problems == ()
    zoo.add_entries(some_entries(tiny.weights, 2, seed=50))
    assert json.loads((zoo.path / "zoo.json").read_text())["base"] == tiny.base
