from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from tans.errors import InputError
from tans.novelty import KEPT, RATE, Novelty, least_images

Seen = tuple[Tensor, Tensor]


def drawn(n: int, seed: int = 0, sure: float = 5.0, far: float = 0.0) -> Seen:
    """Scores (n, 4) whose highest is about ``sure``, and lengths about ``far`` over 20."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, 4, generator=generator)
    scores[torch.arange(n), torch.arange(n) % 4] += sure
    return scores, 20 + far + torch.randn(n, generator=generator)


NOTHING: Seen = (torch.empty(0, 0), torch.empty(0))


def share_above(found: Novelty, seen: Seen, rate: float) -> float:
    limit = found.threshold(rate)
    assert limit is not None
    return float((found.strangeness(*seen) > limit).double().mean())


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("images", [150, 2000])
def test_as_many_known_images_are_strange_as_were_asked_for(rate: float, images: int) -> None:
    shares = [
        share_above(Novelty.of(drawn(images, seed), NOTHING), drawn(2000, 100 + seed), rate)
        for seed in range(20)
    ]
    # the numbers that are kept lie half a hundredth apart where there are many
    assert 0.4 * rate < sum(shares) / 20 < 1.2 * rate


def test_what_is_unsure_or_far_is_strange() -> None:
    found = Novelty.of(drawn(200), drawn(200, 1))
    assert share_above(found, drawn(200, 2), RATE) < 0.12
    assert share_above(found, drawn(200, 2, sure=0), RATE) > 0.6
    assert share_above(found, drawn(200, 2, far=6), RATE) > 0.95


def test_what_test_images_tell_is_said() -> None:
    found = Novelty.of(drawn(80), drawn(300, 1))
    assert (found.images, found.tested) == (80, 300)
    assert found.alarms == round(300 * share_above(found, drawn(300, 1), RATE))
    assert (
        f"about 5 % of known ones, by 80 validation images; of 300 test images {found.alarms}"
        in (found.words())
    )
    assert Novelty.of(drawn(80), NOTHING).words().endswith("by 80 validation images.")


def test_images_of_few_groups_promise_less() -> None:
    few = Novelty.of(drawn(80), drawn(300, 1), groups=4)
    assert "80 validation images of 4 groups (up to 20 %, as those are few); of 300" in few.words()
    assert "groups" not in Novelty.of(drawn(80), NOTHING, groups=40).words()
    assert few.describe()["validation_groups"] == 4


@pytest.mark.parametrize(("rate", "images"), [(0.05, 19), (0.01, 99), (0.5, 1), (0.1, 9)])
def test_few_images_tell_no_small_share(rate: float, images: int) -> None:
    assert least_images(rate) == images
    assert Novelty.of(drawn(images), NOTHING).threshold(rate) is not None
    few = Novelty.of(drawn(images - 1), NOTHING)
    assert few.threshold(rate) is None
    with pytest.raises(InputError, match=f"takes {images} validation images"):
        few.asked(rate)
    assert few.asked(None) == RATE


def test_too_few_images_are_told() -> None:
    assert "takes 19 validation images, and there are 12" in Novelty.of(drawn(12), NOTHING).words()
    assert "there are 0" in Novelty().words()
    assert Novelty.of(NOTHING, NOTHING) == Novelty()
    assert Novelty.of((torch.full((30, 3), math.nan), torch.ones(30)), NOTHING) == Novelty()
    assert Novelty().describe()["false_alarms"] is None


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 7.0, math.nan])
def test_a_share_lies_between_none_and_all(rate: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Novelty.of(drawn(30), NOTHING).asked(rate)


@given(st.integers(1, 900), st.floats(0.001, 0.999), st.integers(0, 5))
def test_no_more_validation_images_are_above_than_the_share(
    images: int, rate: float, seed: int
) -> None:
    seen = drawn(images, seed)
    found = Novelty.of(seen, NOTHING)
    assert len(found.known) == min(images, KEPT)
    limit = found.threshold(rate)
    if limit is None:
        assert images < least_images(rate)
        return
    above = int((found.strangeness(*seen) > limit).sum())
    assert above <= rate * (images + 1) - 1 + 1e-6
    if 2 < images <= KEPT:  # two are as strange as each other
        assert above == math.floor(rate * (images + 1) + 1e-9) - 1
    assert found.threshold(min(0.999, rate * 1.1)) <= limit  # type: ignore[operator]


def test_images_that_are_all_alike_have_a_threshold() -> None:
    scores, lengths = torch.ones(40, 3), torch.ones(40)
    found = Novelty.of((scores, lengths), (scores, lengths))
    assert (found.threshold(), found.alarms) == (0.0, 0)


def test_numbers_of_a_file_are_checked() -> None:
    adapter = TypeAdapter(Novelty)
    whole = Novelty.of(drawn(30), drawn(5))
    fields = adapter.dump_python(whole, mode="json")
    assert adapter.validate_python(fields) == whole
    for wrong in (
        {"known": [1.0]},
        {"known": fields["known"][::-1]},
        {"images": 31},
        {"deviations": [0.0, 1.0]},
        {"means": [math.inf, 0.0]},
        {"images": -1},
    ):
        with pytest.raises((ValidationError, InputError)):
            adapter.validate_python({**fields, **wrong})
