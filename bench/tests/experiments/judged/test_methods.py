"""What each method chooses, given what was seen."""

from __future__ import annotations

from pathlib import Path

from tans_bench.experiments.judged import field
from tans_bench.experiments.judged.jobs import FROZEN, SHORTLISTS, Cell, Frozen, shortlist
from tans_bench.experiments.judged.methods import (
    BASE,
    BEST,
    EVERY,
    LITE0,
    METHODS,
    NEAREST,
    OWN,
    PLAIN,
    SAME,
    SHORT,
    TANS,
    TANS_AT_ANY,
    UNLIMITED,
    Seen,
    read_seen,
    tuned,
)
from tans_bench.runs.results import Results

CELL = Cell("icons-apps", 3)
SOURCES = tuple("abcdefg")


def make_seen(**accuracies: float) -> Seen:
    """All networks within the limit reach .5 but for some."""
    names = [f"{name}@{size}" for name, size in field.sized(field.WITHIN)]
    known = dict.fromkeys([*names, BASE, *(f"{source}@64" for source in SOURCES)], 0.5)
    known |= {f"{name}@64": accuracy for name, accuracy in accuracies.items()}
    scores = {name: {"similarity": -k} for k, name in enumerate(SOURCES)}
    return Seen(CELL, known, dict.fromkeys(known, 1e6), scores)


def test_each_takes_the_best_of_what_it_looks_at() -> None:
    seen = make_seen(mobilenetv2_100=0.6, c=0.7, g=0.8)
    chosen = {name: method.choose(seen) for name, method in METHODS.items()}
    assert chosen == {
        PLAIN: LITE0,
        SAME: LITE0,
        BEST: "mobilenetv2_100@64",
        OWN: BASE,
        NEAREST: LITE0,
        TANS: "c@64",  # the seventh source is not on the shortlist
        EVERY: "g@64",
    }
    assert len(METHODS[TANS].looked_at(seen)) == SHORT + 2
    assert METHODS[NEAREST].looked_at(seen) == [LITE0, BASE, "a@64"]
    assert METHODS[SAME].looked_at(seen) == ()


def test_the_first_of_equals_is_taken() -> None:
    assert METHODS[TANS].choose(make_seen()) == LITE0


def test_what_was_not_looked_at_is_not_known() -> None:
    seen = make_seen()
    assert all(method.knows(seen) for method in METHODS.values())
    assert not UNLIMITED[TANS_AT_ANY].knows(seen)


def test_a_choice_becomes_a_fine_tune() -> None:
    job = tuned(METHODS[TANS], make_seen(base=0.9))
    assert (job.cell, job.network, job.size, job.recipe) == (CELL, "base", 64, "default")
    assert tuned(METHODS[PLAIN], make_seen(), 50).recipe == "common"


def test_what_is_stored_is_read_together(tmp_path: Path) -> None:
    results = Results(tmp_path)
    own = {"task": CELL.task, "seed": CELL.seed, "images": CELL.images}
    for part, name in (("within", "x@64"), ("beyond", "x@224")):
        line = {**own, "part": part, "accuracy": {name: 0.5}, "flops": {name: 1.0}}
        results.write(Frozen(CELL, part).name, line)
    assert read_seen(results) == {}
    nearest = {"near": {"similarity": 0.9}, "imagenet": {"similarity": 1.0}}
    nearest |= {"far": {"similarity": 0.1}, "nearer": {"similarity": 0.95}}
    results.write(shortlist(CELL).name, {**own, "sources": nearest})
    (seen,) = read_seen(results).values()
    assert set(seen.accuracy) == {"x@64", "x@224"}
    assert seen.sources == ("nearer", "near", "far")
    assert len(results.lines(FROZEN)) == 2 * len(results.lines(SHORTLISTS))
