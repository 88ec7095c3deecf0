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
from tans.networks.families.elastic.specification import ref_of
from tans.networks.families.elastic.supernet import slice_weights
from tans.networks.family import build, describe, resized
from tans.networks.features import functional_embedding, reference_similarities
from tans.networks.network import Network, prepare
from tans.types import InputSpec, NetworkRef, Transfer, ZooEntry
from tans.zoo import previews
from tans.zoo.ids import at_size, entry_id
from tans.zoo.rows import VECTORS
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.networks.plain import PlainFamily, plain_ref, with_statistics
from tests.zoo.conftest import (
    CARD,
    CLASSES,
    LARGEST,
    SMALLEST,
    SPACE,
    Tiny,
    make_entry,
    nearby,
    random_state,
    some_entries,
)

IMAGES = torch.arange(2 * 3 * 32 * 32).remainder(251).to(torch.uint8).view(2, 3, 32, 32)


def files(zoo: Zoo) -> dict[str, tuple[int, int]]:
    """Modification time and size of every file and folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in zoo.path.rglob("*")
    }


def scores(network: Network) -> torch.Tensor:
    with torch.no_grad():
        return network(prepare(IMAGES, network.input))


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
    assert (zoo.base, zoo.base_ref, zoo.resolution) == (tiny.base, LARGEST, 32)
    assert zoo.retrieval == zoo.path / "retrieval"


def test_an_empty_zoo_is_a_zoo(tmp_path: Path) -> None:
    Zoo.create(tmp_path / "zoo")
    zoo = Zoo.open(tmp_path / "zoo")
    zoo.add_entries([])
    zoo.add_transfers([])
    assert (zoo.tasks(), zoo.entries(), zoo.transfers(), zoo.base) == ([], [], [], None)
    assert [zoo.matrix(name).shape for name in VECTORS] == [(0, 0)] * 3
    assert verify_zoo(zoo).ok
    with pytest.raises(ZooError, match="no base"):
        zoo.base_state()
    with pytest.raises(ZooError, match="no base"):
        _ = zoo.resolution


def test_adding_again_replaces(tiny: Tiny) -> None:
    again = replace(tiny.entries[0], accuracy=0.75)
    tiny.zoo.add_entry(again)
    tiny.zoo.add_entries([again, again])
    assert Zoo.open(tiny.zoo.path).entries() == [again, tiny.entries[1]]


def test_transfers_come_back_once(tiny: Tiny) -> None:
    measured = [
        Transfer(e.id, "cutlery", 3, 300, 0.5, seed, 7.5, 3, 300)
        for e in tiny.entries
        for seed in (0, 1)
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
    other = make_entry(tiny.weights, SMALLEST, task="it's another")
    tiny.zoo.add_entry(other)
    assert tiny.zoo.entries(task="cutlery") == tiny.entries
    assert tiny.zoo.entries(task="it's another") == [other]
    assert tiny.zoo.entries(task="none") == []


def test_matrices_are_in_the_order_of_entries(tiny: Tiny) -> None:
    tiny.zoo.add_entries(some_entries(tiny.weights, 30))
    tiny.zoo.compact()
    zoo = Zoo.open(tiny.zoo.path)
    for name in VECTORS:
        matrix = zoo.matrix(name)
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous
        assert matrix.flags.writeable
        expected = np.array([getattr(entry, name) for entry in zoo.entries()], np.float32)
        assert np.array_equal(matrix, expected)


def test_entries_without_vectors_differ_in_nothing_else(tiny: Tiny) -> None:
    bare = [replace(e, topology=None, functional=None, similarities=None) for e in tiny.entries]
    assert tiny.zoo.entries(vectors=False) == bare


# Networks in other sizes


def test_a_stored_network_is_had_in_other_sizes(tiny: Tiny) -> None:
    for stored in tiny.entries:
        larger = tiny.zoo.entry(f"{stored.id}@48")
        assert larger.id == f"{stored.id}@48"
        assert (larger.ref, larger.resolution) == (resized(stored.ref, 48), 48)
        assert (larger.weights, larger.origins) == (stored.weights, stored.origins)
        assert larger.body_costs == describe(larger.ref).costs(0)
        assert larger.body_flops > stored.body_flops
        assert larger == at_size(stored, 48)
        # measured in another size
        assert larger.accuracy is larger.similarities is larger.functional is None
        network = tiny.zoo.load(larger.id, classes=5)
        assert (network.ref, network.classifier.out_features) == (larger.ref, 5)


def test_a_network_in_its_own_size_is_the_entry(tiny: Tiny) -> None:
    stored = tiny.entries[0]
    assert tiny.zoo.entry(f"{stored.id}@{stored.resolution}") == stored


@pytest.mark.parametrize("size", ["", "0", "-1", "048", "4.5", "big", "2049", "99999", "٤"])
def test_what_is_no_size_is_refused(tiny: Tiny, size: str) -> None:
    id = tiny.entries[0].id
    with pytest.raises(ZooError, match=f"from 1 to 2048, as in '{id}@32'"):
        tiny.zoo.entry(f"{id}@{size}")


def test_only_entries_are_had_in_other_sizes(tiny: Tiny) -> None:
    id = tiny.entries[0].id
    for wrong in (f"{id}0@48", f"{id}@48@64", "@48", "@"):
        with pytest.raises(ZooError, match="no entry"):
            tiny.zoo.entry(wrong)


def test_an_entry_may_be_called_as_if_in_another_size(tiny: Tiny) -> None:
    named = replace(tiny.entries[0], id="mine@48")
    tiny.zoo.add_entry(named)
    assert tiny.zoo.entry("mine@48") == named
    assert tiny.zoo.entry("mine@48@64").resolution == 64


def test_a_network_made_for_one_size_is_had_in_no_other(tiny: Tiny) -> None:
    ref = NetworkRef("timm", "test_vit", InputSpec(160))
    fixed = replace(make_entry(tiny.weights, ref), id="fixed", functional=None)
    tiny.zoo.add_entry(fixed)
    with pytest.raises(ZooError, match=r"fixed cannot have images of 64 pixels a side \(.*160"):
        tiny.zoo.entry("fixed@64")


@pytest.mark.long
def test_statistics_are_those_of_the_thumbnails_in_the_size(tiny: Tiny) -> None:
    base = make_entry(tiny.base, LARGEST)
    tiny.zoo.add_entry(base)
    for stored in (base, *tiny.entries):
        larger = tiny.zoo.load(f"{stored.id}@48")
        expected = tiny.zoo.load(stored.id)
        expected.ref = resized(stored.ref, 48)
        assert not torch.allclose(scores(larger), scores(expected), atol=1e-3)
        recalibrate(expected, previews.resize(tiny.thumbnails, 48))
        assert torch.allclose(scores(larger), scores(expected), atol=1e-5)


# Networks


def test_a_loaded_subnet_is_the_slice_with_statistics_of_the_thumbnails(tiny: Tiny) -> None:
    network = tiny.zoo.load(entry_id("cutlery", tiny.weights, SMALLEST))
    expected = build(SMALLEST, len(CLASSES))
    state = tiny.zoo.base_state(tiny.weights)
    expected.load_weights(slice_weights(state, SPACE, SPACE.smallest), strict=False)
    recalibrate(expected, previews.resize(tiny.thumbnails, 32))
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
    tiny.zoo.add_entry(make_entry(weights, LARGEST))
    network = tiny.zoo.load(entry_id("cutlery", weights, LARGEST))
    for name, tensor in network.weights().items():
        assert torch.equal(tensor, state[name].half().to(tensor.dtype)), name


def test_a_new_head_is_drawn_from_the_seed(tiny: Tiny) -> None:
    id = tiny.entries[0].id
    networks = [tiny.zoo.load(id, classes=7, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (n.classifier.weight for n in networks)
    assert first.shape == (7, SPACE.features)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(networks[0].body.stem.conv.weight, tiny.zoo.load(id).body.stem.conv.weight)


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
    assert all(torch.equal(t, base[name]) for name, t in network.weights().items())


def test_a_base_needs_statistics(tiny: Tiny) -> None:
    with pytest.raises(ZooError, match="running statistics"):
        tiny.zoo.set_base(tiny.weights, LARGEST)
    assert Zoo.open(tiny.zoo.path).base == tiny.base


def test_weights_without_a_head_load_with_a_new_one_only(tiny: Tiny) -> None:
    body = {n: t for n, t in tiny.state.items() if not n.startswith("classifier.")}
    for base in (tiny.base, None):
        entry = make_entry(tiny.zoo.add_weights(body, base=base), SMALLEST)
        tiny.zoo.add_entry(entry)
        assert not tiny.zoo.has_head(entry)
        assert scores(tiny.zoo.load(entry.id, classes=4)).shape == (2, 4)
        with pytest.raises(ZooError, match="without a head"):
            tiny.zoo.load(entry.id)
    assert tiny.zoo.has_head(tiny.entries[0])


def test_embeddings_need_no_head(tiny: Tiny) -> None:
    state = random_state(3)
    body = {n: t for n, t in state.items() if not n.startswith("classifier.")}
    whole, headless = (tiny.zoo.add_weights(s, base=None) for s in (state, body))
    networks = [tiny.zoo.load_network(SMALLEST, w, "cutlery") for w in (whole, headless)]
    for embed in (functional_embedding, reference_similarities):
        first, second = (embed(network) for network in networks)
        assert torch.equal(first, second)


def test_a_base_needs_no_head(tiny: Tiny) -> None:
    body = {n: t for n, t in random_state(3).items() if not n.startswith("classifier.")}
    base = tiny.zoo.add_weights(body, base=None)
    tiny.zoo.set_base(base, LARGEST)
    zoo = Zoo.open(tiny.zoo.path)
    assert set(zoo.base_state()) == set(body)
    network = zoo.query_network()
    assert all(torch.equal(network.weights()[n], t) for n, t in zoo.base_state().items())
    weights = zoo.add_weights(tiny.state, base=base)
    assert zoo.has_head(make_entry(weights, SMALLEST))


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
    entry = make_entry(tiny.base, SMALLEST, task="imagenet")
    tiny.zoo.add_entry(entry)
    other = Zoo.create(tmp_path / "other")
    other.copy_base(tiny.zoo)
    assert (other.base, other.base_ref) == (tiny.base, LARGEST)
    assert other.entries() == [entry]
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


# Networks of any family


@pytest.fixture
def foreign(tiny: Tiny, plain: PlainFamily) -> ZooEntry:
    """An entry of another family, width and input, of two origins, stored whole."""
    stored = with_statistics(plain.build(plain_ref(12, 40), len(CLASSES)))
    weights = tiny.zoo.add_weights(stored.weights(), base=None)
    entry = make_entry(weights, plain_ref(12, 40))
    entry = replace(entry, origins=("cutlery", "imagenet"), functional=None)
    tiny.zoo.add_entry(entry)
    return entry


def test_an_entry_of_another_family_comes_back(tiny: Tiny, foreign: ZooEntry) -> None:
    zoo = Zoo.open(tiny.zoo.path)
    assert zoo.entry(foreign.id) == foreign
    assert (foreign.task, foreign.resolution, foreign.topology) == ("cutlery", 40, None)
    assert zoo.entries(task="cutlery") == sorted([*tiny.entries, foreign], key=lambda e: e.id)
    assert zoo.entries(task="imagenet") == []


def test_a_network_of_another_family_is_loaded_as_it_was_stored(
    tiny: Tiny, foreign: ZooEntry
) -> None:
    zoo = Zoo.open(tiny.zoo.path)
    network = zoo.load(foreign.id)
    assert network.ref == foreign.ref
    stored = zoo.base_state(foreign.weights)
    assert all(torch.equal(t, stored[name]) for name, t in network.weights().items())
    assert scores(network).shape == (2, len(CLASSES))
    assert zoo.load(foreign.id, classes=5).classifier.weight.shape == (5, 12)
    assert verify_zoo(zoo).ok


def test_rows_of_vectors_that_a_network_lacks_are_nan(tiny: Tiny, foreign: ZooEntry) -> None:
    bare = replace(make_entry(tiny.weights, resized(SMALLEST, 48)), similarities=None)
    tiny.zoo.add_entry(bare)
    zoo = Zoo.open(tiny.zoo.path)
    entries = zoo.entries()
    assert {entry.id for entry in entries} >= {foreign.id, bare.id}
    for name in VECTORS:
        matrix, vectors = zoo.matrix(name), [getattr(entry, name) for entry in entries]
        width = next(len(vector) for vector in vectors if vector is not None)
        assert (matrix.shape, matrix.dtype) == ((len(entries), width), np.float32)
        assert None in vectors
        for row, vector in zip(matrix, vectors, strict=True):
            expected = [np.nan] * width if vector is None else vector
            assert np.array_equal(row, np.array(expected, np.float32), equal_nan=True)


def test_a_vector_that_no_network_has_is_a_matrix_without_columns(tiny: Tiny) -> None:
    zoo = Zoo.create(tiny.zoo.path.parent / "bare")
    weights = zoo.add_weights(tiny.state, base=None)
    zoo.add_entries([replace(e, topology=None, weights=weights) for e in tiny.entries])
    assert zoo.matrix("topology").shape == (2, 0)
    assert zoo.entries()[0].topology is None


def test_a_network_whose_weights_are_missing_is_all_but_loaded(tiny: Tiny) -> None:
    tiny.zoo.add_task(
        "forks",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=(tiny.features, tiny.labels),
        weights=None,
        train_images=0,
        cost_s=0.0,
    )
    place = "missing:forks.pt, and import it again"
    stored = replace(make_entry("0" * 64, SMALLEST, "forks"), place=place)
    tiny.zoo.add_entry(stored)
    zoo = Zoo.open(tiny.zoo.path)
    assert zoo.entry(stored.id) == stored
    assert (stored.has_weights, tiny.entries[0].has_weights) == (False, True)
    assert zoo.task("forks").weights is None
    for load in (lambda: zoo.load(stored.id, classes=2), lambda: zoo.has_head(stored)):
        with pytest.raises(ZooError, match="were not given.*give forks.pt, and import it again"):
            load()
    with pytest.raises(ZooError, match="weights of task 'forks' were not given"):
        _ = zoo.task("forks").supernet
    for wrong in ("missing:", "missing", "elsewhere:forks.pt"):
        with pytest.raises(ZooError, match="place"):
            tiny.zoo.add_entry(replace(stored, place=wrong))


def test_a_slice_of_a_task_without_thumbnails_has_the_statistics_of_the_whole(tiny: Tiny) -> None:
    state = random_state(3)
    weights = tiny.zoo.add_exact_weights(state)
    tiny.zoo.add_task(
        "unseen",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=None,
        weights=weights,
        train_images=0,
        cost_s=0.0,
    )
    network = tiny.zoo.load_network(SMALLEST, weights, "unseen")
    mean = network.body.state_dict()["stem.norm.running_mean"]
    assert torch.equal(mean, state["stem.norm.running_mean"])
    lacking = tiny.zoo.add_weights(nearby(random_state(0), 5), base=tiny.base)
    with pytest.raises(ZooError, match="no thumbnails"):
        tiny.zoo.load_network(SMALLEST, lacking, "unseen")


def test_vectors_of_different_lengths_are_no_matrix(tiny: Tiny, foreign: ZooEntry) -> None:
    tiny.zoo.add_entry(replace(foreign, functional=(0.5,) * foreign.width))
    with pytest.raises(ZooError, match=r"vectors of \[12, 1280\] numbers"):
        Zoo.open(tiny.zoo.path).matrix("functional")


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
    entry = make_entry(tiny.weights, ref_of(SPACE.sample(random.Random(5)), 32))
    wrong = [
        replace(entry, weights="0" * 64),
        replace(entry, similarities=(0.5,) * 495),
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


def test_creating_goes_on_with_the_zoo_that_is_there(tiny: Tiny) -> None:
    before = files(tiny.zoo)
    assert Zoo.create(tiny.zoo.path).entries() == tiny.entries
    assert files(tiny.zoo) == before


def test_a_zoo_cannot_be_made_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot make"):
        Zoo.create(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Damage


@pytest.mark.parametrize("table", ["entries", "tasks", "transfers"])
def test_a_damaged_table_is_one_clear_error(tiny: Tiny, table: str) -> None:
    tiny.zoo.add_transfers([Transfer(tiny.entries[0].id, "cutlery", 1, 6, 0.5, 0, 2.5, 3, 6)])
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


@pytest.mark.long
def test_writers_at_once_lose_nothing(tiny: Tiny) -> None:
    writers = [start_writer(tiny, seed, 8) for seed in (1, 2)]
    added = {line.strip() for writer in writers for line in writer.communicate()[0].splitlines()}
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(added) == 16
    ids = [entry.id for entry in Zoo.open(tiny.zoo.path).entries()]
    assert len(ids) == len(set(ids)) == 16 + 3 + 2
    assert added < set(ids)


@pytest.mark.long
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
    assert json.loads((zoo.path / "zoo.json").read_text())["base"]["weights"] == tiny.base
