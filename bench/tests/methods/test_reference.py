"""Reference methods take what their names say."""

from __future__ import annotations

from tans.networks.families.elastic.specification import ref_of
from tans.networks.family import describe
from tans.types import Constraints
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.methods import reference
from tans_bench.methods.method import UNTRAINED, Problem, space_of
from tests.small_zoo import drawn_task


def test_imagenet_is_taken_as_published(measured_zoo: Zoo) -> None:
    problem = Problem(drawn_task("green", "three"))
    highest = Sources.of(measured_zoo).whole[-1]
    assert reference.imagenet(problem, measured_zoo).network == highest.id
    at_zoo = Sources.of(measured_zoo).whole[0]
    flops = describe(at_zoo.ref).costs(3, deep=True).flops
    limited = Problem(problem.task, Constraints(max_flops=flops))
    assert reference.imagenet(limited, measured_zoo).network == at_zoo.id
    assert not reference.imagenet_random_head(problem, measured_zoo).fit_head


def test_the_elastic_base_is_its_largest_subnet_within_the_limits(measured_zoo: Zoo) -> None:
    problem = Problem(drawn_task("green", "three"))
    whole = reference.elastic_base(problem, measured_zoo)
    assert (whole.source, whole.weights) == (IMAGENET, measured_zoo.base)
    assert whole.ref == ref_of(space_of(measured_zoo).largest, 32)
    scratch = reference.from_scratch(problem, measured_zoo)
    assert (scratch.ref, scratch.weights) == (whole.ref, UNTRAINED)


def test_the_nearest_dataset_is_the_task_itself_when_the_zoo_holds_it(measured_zoo: Zoo) -> None:
    for name, seed in (("red", 1), ("blue", 2)):
        task = drawn_task(name, "one", seed=seed)
        assert reference.nearest_dataset(Problem(task), measured_zoo).source == name


def test_the_largest_is_largest_and_random_depends_on_the_seed(measured_zoo: Zoo) -> None:
    task = drawn_task("green", "three")
    entries = measured_zoo.entries(vectors=False)
    most = max(entry.body_params for entry in entries)
    chosen = reference.largest(Problem(task), measured_zoo)
    assert measured_zoo.entry(chosen.network).body_params == most
    drawn = {reference.at_random(Problem(task, seed=s), measured_zoo).network for s in range(20)}
    assert len(drawn) > 1


def test_the_best_on_average_has_the_best_probes(measured_zoo: Zoo) -> None:
    chosen = reference.best_on_average(Problem(drawn_task("green", "three")), measured_zoo)
    assert chosen.source in {task.name for task in measured_zoo.tasks()}
