from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tans_bench.methods import left_out
from tans_bench.methods.left_out import leave_one_family_out
from tests.meta.synthetic import QUICK, make_data

NAN = float("nan")


def make_truth(data: MetaData) -> torch.Tensor:
    """Sources that lie near a target by mean feature transfer well to it; imagenet is middling."""
    size = len(data.tasks)
    means = torch.stack([data.features[data.image_tasks == t].mean(0) for t in range(size - 1)])
    truth = torch.full((size, size), NAN)
    truth[:-1, :-1] = 0.9 - 0.05 * torch.cdist(means, means)
    truth[-1, :-1] = 0.3
    return truth


def test_leave_one_family_out_on_a_zoo_where_likeness_decides() -> None:
    data = make_data(tasks=12, families=4)
    truth = make_truth(data)
    settings = replace(QUICK, loss="infonce", normalisation="separate", learning_rate=3e-3)
    found = leave_one_family_out(data, replace(settings, steps=100), truth)
    assert found.targets == data.tasks[:-1]
    assert found.choices["oracle"].regret == 0
    assert found.choices["oracle"].top1 == 1
    assert found.choices["oracle"].spearman == pytest.approx(1)
    assert found.choices["similarity"].regret < found.choices["random"].regret
    assert found.choices["similarity"].spearman > 0.3
    accuracy = {name: c.accuracy + c.regret for name, c in found.choices.items()}
    assert list(accuracy.values()) == pytest.approx([accuracy["oracle"]] * len(accuracy), abs=1e-5)


def test_own_family_and_its_networks_are_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_data()
    seen: list[MetaData] = []

    def spy(part: MetaData, settings: MetaSettings) -> Retriever:
        seen.append(part)
        return meta_train(part, settings)

    monkeypatch.setattr(left_out, "meta_train", spy)
    found = leave_one_family_out(data, replace(QUICK, steps=2), make_truth(data))
    assert [set(data.families) - set(part.families) for part in seen] == [
        {"family0"},
        {"family1"},
        {"family2"},
    ]
    for column, target in enumerate(found.targets):
        own = data.families[data.tasks.index(target)]
        candidate = [family != own for family in data.families]
        for scores in (found.truth, *found.scores.values()):
            assert scores[:, column].isfinite().tolist() == candidate


def test_the_held_out_familys_measurements_have_no_influence_on_the_scores() -> None:
    data = make_data()
    truth = make_truth(data)
    own = torch.tensor([family == "family1" for family in data.families])
    changed = torch.where(own[:, None] | own[None], 0.123, truth).where(truth.isfinite(), NAN)
    settings = replace(QUICK, steps=2)
    before, after = (leave_one_family_out(data, settings, t) for t in (truth, changed))
    columns = [data.families[data.tasks.index(name)] == "family1" for name in before.targets]
    assert sum(columns) == 2
    for name, scores in before.scores.items():
        found, expected = after.scores[name][:, columns], scores[:, columns]
        torch.testing.assert_close(found, expected, equal_nan=True)
    assert not torch.equal(
        after.scores["neighbours"].nan_to_num(), before.scores["neighbours"].nan_to_num()
    )


def test_baselines_on_a_hand_case() -> None:
    data = make_data(tasks=4, families=4)
    data = replace(
        data,
        features=torch.eye(4, data.features.shape[1])[data.image_tasks]
        + 0.5 * torch.eye(4, data.features.shape[1])[(data.image_tasks + 1) % 4],
    )
    truth = torch.full((5, 5), 0.5)
    truth[2] = 0.7  # task2 is good for everybody
    truth[4, 0] = 0.9  # except that imagenet is best for task 0
    truth[:, 4] = NAN
    found = leave_one_family_out(data, replace(QUICK, steps=2), truth)
    assert found.choices["random"].accuracy == pytest.approx(
        ((0.5 + 0.7 + 0.5 + 0.9) / 4 + 2 * (0.5 * 3 + 0.7) / 4 + 0.5) / 4
    )
    assert found.choices["random"].regret_of_five == 0  # no target has more than five sources
    assert found.choices["best on average"].accuracy == pytest.approx((0.7 * 3 + 0.5) / 4)
    assert found.choices["best on average"].top1 == pytest.approx(3 / 4)
    nearest = found.scores["nearest dataset"]
    assert nearest[1, 0] == pytest.approx(0.4)
    assert nearest[2, 0] == 0
    assert nearest[4].tolist() == [-2.0] * 4


def test_bad_input_is_told() -> None:
    data = make_data()
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        leave_one_family_out(data, QUICK, torch.zeros(2, 2))
    with pytest.raises(InputError, match="no target"):
        leave_one_family_out(data, QUICK, torch.full((7, 7), NAN))
