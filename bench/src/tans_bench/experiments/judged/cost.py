"""What a run costs in multiply-adds, so that no device and no other work on it has a say.

A step costs three passes forward for each of its images, one forward and two back. Counted are also
validation images, batch-norm statistics, the fitting of the head, and the look at all candidates;
not the test, which no user needs.
"""

from __future__ import annotations

from collections.abc import Iterable

from tans.networks.probe import HEAD_STEPS
from tans.search.look import IMAGES as LOOKED_AT
from tans.training import HEAD_IMAGES, NORM_IMAGES
from tans_bench.experiments.judged.jobs import RECIPES, Tuned, recipe_of
from tans_bench.runs.results import Result

BACK = 2
"""Passes forward that a pass back costs."""


def training(job: Tuned, run: Result) -> float:
    """Multiply-adds of a fine-tune, of the head's fitting at most."""
    train, val, _ = run["splits"]
    trained, seen = recipe_of(job, train).seen(train, val)
    fitted = RECIPES[job.recipe].get("fit_head", True)
    head = BACK * HEAD_STEPS * min(train, HEAD_IMAGES) * run["head_width"] * run["classes"]
    return run["flops"] * ((1 + BACK) * trained + seen) + head * fitted


def looking(flops: Iterable[float], images: int) -> float:
    """Multiply-adds of a look at networks that need so many for one image."""
    seen = min(images, LOOKED_AT)
    return sum(flops) * (seen + min(seen, NORM_IMAGES))
