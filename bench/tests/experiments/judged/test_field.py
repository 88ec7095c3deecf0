"""What is declared beforehand holds of the zoo, the packaged tasks and the published networks."""

from __future__ import annotations

import pytest

from tans.networks.published import PUBLISHED
from tans.zoo.zoo import Zoo
from tans_bench.experiments.judged import field
from tans_bench.runs.roles import is_sibling
from tans_bench.sources.registry import get_source, sources


@pytest.fixture(scope="module")
def shipped() -> Zoo:
    return Zoo.open()


def test_tasks_are_unseen_and_of_the_kind_they_are_told_to_be() -> None:
    assert len(set(field.TASKS)) == 12
    assert set(field.FEW) < set(field.TASKS)
    for task in field.TASKS:
        assert get_source(task).role == "dev"
        assert is_sibling(task) == (task in field.SIBLINGS)


def test_strangers_are_judged_without_their_family_and_its_kin(shipped: Zoo) -> None:
    family = {source.name: source.card["family"] for source in shipped.tasks()}
    everything = field.sources_for("script-greek", shipped)
    assert len(everything) == len(shipped.tasks()) - 1  # all but ImageNet's
    for task in field.STRANGERS:
        assert get_source(task).family in field.kin(task)
        assert not {family[name] for name in field.sources_for(task, shipped)} & field.kin(task)
    assert "textile" in everything
    assert "textile" not in field.sources_for("solar-cells", shipped)


def test_kin_are_families_of_packaged_tasks() -> None:
    known = {source.family for source in sources()}
    for families in field.KIN.values():
        assert families <= known


@pytest.mark.long
def test_published_networks_keep_to_the_limit(shipped: Zoo) -> None:
    limit = field.flops_of(field.LITE0, field.LEAST, shipped, 20)
    within = [field.flops_of(*each, shipped, 20) for each in field.sized(field.WITHIN)]
    beyond = [field.flops_of(*each, shipped, 20) for each in field.sized(field.BEYOND)]
    assert 0.65 * limit < max(within) <= limit < min(beyond)
    assert set(field.WITHIN) == set(field.BEYOND) == {p.ref.name for p in PUBLISHED}
    for published in PUBLISHED:
        assert max(field.BEYOND[published.ref.name]) == published.ref.input.size


@pytest.mark.long
def test_a_network_is_had_by_its_name_at_any_size(shipped: Zoo) -> None:
    for name in (field.LITE0, "mobilenetv2_100", field.BASE, "flags"):
        network = field.load(name, 48, shipped)
        assert network.input.size == 48
        assert network.ref == field.ref_of(name, 48, shipped)
