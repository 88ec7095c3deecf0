"""What stands with a network counts, unless its user says otherwise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tans.errors import InputError
from tans.networks.incoming.incoming import (
    Found,
    Incoming,
    Settled,
    Stated,
    in_bytes,
    names_of_head,
    settle,
    trained_on,
)
from tans.types import InputSpec, NetworkRef

WHOLE = Found(
    "net", "its settings", "its card", 224, (120.0,) * 3, (60.0,) * 3, "apache-2.0", ("leaves",)
)


def test_what_stands_there_counts() -> None:
    settled = settle(WHOLE, Stated())
    assert settled == Settled(
        InputSpec(224, (120.0,) * 3, (60.0,) * 3), "Apache-2.0", ("leaves",), ()
    )


def test_the_users_word_counts_over_it_and_that_is_told() -> None:
    stated = Stated(licence="mit", origin="stones", size=64, mean=(1.0, 2.0, 3.0), std=(9.0,) * 3)
    settled = settle(WHOLE, stated)
    assert settled.input == InputSpec(64, (1.0, 2.0, 3.0), (9.0,) * 3)
    assert (settled.licence, settled.origins) == ("MIT", ("stones", "leaves"))
    told = " ".join(settled.notes)
    for said in ("size 224", "mean (120", "std (60", "licence apache-2.0", "trained on leaves"):
        assert said in told
    assert len(settled.notes) == 5


def test_what_agrees_is_not_told() -> None:
    same = Stated(licence="Apache-2.0", origin="leaves", size=224, mean=(120.0001, 120, 120))
    assert settle(WHOLE, same).notes == ()


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ({"size": None}, "net: the size of its images does not stand in its settings; give --size"),
        ({"mean": None}, "give --mean, such as 123"),
        ({"std": None}, "give --std, such as 58"),
        ({"licence": None}, "no licence stands in its card; give --licence"),
        (
            {"licence": "other"},
            "licence 'other', which is no SPDX expression; give --licence, such",
        ),
        ({"licence": "my own!"}, "LicenseRef-my-own$"),
        ({"origins": ()}, "does not stand in its card; give --origin"),
    ],
)
def test_what_stands_nowhere_is_asked_for(lost: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        settle(replace(WHOLE, **lost), Stated())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (Stated(licence="no licence"), "is no SPDX licence expression"),
        (Stated(origin=" "), "give --origin with a name"),
        (Stated(size=9999), "expected 1 to 2048 pixels"),
        (Stated(std=(0.0,) * 3), "deviations"),
    ],
)
def test_what_is_said_must_be_possible(stated: Stated, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        settle(WHOLE, stated)


def test_values_for_pixels_up_to_1_are_told() -> None:
    found = replace(WHOLE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert "look as if made for pixels from 0 to 1" in settle(found, Stated()).notes[0]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("a1_in1k", ["imagenet"]),
        ("augreg_in21k_ft_in1k", ["imagenet", "imagenet-21k"]),
        ("sail_in22k_ft_in1k_384", ["imagenet", "imagenet-21k"]),
        ("sw_in12k", ["imagenet-12k"]),
        ("laion2b", []),
        ("", []),
    ],
)
def test_tags_name_what_was_learnt(tag: str, expected: list[str]) -> None:
    assert trained_on(tag) == expected


def test_colours_become_those_of_bytes() -> None:
    assert in_bytes((0.485, 0.456, 0.406)) == (123.675, 116.28, 103.53)
    assert in_bytes(0.5) == (127.5,) * 3
    assert in_bytes([0.5], 1.0) == (0.5,) * 3
    with pytest.raises(InputError, match="2 values of colours"):
        in_bytes((0.5, 0.5))


def test_a_head_has_names_or_numbers() -> None:
    head = {"classifier.bias": torch.zeros(2)}
    assert names_of_head(head, ("a", "b")) == ("a", "b")
    assert names_of_head(head, ("a", "a")) == names_of_head(head) == ("0", "1")
    assert names_of_head({}, ("a",)) == ()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(value: float) -> None:
    ref = NetworkRef("timm", "x", InputSpec(32))
    with pytest.raises(InputError, match="no finite number in w"):
        Incoming(ref, {"w": torch.tensor([1.0, value])}, settle(WHOLE, Stated()))
