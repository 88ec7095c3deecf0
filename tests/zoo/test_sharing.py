"""A push or a pull that ends anywhere leaves what was there, or all that is new."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import torch

from tans.errors import InputError, ZooError
from tans.zoo.shared import INDEX, Store
from tans.zoo.sharing import pull_zoo, push_zoo
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import CARD, CLASSES, Tiny, some_entries
from tests.zoo.stores import Faulty, keys, read, write

ADDRESS = "memory://shelf/zoo"
pytestmark = pytest.mark.usefixtures("stores")


def grown(tiny: Tiny, count: int = 1, seed: int = 5) -> list[str]:
    """Add networks to a zoo; ids of all."""
    tiny.zoo.add_entries(some_entries(tiny.weights, count, seed))
    return [entry.id for entry in tiny.zoo.entries(vectors=False)]


def ids(place: str | Path) -> list[str]:
    return [entry.id for entry in Zoo.open(place).entries(vectors=False)]


def test_a_zoo_goes_there_and_back(tiny: Tiny, tmp_path: Path) -> None:
    (tiny.zoo.path / "cutlery.checkpoint").write_bytes(b"of a build")
    told: list[tuple[int, int, str]] = []
    made = push_zoo(tiny.zoo, ADDRESS, on_progress=lambda *step: told.append(step))
    assert made.sent == made.files == len(told) == len(keys(ADDRESS)) - 1
    assert told[0][0] == 0
    assert {total for _, total, _ in told} == {made.bytes}
    assert told[-1][2] == "zoo.json"
    assert pull_zoo(ADDRESS, tmp_path / "back") == made
    back = Zoo.open(tmp_path / "back")
    assert back.address is None
    assert back.entries() == tiny.zoo.entries()
    assert verify_zoo(back).ok
    assert not (tmp_path / "back" / "cutlery.checkpoint").exists()
    back.add_entries(some_entries(tiny.weights, 1, seed=8))  # it is a zoo like any other


def test_what_is_there_is_not_sent_or_fetched_again(tiny: Tiny, tmp_path: Path) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    assert push_zoo(tiny.zoo, ADDRESS).sent == 0
    pull_zoo(ADDRESS, tmp_path / "back")
    assert pull_zoo(ADDRESS, tmp_path / "back").sent == 0
    grown(tiny)
    sent = push_zoo(tiny.zoo, ADDRESS).sent
    assert 0 < sent < 8
    assert pull_zoo(ADDRESS, tmp_path / "back").sent == sent
    assert ids(tmp_path / "back") == ids(ADDRESS) == ids(tiny.zoo.path)


@pytest.mark.filterwarnings("ignore::tans.errors.TansWarning")
def test_a_push_that_fails_anywhere_leaves_the_old_or_the_new(tiny: Tiny) -> None:
    push_zoo(tiny.zoo, "faulty://zoo")
    old = tiny.zoo.entries()
    late = some_entries(tiny.weights, 1, seed=6)
    tiny.zoo.add_entries(late)
    new = tiny.zoo.entries()
    failed = 0
    for call in itertools.count(1):
        Faulty.calls, Faulty.fails_at = 0, call
        try:
            push_zoo(tiny.zoo, "faulty://zoo")
        except ZooError as error:
            failed += "faulty://zoo" in str(error)
        reached, Faulty.fails_at = Faulty.calls, None
        if reached < call:
            break
        assert Zoo.open("faulty://zoo").entries() == old
    assert failed == call - 1 > 5
    assert Zoo.open("faulty://zoo").entries() == new


def test_a_first_push_that_failed_is_no_zoo_and_goes_on(tiny: Tiny) -> None:
    Faulty.fails_at = 9
    with pytest.raises(ZooError, match="faulty://zoo cannot be reached .*503 Slow Down"):
        push_zoo(tiny.zoo, "faulty://zoo")
    Faulty.fails_at = None
    there = len(keys("faulty://zoo"))
    with pytest.raises(ZooError, match="no zoo at faulty://zoo"):
        Zoo.open("faulty://zoo")
    made = push_zoo(tiny.zoo, "faulty://zoo")
    assert there > 2
    assert made.sent == made.files - there + 1  # the one that was half there is sent anew
    assert verify_zoo(Zoo.open("faulty://zoo")).ok


def test_a_store_that_keeps_nothing_is_told(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "write", lambda *_: None)
    with pytest.raises(ZooError, match="did not keep what was sent"):
        push_zoo(tiny.zoo, ADDRESS)


def test_a_pull_that_fails_anywhere_goes_on(tiny: Tiny, tmp_path: Path) -> None:
    push_zoo(tiny.zoo, "faulty://zoo")
    Faulty.calls, fetched = 0, []
    for call in itertools.count(2, 3):
        Faulty.calls, Faulty.fails_at = 0, call
        try:
            fetched.append(pull_zoo("faulty://zoo", tmp_path / "back").sent)
            break
        except ZooError as error:
            assert "cannot be reached" in str(error)  # noqa: PT017 - most fail, the last does not
        assert not (tmp_path / "back" / "zoo.json").exists()
        with pytest.raises(ZooError, match="no zoo in|zoo.json is missing"):
            Zoo.open(tmp_path / "back")
    Faulty.fails_at = None
    assert Zoo.open(tmp_path / "back").entries() == tiny.zoo.entries()


def test_networks_that_would_be_lost_are_named(tiny: Tiny, tmp_path: Path) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    pull_zoo(ADDRESS, tmp_path / "other")
    all_ids = grown(tiny, 3)
    push_zoo(tiny.zoo, ADDRESS)
    other = Zoo.open(tmp_path / "other")
    with pytest.raises(ZooError, match=r"holds 3 networks that .* lacks .*zoo merge.*--force"):
        push_zoo(other, ADDRESS)
    assert ids(ADDRESS) == all_ids
    push_zoo(other, ADDRESS, force=True)
    assert ids(ADDRESS) == ids(other.path)


def test_of_two_pushes_at_once_the_later_is_told(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    pull_zoo(ADDRESS, tmp_path / "other")
    other = Zoo.open(tmp_path / "other")
    other.add_entries(some_entries(tiny.weights, 1, seed=21))
    grown(tiny, 1, seed=22)
    write_file = Store.write

    def overtaken(store: Store, key: str, content: bytes) -> None:
        monkeypatch.setattr(Store, "write", write_file)
        push_zoo(other, ADDRESS)
        write_file(store, key, content)

    monkeypatch.setattr(Store, "write", overtaken)
    with pytest.raises(ZooError, match="another push to memory://shelf/zoo ended first"):
        push_zoo(tiny.zoo, ADDRESS)
    assert ids(ADDRESS) == ids(other.path)
    assert verify_zoo(Zoo.open(ADDRESS)).ok


@pytest.mark.long
def test_pushes_side_by_side_leave_one_whole_state(tiny: Tiny, tmp_path: Path) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    pull_zoo(ADDRESS, tmp_path / "other")
    other = Zoo.open(tmp_path / "other")
    other.add_entries(some_entries(tiny.weights, 1, seed=31))
    grown(tiny, 1, seed=32)
    begun = threading.Barrier(2)
    failures: list[ZooError] = []

    def push(zoo: Zoo) -> None:
        begun.wait()
        try:
            push_zoo(zoo, ADDRESS)
        except ZooError as error:
            failures.append(error)

    threads = [threading.Thread(target=push, args=(zoo,)) for zoo in (tiny.zoo, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(ADDRESS) in (ids(other.path), ids(tiny.zoo.path))
    assert verify_zoo(Zoo.open(ADDRESS)).ok


def test_nothing_is_pushed_over_what_is_no_zoo(tiny: Tiny) -> None:
    write(f"{ADDRESS}/photo.jpg", b"of others")
    with pytest.raises(ZooError, match=r"holds files of others \(photo.jpg\)"):
        push_zoo(tiny.zoo, ADDRESS)
    assert keys(ADDRESS) == ["photo.jpg"]
    fsspec.filesystem("memory").put(str(tiny.zoo.path), "/copied", recursive=True)
    with pytest.raises(ZooError, match="that was copied there as a folder"):
        push_zoo(tiny.zoo, "memory://copied", force=True)


def test_a_damaged_index_is_replaced_when_forced(tiny: Tiny) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    write(f"{ADDRESS}/{INDEX}", read(f"{ADDRESS}/{INDEX}")[:100])
    with pytest.raises(ZooError, match="index.json is damaged"):
        push_zoo(tiny.zoo, ADDRESS)
    assert push_zoo(tiny.zoo, ADDRESS, force=True).sent == 0
    assert ids(ADDRESS) == ids(tiny.zoo.path)


def damaged_weights(zoo: Zoo) -> None:
    path = next((zoo.path / "weights").iterdir())
    path.write_bytes(path.read_bytes()[::-1])


def damaged_table(zoo: Zoo) -> None:
    path = next((zoo.path / "entries.lance" / "data").iterdir())
    path.write_bytes(path.read_bytes()[::-1])


def link_out(zoo: Zoo) -> None:
    path = next((zoo.path / "sheets").iterdir())
    path.rename(zoo.path.parent / "elsewhere.webp")
    path.symlink_to(zoo.path.parent / "elsewhere.webp")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged_weights, "weights/.* is damaged"),
        (damaged_table, "entries.lance.* is damaged"),
        (link_out, "is a link that leads out"),
    ],
)
def test_what_is_damaged_here_is_not_shared(
    tiny: Tiny, spoil: Callable[[Zoo], None], said: str
) -> None:
    zoo = Zoo.open(tiny.zoo.path)
    spoil(zoo)
    with pytest.raises(ZooError, match=said):
        push_zoo(zoo, ADDRESS)
    assert not fsspec.filesystem("memory").exists(f"{ADDRESS}/{INDEX}")


def test_a_zoo_without_seals_is_shared_with_hashes(tiny: Tiny) -> None:
    for seal in (tiny.zoo.path / "seals").iterdir():
        seal.unlink()
    push_zoo(Zoo.open(tiny.zoo.path), ADDRESS)
    assert ids(ADDRESS) == ids(tiny.zoo.path)


def test_a_pull_goes_to_a_folder_of_its_own(tiny: Tiny, tmp_path: Path) -> None:
    push_zoo(tiny.zoo, ADDRESS)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    with pytest.raises(ZooError, match=r"holds what .* does not \(thesis.txt\)"):
        pull_zoo(ADDRESS, tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.txt"]
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "weights").symlink_to(tmp_path / "used")
    with pytest.raises(ZooError, match="link that leads out"):
        pull_zoo(ADDRESS, tmp_path / "linked")
    pull_zoo(ADDRESS, tmp_path / "back")
    Zoo.open(tmp_path / "back").add_entries(some_entries(tiny.weights, 1, seed=2))
    with pytest.raises(ZooError, match="merge them with 'tans zoo merge'"):
        pull_zoo(ADDRESS, tmp_path / "back")


def test_what_is_no_address_or_no_zoo(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no address; expected one that fsspec reaches"):
        push_zoo(tiny.zoo, str(tmp_path))
    with pytest.raises(InputError, match="is no address"):
        pull_zoo(str(tiny.zoo.path), tmp_path / "new")
    with pytest.raises(ZooError, match="no zoo at memory://nothing"):
        pull_zoo("memory://nothing", tmp_path / "new")
    push_zoo(tiny.zoo, ADDRESS)
    with pytest.raises(ZooError, match="is shared already; pull it"):
        push_zoo(Zoo.open(ADDRESS), "memory://more")
    with pytest.raises(ZooError, match="has no base"):
        push_zoo(Zoo.create(tmp_path / "empty"), "memory://more")


def test_a_task_without_images_is_shared(tiny: Tiny) -> None:
    tiny.zoo.add_task(
        "words",
        classes=CLASSES,
        card=CARD,
        thumbnails=None,
        features=None,
        weights=tiny.weights,
        train_images=3,
        cost_s=1,
    )
    push_zoo(tiny.zoo, ADDRESS)
    assert torch.equal(Zoo.open(ADDRESS).features("words")[0], torch.zeros(0, 1280))


PUSH = """
import sys
from tans.zoo.sharing import push_zoo
from tans.zoo.zoo import Zoo

def wait(*_):
    print(flush=True)
    sys.stdin.readline()  # whoever kills it finds it here

push_zoo(Zoo.open(sys.argv[1]), sys.argv[2], on_progress=wait)
"""


@pytest.mark.long
def test_a_push_that_is_killed_leaves_the_old_and_goes_on(tiny: Tiny, tmp_path: Path) -> None:
    address = f"file://{tmp_path}/store/zoo"
    push_zoo(tiny.zoo, address)
    old = ids(address)
    for killed_at in (1, 3, 5):
        new = grown(tiny, 1, seed=40 + killed_at)
        command = [sys.executable, "-c", PUSH, str(tiny.zoo.path), address]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"\n" * (killed_at - 1))
            process.stdin.flush()
            for _ in range(killed_at):
                process.stdout.readline()
            process.kill()
        assert ids(address) == old
        assert verify_zoo(Zoo.open(address)).ok
    push_zoo(Zoo.open(tiny.zoo.path), address)
    assert ids(address) == new
    assert verify_zoo(Zoo.open(address)).ok
