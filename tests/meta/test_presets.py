from __future__ import annotations

import json
from typing import Any

import pytest

from tans.errors import InputError, TansError
from tans.files import Manifest
from tans.meta.presets import PRESETS, MetaSettings, get_preset


def test_the_paper_preset_keeps_the_published_settings() -> None:
    paper = get_preset("paper")
    assert (paper.dim, paper.steps, paper.seed, paper.top) == (128, 10_000, 777, 10)
    assert (paper.learning_rate, paper.margin, paper.predictor_weight) == (1e-2, 0.2, 1.0)
    assert (paper.pooling, paper.normalisation, paper.loss) == ("mean", "joint", "hinge")
    assert paper.parts == ("topology", "functional")
    assert (paper.hidden, paper.transfer_weight, paper.interaction) == (0, 0, False)
    assert (paper.components, paper.ranking_weight, paper.members) == (0, 0, 1)


class Stored(Manifest):
    settings: MetaSettings


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_settings_survive_json(name: str) -> None:
    stored = Stored(settings=PRESETS[name])
    assert Stored.parse(stored.to_bytes(), "it").settings == PRESETS[name]


@pytest.mark.parametrize(
    "bad",
    [
        {"members": 0},
        {"components": -1},
        {"ranking_on": "both"},
        {"loss": "triplet"},
        {"parts": ()},
        {"parts": ("weights",)},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"margin": -0.1},
        {"query_images": 10, "query_least": 20},
        {"part_dropout": 1.0, "normalisation": "separate"},
        {"part_dropout": -0.1},
        {"part_dropout": 0.5, "normalisation": "joint"},
    ],
)
def test_bad_settings_are_refused_by_name(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        MetaSettings(**bad)


def test_unknown_names_and_types_are_refused() -> None:
    for bad in ({"momentum": 0.9}, {"steps": "many"}):
        with pytest.raises(TansError, match=next(iter(bad))):
            Stored.parse(json.dumps({"schema": 1, "settings": bad}).encode(), "it")
    with pytest.raises(InputError, match="fastest"):
        get_preset("fastest")
