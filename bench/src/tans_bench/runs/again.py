"""Make stored fine-tunes again with the current reader and recipe, and tell what differs.

What is made stands below ``again`` in the folder of the results, so that no page mixes it with what
it is compared to, and the stored file stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tans.errors import InputError
from tans.training import UNEVEN
from tans_bench.methods.method import Proposal
from tans_bench.runs.bench import Bench
from tans_bench.runs.comparison import percent
from tans_bench.runs.jobs import FineTune
from tans_bench.runs.results import Result, Results
from tans_bench.runs.versions import CURRENT, FIRST, split_ending

FOLDER = "again"
COLUMNS = (
    *("run", "made with", "accuracy", "balanced accuracy", "kept epoch"),
    *("test images", "largest class over smallest", "what differs, and why"),
)
HEAD = """# Runs made again

Stored fine-tunes, made again with the current reader and recipe: the same task, network, seed,
epochs and number of training images. The first line of each is the stored run. Test images are
other ones where the reader splits otherwise; recipe 2 keeps the epoch of the highest balanced
validation accuracy, and lets images of rare classes count more. What older results do not tell is
left empty. Made by `tans bench again NAME ... --to PAGE`, on one thread (`OMP_NUM_THREADS=1`) as
the stored runs were: two threads sum in another order.
"""


def make_again(names: Sequence[str], bench: Bench) -> Iterator[str]:
    """Make stored fine-tunes again, those that were not yet by the current versions.

    Args:
        names: of results, such as ``runs/script-greek/digits-1a2b-n300-e5-r0.03-s0``.

    Yields:
        Each name, when its run is stored.

    Raises:
        InputError: there is no such fine-tune of a network of the zoo.
    """
    jobs = {name: _job(name, bench) for name in names}
    for name, job in jobs.items():
        if not _is_made(bench.results, name):
            bench.results.write(f"{FOLDER}/{name}", job.run(bench))
        yield name


def write_page(results: str | Path, page: Path) -> None:
    """Write a table of all runs that were made again, from their files alone."""
    stored = Results(results)
    rows = [COLUMNS, ["---", "---", *["---:"] * (len(COLUMNS) - 3), "---"]]
    for path in sorted((stored.folder / FOLDER).rglob("*.json")):
        made = path.relative_to(stored.folder / FOLDER).with_suffix("").as_posix()
        name = split_ending(made)[0]
        before, after = stored.read(name), stored.read(f"{FOLDER}/{name}")
        if before is not None and after is not None and made == name + CURRENT.ending:
            rows += [_row(name, before, ""), _row("", after, _why(before, after))]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page.write_text(f"{HEAD}\n{table}\n")


def _is_made(results: Results, name: str) -> bool:
    """Whether a run was made again by the current versions."""
    again = f"{FOLDER}/{name}"
    return results.read(again) is not None and results.made[again] == CURRENT


def _job(name: str, bench: Bench) -> FineTune:
    """The job that a stored run was made by."""
    stored = bench.results.read(name)
    if stored is None or not {"network", "epochs", "learning_rate"} <= stored.keys():
        raise InputError(f"no fine-tune {name!r} in {bench.results.folder}; expected runs/TASK/...")
    proposal = Proposal.of(bench.zoo.entry(stored["network"]))
    proposal = replace(proposal, fit_head=stored["fit_head"])
    job = FineTune(
        stored["task"],
        proposal,
        stored["epochs"],
        stored["seed"],
        stored["images"],
        stored["learning_rate"],
    )
    if job.name != name:
        raise InputError(f"{name!r} is of another network than the zoo's {job.proposal.network}")
    return job


def _why(before: Result, after: Result) -> str:
    """What a run that was made again gives other than the stored one, and what that is owed to."""
    if before["test_images"] != after["test_images"]:
        return "other images are tested: copies are kept on one side of each split"
    if after["fit_head"] and after["epochs"] and after["unevenness"] > UNEVEN:
        return "images of rare classes count more in training"
    if before["best_epoch"] not in (None, after["best_epoch"]):
        return "another epoch is kept, the best by balanced accuracy"
    if not math.isclose(before["accuracy"], after["accuracy"], abs_tol=1e-6):
        threads = f"{before['threads']} and {after['threads']} threads"
        return f"sums of {threads}: not owed to reader or recipe"
    return "nothing: classes are even, and count alike"


def _row(name: str, run: Result, why: str) -> list[str]:
    """Cells of a run, empty where it does not tell."""
    made = run.get("versions", FIRST._asdict())
    balanced, uneven = run.get("balanced_accuracy"), run.get("unevenness")
    return [
        name,
        f"reader {made['reader']}, recipe {made['recipe']}",
        percent(run["accuracy"]),
        "" if balanced is None else percent(balanced),
        "" if run["best_epoch"] is None else f"{run['best_epoch']} of {run['epochs']}",
        str(run["test_images"]),
        "" if uneven is None else f"{uneven:.1f}",
        why,
    ]
