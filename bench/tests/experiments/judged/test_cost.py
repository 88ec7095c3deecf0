"""Multiply-adds of a run."""

from __future__ import annotations

import pytest

from tans.networks.probe import HEAD_STEPS
from tans_bench.experiments.judged.cost import looking, training
from tans_bench.experiments.judged.jobs import Cell, Tuned

RUN = {"splits": (320, 100, 400), "flops": 1e6, "head_width": 10, "classes": 4}


def test_a_step_costs_three_passes_for_each_image() -> None:
    job = Tuned(Cell("icons-apps", 0), "base", 64, recipe="common")
    # 20 epochs of 10 steps; validation after each, and no head to fit
    assert training(job, RUN) == 1e6 * (3 * 20 * 320 + 20 * 100)


def test_statistics_and_the_head_are_counted() -> None:
    job = Tuned(Cell("icons-apps", 0), "base", 64)
    readings = 11 * (100 + 256)  # one after two epochs, and one of the fitted head
    fitted = 2 * 320  # as they are, and as they are changed in training
    head = 2 * HEAD_STEPS * 320 * 10 * 4
    assert training(job, RUN) == 1e6 * (3 * 20 * 320 + readings + fitted) + head


def test_a_look_passes_over_its_images_twice_at_most() -> None:
    assert looking([1e6, 2e6], 50) == 3e6 * 100
    assert looking([1e6], 1500) == 1e6 * (300 + 256)
    assert looking([], 300) == 0


def test_more_steps_cost_more() -> None:
    short, long = (training(Tuned(Cell("a", 0), "base", 64, n), RUN) for n in (50, 200))
    assert long / short == pytest.approx(4, rel=0.25)
