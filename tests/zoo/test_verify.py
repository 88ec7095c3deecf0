from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.zoo.ids import entry_id
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import LARGEST, SMALLEST, Tiny, make_entry, random_state


def test_a_sound_zoo_is_verified(tiny: Tiny) -> None:
    steps: list[tuple[int, int]] = []
    report = verify_zoo(tiny.zoo, lambda done, total: steps.append((done, total)))
    assert report.ok
    assert (report.networks, report.unused, report.unsealed) == (2, (), ())
    assert report.files >= 4 + 3 * 3  # a manifest, data and a transaction of each table
    assert steps == [(k, len(steps)) for k in range(1, len(steps) + 1)]


def test_every_problem_is_listed(tiny: Tiny) -> None:
    lone = make_entry(tiny.weights, SMALLEST, task="gone")
    tiny.zoo.add_entry(lone)
    (sheet,) = tiny.zoo.path.glob("sheets/*.webp")
    sheet.write_bytes(sheet.read_bytes()[:-1] + b"?")
    (features,) = tiny.zoo.path.glob("features/*")
    features.unlink()
    report = verify_zoo(Zoo.open(tiny.zoo.path))
    assert not report.ok
    assert report.networks == 0
    text = "\n".join(report.problems)
    for expected in (sheet.name, features.name, "'gone'", *(e.id for e in tiny.entries)):
        assert expected in text


@pytest.mark.long
def test_weights_without_a_head_are_sound(tiny: Tiny) -> None:
    body = {n: t for n, t in random_state(4).items() if not n.startswith("classifier.")}
    for ref in (LARGEST, SMALLEST):
        tiny.zoo.add_entry(make_entry(tiny.zoo.add_weights(body, base=None), ref))
    assert verify_zoo(tiny.zoo).ok
    del body["stem.conv.weight"]
    tiny.zoo.add_entry(make_entry(tiny.zoo.add_weights(body, base=None), LARGEST))
    (problem,) = verify_zoo(tiny.zoo).problems
    assert "stem.conv.weight" in problem


def test_a_network_whose_weights_are_missing_is_checked_but_for_them(tiny: Tiny) -> None:
    stored = replace(make_entry("0" * 64, SMALLEST, seed=3), place="missing:cutlery.pt")
    tiny.zoo.add_entry(stored)
    report = verify_zoo(tiny.zoo)
    assert report.ok
    assert (report.networks, report.missing) == (2, 1)
    tiny.zoo.add_entry(replace(stored, width=7))
    report = verify_zoo(tiny.zoo)
    assert "it says width 7" in report.problems[0]
    assert (report.networks, report.missing) == (2, 1)


def test_scores_that_are_not_finite_are_a_problem(tiny: Tiny) -> None:
    state = random_state(4)
    state["tail.norm.weight"] += 6e4
    state["classifier.weight"] += 6e4
    weights = tiny.zoo.add_weights({**state, "classifier.bias": torch.zeros(2)}, base=None)
    tiny.zoo.add_entry(make_entry(weights, LARGEST))
    report = verify_zoo(tiny.zoo)
    assert any(entry_id("cutlery", weights, LARGEST) in p for p in report.problems)
    assert report.networks == 2
