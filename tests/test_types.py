from __future__ import annotations

import pytest

from tans.errors import InputError
from tans.types import Architecture, Constraints, Costs, InputSpec, NetworkRef


def test_an_architecture_has_one_text() -> None:
    architecture = Architecture("lite0", (((3, 6), (3, 4)), ((5, 6),)))
    assert str(architecture) == "lite0:3x6,3x4|5x6"
    assert Architecture.parse(str(architecture)) == architecture


@pytest.mark.parametrize("text", ["", "lite0", "lite0:", "lite0:3", "lite0:3x", "lite0:axb"])
def test_other_text_is_no_architecture(text: str) -> None:
    with pytest.raises(InputError, match="is not an architecture; expected a form like"):
        Architecture.parse(text)


def test_a_head_adds_its_own_costs() -> None:
    assert Costs(100, 1000).under_head(width=10, classes=3) == Costs(133, 1030)
    assert Costs(100, 1000).under_head(width=10, classes=0) == Costs(100, 1000)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_is_positive(limit: float) -> None:
    with pytest.raises(InputError, match="max_flops is .*; expected a positive number"):
        Constraints(max_flops=limit)


def test_a_network_is_named_by_family_name_and_size() -> None:
    assert str(NetworkRef("timm", "resnet18", InputSpec(96))) == "timm:resnet18 at 96 px"


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, 1.0, float("nan"))},
        {"mean": (-1.0, 0.0, 0.0)},
        {"mean": (0.0, 256.0, 0.0)},
    ],
)
def test_an_input_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="1 to 4096 pixels, means from 0 to 255, deviations above"):
        InputSpec(**{"size": 32, **wrong})  # type: ignore[arg-type]
