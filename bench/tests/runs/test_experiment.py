"""What experiments declare, for two cores and for a GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tans.errors import InputError
from tans.networks.families.elastic.specification import LITE0
from tans_bench.experiments.catalogue import EXPERIMENTS
from tans_bench.methods.method import Proposal
from tans_bench.runs.bench import Bench
from tans_bench.runs.experiment import PRESETS, Arm, Comparison, Experiment, Fixed
from tans_bench.runs.jobs import Choose
from tans_bench.spaces.families import ref_of

ARM = Arm(("tans", "ofa"), ("digits", "flags"), (0, 5), limits=("1M", "2M"))


def test_an_arm_chooses_by_each_method_on_each_task_within_each_limit() -> None:
    choices = ARM.choices()
    assert len(choices) == len(set(choices)) == 8
    assert Choose("flags", "ofa", "2M") in choices


def test_a_gpu_takes_more_images_seeds_and_searches() -> None:
    full = ARM.scaled("gpu")
    assert (full.images, full.seeds, full.budget) == (600, (0, 1, 2, 3, 4), "full")
    assert not {c.name for c in full.choices()} & {c.name for c in ARM.choices()}
    assert ARM.scaled("cpu") == ARM


def test_nothing_is_fine_tuned_before_it_is_chosen(bench: Bench) -> None:
    assert Comparison((ARM,)).jobs(bench) == ARM.choices()


def test_a_fixed_plan_is_the_same_for_every_preset(bench: Bench) -> None:
    plan = Fixed((Choose("digits", "tans"),))
    assert plan.jobs(bench) == plan.scaled("gpu").jobs(bench)


def test_an_unknown_preset_is_an_error() -> None:
    experiment = Experiment("x", "X", "?", Comparison((ARM,)), drawn=lambda *_: [])
    with pytest.raises(InputError, match="no preset 'tpu'; expected one of cpu, gpu"):
        experiment.scaled("tpu")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_every_preset(name: str) -> None:
    for preset in PRESETS:
        scaled = EXPERIMENTS[name].scaled(preset)
        assert (scaled.name, scaled.title) == (name, EXPERIMENTS[name].title)
        assert scaled.question.endswith((".", "?"))


def test_an_arm_fine_tunes_at_its_own_rate() -> None:
    proposal = Proposal("digits", "0" * 64, ref_of(LITE0.smallest, 32))
    slow = replace(ARM, learning_rate=0.01).finetune("digits", proposal, 5, 1)
    assert (slow.learning_rate, slow.epochs, slow.seed, slow.images) == (0.01, 5, 1, 300)
    assert slow.name != ARM.finetune("digits", proposal, 5, 1).name
