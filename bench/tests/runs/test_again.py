"""A run that is made again stands beside the stored one, on a page of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.tests.conftest import DEV_TASK

from tans.errors import InputError
from tans_bench.methods.method import Proposal
from tans_bench.runs.again import make_again, write_page
from tans_bench.runs.bench import Bench
from tans_bench.runs.jobs import FineTune
from tans_bench.runs.versions import CURRENT, FIRST


@pytest.fixture
def stored(bench: Bench) -> Path:
    """The file of a fine-tune that an earlier version made, which told less."""
    entry = next(e for e in bench.zoo.entries() if e.accuracy is not None)
    job = FineTune(DEV_TASK, Proposal.of(entry), epochs=1, images=30)
    told = ("network", "task", "epochs", "seed", "images", "learning_rate", "fit_head")
    run = {**{name: value for name, value in job.run(bench).items() if name in told}}
    run |= {"accuracy": 0.125, "best_epoch": 1, "test_images": 7}
    path = bench.results.folder / f"{job.name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(run))
    return path


@pytest.mark.long
def test_a_run_is_made_again_beside_the_stored_one(
    bench: Bench, stored: Path, tmp_path: Path
) -> None:
    folder, before = bench.results.folder, stored.read_text()
    name = stored.relative_to(folder).with_suffix("").as_posix()
    assert list(make_again([name], bench)) == [name]
    assert stored.read_text() == before
    assert [*stored.parent.iterdir()] == [stored]
    assert bench.results.read(name) == json.loads(before)
    made = folder / "again" / f"{name}{CURRENT.ending}.json"
    first = made.read_text()
    list(make_again([name], bench))
    assert made.read_text() == first
    write_page(folder, tmp_path / "again.md")
    rows = [line for line in (tmp_path / "again.md").read_text().splitlines() if "reader " in line]
    old, new = (row for row in rows if row.startswith("|"))
    assert f"reader {FIRST.reader}, recipe {FIRST.recipe} | 12.5 |  | 1 of 1 | 7 |" in old
    run = json.loads(first)
    assert f"{100 * run['accuracy']:.1f} | {100 * run['balanced_accuracy']:.1f}" in new
    assert run["versions"] == CURRENT._asdict()


def test_what_is_no_stored_run_is_named(bench: Bench) -> None:
    with pytest.raises(InputError, match="no fine-tune 'runs/a/b'"):
        list(make_again(["runs/a/b"], bench))


BEFORE = {
    "accuracy": 0.5,
    "best_epoch": 3,
    "epochs": 5,
    "fit_head": True,
    "test_images": 100,
    "unevenness": 1.0,
    "threads": 1,
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "nothing"),
        ({"accuracy": 0.5 + 1e-8}, "nothing"),
        ({"accuracy": 0.51, "threads": 2}, "sums of 1 and 2 threads"),
        ({"best_epoch": 4, "accuracy": 0.51}, "another epoch is kept"),
        ({"unevenness": 2.0, "best_epoch": 4}, "rare classes count more"),
        ({"test_images": 98}, "other images are tested"),
    ],
)
def test_what_differs_is_explained(tmp_path: Path, change: dict[str, float], why: str) -> None:
    after = {**BEFORE, **change, "balanced_accuracy": 0.5, "versions": CURRENT._asdict()}
    for name, run in (("runs/a/b", BEFORE), (f"again/runs/a/b{CURRENT.ending}", after)):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(run))
    write_page(tmp_path, tmp_path / "again.md")
    assert why in (tmp_path / "again.md").read_text().splitlines()[-1]
