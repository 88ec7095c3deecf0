"""The card of a network: what it says to people, and what the Hub reads of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml
from huggingface_hub import ModelCard as HubCard
from hypothesis import given
from hypothesis import strategies as st

from tans.export.card import DataCard, ModelCard, card_for_timm, licences_of, on_hub
from tans.licences import LicenceChain
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.tasks.task import Task, TaskCard
from tans.temperature import Calibration
from tans.training import Epoch, FineTuned, Recipe
from tans.types import Costs
from tests.zoo.conftest import make_entry

CLASSES = ("red", "grün", "blue")
ENTRY = replace(
    make_entry("0" * 64, ref_of(LITE0.smallest, 32), "icons"),
    id="icons-0badcafe",
    licence="Apache-2.0",
)


@pytest.fixture(scope="module")
def task() -> Task:
    images = torch.zeros(30, 3, 16, 16, dtype=torch.uint8)
    card = TaskCard("colours of paper", "1", "CC-BY-4.0", "drawn")
    groups = [str(index // 2) for index in range(30)]
    return Task.from_arrays("colours", images, (torch.arange(30) // 2) % 3, CLASSES, card, groups)


@pytest.fixture(scope="module")
def run() -> FineTuned:
    network = build(ref_of(LITE0.smallest, 32), 3)
    confusion = torch.tensor([[2, 0, 0], [1, 1, 0], [0, 0, 2]])
    teachers = (ENTRY, replace(ENTRY, id="maths-12345678", licence="MIT"))
    return FineTuned(
        network,
        (Epoch(1, 1.2, 0.5, 0.5, 0.5),),
        best_epoch=1,
        test_accuracy=5 / 6,
        confusion=confusion,
        seconds=1.1,
        classes=CLASSES,
        recipe=Recipe(epochs=1, seed=7),
        entry=ENTRY,
        teachers=teachers,
        calibration=Calibration(1.5, 40, 0.2, 0.1, 0.9, 0.8),
    )


def front(text: str) -> dict[str, object]:
    """What stands at the top of a card, as YAML."""
    _, block, _ = text.split("---\n", 2)
    return yaml.safe_load(block)


def test_a_card_says_what_the_network_is_and_does(run: FineTuned, task: Task) -> None:
    text = ModelCard.of(run, task).markdown()
    for said in (
        "# colours\n",
        "Tells 3 classes of images apart",
        "Test accuracy 83.3 %",
        "temperature 1.50",
        "colours, from colours of paper",
        "in 15 groups that no split parts",
        "`icons-0badcafe`, `maths-12345678`",
        "| seed | 7 |",
        "| head | linear, on pooled features |",
        "| weights that it began from | Apache-2.0 AND MIT |",
        "| images of this fine-tune | CC-BY-4.0 |",
        "The licences of what it came from allow commercial use",
        "resize the whole image to 32 x 32 pixels",
        "Beware: 6 test images are too few to tell",
    ):
        assert said in text
    lines = [line for line in text.splitlines() if line.startswith("| grün |")]
    assert [line.split(" | ")[-2:] for line in lines] == [["1", "50.0 % |"]]


def test_costs_are_those_with_the_head(run: FineTuned, task: Task) -> None:
    card = ModelCard.of(run, task)
    assert card.costs.params == sum(p.numel() for p in run.network.parameters())
    assert f"| parameters | {card.costs.params:,} |" in card.markdown()
    assert card.describe()["costs"]["params"] == card.costs.params


def test_the_hub_reads_its_top(run: FineTuned, task: Task) -> None:
    data = HubCard(ModelCard.of(run, task).markdown()).data
    assert (data.license, data.library_name) == ("other", "tans")
    assert data.to_dict()["license_name"] == "Apache-2.0 AND MIT"
    assert data.pipeline_tag == "image-classification"
    found = {each.metric_type: each.metric_value for each in data.eval_results}
    assert found == {"accuracy": 0.8333, "balanced_accuracy": 0.8333}


def test_without_test_images_nothing_is_claimed(run: FineTuned, task: Task) -> None:
    untested = replace(run, confusion=torch.zeros(3, 3, dtype=torch.int64))
    text = ModelCard.of(untested, task).markdown()
    assert "model-index" not in front(text)
    assert "Test accuracy unknown" in text
    assert "nan" not in text


def test_a_chain_of_licences_comes_before_what_the_run_knows(run: FineTuned, task: Task) -> None:
    chain = LicenceChain("CC-BY-NC-4.0", "Apache-2.0", "unstated")
    text = ModelCard.of(replace(run, licences=chain), task).markdown()
    assert front(text)["license"] == "cc-by-nc-4.0"
    assert "| their base | Apache-2.0 |" in text
    assert "| images of this fine-tune | CC-BY-4.0 |" in text
    assert "do not all allow" in text


def test_a_network_of_no_zoo_has_no_known_licence(run: FineTuned, task: Task) -> None:
    card = ModelCard.of(replace(run, entry=None, teachers=()), task)
    assert card.licences == LicenceChain("unstated")
    assert front(card.markdown())["license"] == "unknown"


@pytest.mark.parametrize(
    ("licence", "named"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("unstated", {"license": "unknown"}),
        ("LicenseRef-own", {"license": "other", "license_name": "LicenseRef-own"}),
    ],
)
def test_licences_are_named_as_on_the_hub(licence: str, named: dict[str, str]) -> None:
    assert on_hub(licence) == named


@given(st.lists(st.text(min_size=1), min_size=3, max_size=3), st.text(min_size=1))
def test_names_break_nothing(run: FineTuned, names: list[str], name: str) -> None:
    classes = tuple(names)
    run = replace(run, classes=classes, confusion=torch.eye(3, dtype=torch.int64))
    data = DataCard(name, classes, ((1, 1, 1),) * 3, None, name, name, (name,))
    card = ModelCard(run, data, Costs(1, 1), LicenceChain(name))
    text = card.markdown()
    assert isinstance(front(text)["model-index"], list)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.replace("\\|", "").count("|") for row in rows[:5]] == [7] * 5
    text.encode("utf-8", "backslashreplace")


def test_a_card_for_timm_says_how_timm_opens_it(run: FineTuned, task: Task) -> None:
    text = card_for_timm(ModelCard.of(run, task).markdown())
    assert front(text)["library_name"] == "timm"
    assert 'timm.create_model("local-dir:DIR", pretrained=True)' in text
    assert "tans predict" not in text


@pytest.mark.parametrize(
    ("description", "chain"),
    [
        ({}, LicenceChain("unstated")),
        ({"source": {"licence": "MIT"}, "teachers": []}, LicenceChain("MIT")),
        (
            {"source": {"licence": "MIT"}, "teachers": [{"licence": "Apache-2.0"}]},
            LicenceChain("MIT AND Apache-2.0"),
        ),
        ({"source": {"licence": None}}, LicenceChain("unstated")),
        (
            {"licences": {"network": "MIT", "base": None, "data": "CC0-1.0"}},
            LicenceChain("MIT", None, "CC0-1.0"),
        ),
        # what others may have written
        ({"source": 5, "teachers": "x", "licences": []}, LicenceChain("unstated")),
        ({"licences": {"network": 5}}, LicenceChain("unstated")),
    ],
)  # fmt: skip
def test_licences_of_a_description(description: dict[str, object], chain: LicenceChain) -> None:
    assert licences_of(description) == chain
