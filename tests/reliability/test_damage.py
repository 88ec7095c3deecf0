"""A damaged zoo."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tans.workflow import verify
from tans.zoo.blobs import LocalBlobs
from tans.zoo.rows import KEYS
from tans.zoo.seals import Seals
from tans.zoo.zoo import Zoo
from tests.reliability.counting import Trials
from tests.reliability.whole_zoo import Command

TABLES = "|".join(KEYS)
KINDS = (
    r"zoo\.json",
    r"(weights|sheets|features)/\w+\.\w+",
    rf"({TABLES})\.lance/_versions/\d+\.manifest",
    rf"({TABLES})\.lance/(data|_deletions|_transactions)/[\w-]+\.\w+",
    rf"({TABLES})\.lance/_versions/latest_version_hint\.json",
    r"retrieval/(retriever|judge)\.json",
    r"retrieval/(weights|models)-\w+\.safetensors",
    r"construction\.(json|md)",
    r"(retrieval/)?seals/\w+\.sha256",
)
SEARCHED = r"zoo\.json|weights/.*|(entries|tasks)\.lance/.*|retrieval/.*|seals/.*"
TUNED = r"zoo\.json|(entries|tasks)\.lance/.*|seals/.*"
"""What a fine-tune of a named network reads whichever it is; its weights and sheet it reads too."""
NOT_NEEDED = r".*(_transactions/.*|_hint\.json)"
"""What LanceDB reads without."""


def keys(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def samples(folder: Path) -> dict[str, str]:
    """A file of each kind and folder, the newest manifests among them."""
    found: dict[str, str] = {}
    for key in keys(folder):
        kinds = [kind for kind in KINDS if re.fullmatch(kind, key)]
        assert len(kinds) == 1, f"{key} is of no known kind"
        hashless = key if key.startswith(("zoo", "construction")) else re.sub(r"\d.*", "", key)
        found.setdefault(f"{Path(key).parent} {hashless.rpartition('/')[2][:9]}", key)
    return {key: kind for kind, key in found.items()}


def flipped(position: float) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        place = min(int(position * len(data)), len(data) - 1)
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return change


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    """The file changed, or missing; whole again afterwards."""
    data = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(data))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(data)


def told_by_verify(folder: Path, key: str) -> bool:
    """Whether it is among the problems, or, where a seal is lost, among what has none."""
    try:
        report = verify(Zoo.open(folder))
    except Exception as error:
        return key in str(error)
    return bool(report.problems or report.unsealed)


def test_a_whole_zoo_is_told_to_be_whole(whole_zoo: Zoo, trials: Trials) -> None:
    """Every file that a build and a training leave is known and sealed"""
    found = keys(whole_zoo.path)
    report = verify(whole_zoo)
    assert (report.problems, report.unused, report.unsealed) == ((), (), ())
    for key in found:
        with trials.trial(key):
            assert [kind for kind in KINDS if re.fullmatch(kind, key)]
    assert {kind for kind in KINDS for key in found if re.fullmatch(kind, key)} == set(KINDS)
    assert {f"{name}.lance" for name in KEYS} <= {key.partition("/")[0] for key in found}
    assert any("_deletions" in key for key in found)


def is_overtaken(folder: Path, key: str) -> bool:
    """Whether it is a seal of what was written anew since, which nobody misses."""
    if "seals/" not in key:
        return False
    root = (folder / key).parents[1]
    sealed = (line.split(maxsplit=1) for line in (folder / key).read_text().splitlines())
    return not any(
        (root / name).exists() and hashlib.sha256((root / name).read_bytes()).hexdigest() == digest
        for digest, name in sealed
    )


def verified(folder: Path, trials: Trials, change: Callable[[bytes], bytes] | None) -> None:
    for key in samples(folder):
        # what LanceDB notes for itself may be an older version
        not_needed = re.fullmatch(NOT_NEEDED, key) or is_overtaken(folder, key)
        missing = change is None and not_needed
        if missing or (change is not cut and key.endswith("_hint.json")):
            continue
        with trials.trial(key), damaged(folder / key, change):
            assert told_by_verify(folder, key), "verify found nothing"


@pytest.mark.slow
def test_verify_finds_flipped_bytes(broken_zoo: Path, trials: Trials) -> None:
    """A bit is flipped in a file: `tans zoo verify` finds it"""
    verified(broken_zoo, trials, flipped(0.5))


def test_a_flipped_bit_is_seen_wherever_it_is(broken_zoo: Path, trials: Trials) -> None:
    """A bit is flipped at the start, the end, or between: its file is not sound"""
    for folder in (broken_zoo, broken_zoo / "retrieval"):
        seals = Seals(LocalBlobs(folder))
        sealed = seals.all()
        for key in sealed:
            assert seals.is_sound(key, sealed)
            for position in (0.0, 0.1, 0.25, 0.75, 0.9, 1.0):
                with trials.trial((key, position)), damaged(folder / key, flipped(position)):
                    assert not seals.is_sound(key, sealed)


@pytest.mark.slow
def test_verify_finds_cut_files(broken_zoo: Path, trials: Trials) -> None:
    """A file is cut in half: `tans zoo verify` finds it"""
    verified(broken_zoo, trials, cut)


@pytest.mark.slow
def test_verify_finds_lost_files(broken_zoo: Path, trials: Trials) -> None:
    """A file is missing: `tans zoo verify` finds it"""
    verified(broken_zoo, trials, None)


@pytest.mark.long
def test_verify_finds_lost_tables(broken_zoo: Path, trials: Trials) -> None:
    """A whole table is missing: `tans zoo verify` finds it, and names it"""
    for name in KEYS:
        with trials.trial(name):
            aside = broken_zoo.parent / "aside"
            (broken_zoo / f"{name}.lance").rename(aside)
            report = verify(Zoo.open(broken_zoo))
            aside.rename(broken_zoo / f"{name}.lance")
            assert any(f"{name}.lance" in problem for problem in report.problems)


@pytest.mark.long
def test_search_refuses_what_it_reads(
    broken_zoo: Path,
    colours: Path,
    fails: Command,
    trials: Trials,
) -> None:
    """A file that a search reads is flipped, cut or missing: one error, no result"""
    for key in samples(broken_zoo):
        read = re.fullmatch(SEARCHED, key) and not re.fullmatch(NOT_NEEDED, key)
        for change in (flipped(0.5), cut, None):
            if not read or (change is None and "seals/" in key):
                continue
            with trials.trial((key, change)), damaged(broken_zoo / key, change):
                fails("search", colours, "--zoo", broken_zoo, "--look", 2)


@pytest.mark.long
def test_finetune_refuses_what_it_reads(
    broken_zoo: Path,
    colours: Path,
    fails: Command,
    trials: Trials,
    tmp_path: Path,
) -> None:
    """A file that a fine-tune reads is flipped, cut or missing: one error, nothing written"""
    zoo = Zoo.open(broken_zoo)
    own = {f"{kind}/{digest}" for kind, digest in zoo.task("red").files.items()}
    own = {key for key in keys(broken_zoo) if key.rpartition(".")[0] in own}
    own = {key for key in own if not key.startswith("features/")}
    for key in {*samples(broken_zoo), *own, f"weights/{zoo.base}.safetensors"}:
        read = key in own or re.fullmatch(TUNED, key) or zoo.base in key
        for change in (flipped(0.5), cut, None):
            if not read or re.fullmatch(NOT_NEEDED, key) or (change is None and "seals/" in key):
                continue
            with trials.trial((key, change)), damaged(broken_zoo / key, change):
                told = ("--network", "red", "--epochs", 1, "-o", tmp_path / "out")
                fails("finetune", colours, "--zoo", broken_zoo, *told)
                assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_what_is_not_read_stops_no_search(
    broken_zoo: Path,
    colours: Path,
    trials: Trials,
) -> None:
    """A file that a search does not read is damaged: the search is as it was"""
    from tans.search import search
    from tans.tasks.task import Task

    task = Task.from_path(colours)
    expected = [match.id for match in search(task, Zoo.open(broken_zoo), look=0)]
    for key in samples(broken_zoo):
        if not re.fullmatch(SEARCHED, key) or re.fullmatch(NOT_NEEDED, key):
            with trials.trial(key), damaged(broken_zoo / key, cut):
                found = search(task, Zoo.open(broken_zoo), look=0)
                assert [match.id for match in found] == expected


def test_damage_is_never_sealed(broken_zoo: Path, trials: Trials) -> None:
    """A damaged table is added to, or compacted: refused, and still damaged afterwards"""
    key = next(k for k in keys(broken_zoo) if k.startswith("entries.lance/data/"))
    sound = Zoo.open(broken_zoo).entries()
    with damaged(broken_zoo / key, flipped(0.5)):
        for use in (lambda z: z.add_entries(sound[:1]), Zoo.compact, Zoo.entries):
            with trials.trial(use), pytest.raises(Exception, match="not as it was written"):
                use(Zoo.open(broken_zoo))
        seals = (broken_zoo / "seals").glob("*")
        lines = [line for seal in seals for line in seal.read_text().splitlines()]
        assert sum(key in line for line in lines) == 1
    assert Zoo.open(broken_zoo).entries() == sound
