from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.presets import CHOICES, PRESETS, MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import Step, meta_train
from tests.meta.synthetic import QUICK, make_data

SMALL_DEFAULT = replace(
    PRESETS["default"],
    dim=8,
    steps=200,
    learning_rate=1e-2,
    query_images=12,
    query_least=4,
    evaluate_every=0,
)


def query(retriever: Retriever, data: MetaData, task: int) -> torch.Tensor:
    rows = (data.image_tasks == task) & data.held_out
    return retriever.encode_query(data.features[rows], data.labels[rows])


@pytest.mark.parametrize("settings", [QUICK, SMALL_DEFAULT], ids=["paper", "default"])
def test_each_task_finds_its_own_networks_for_unseen_images(settings: MetaSettings) -> None:
    data = make_data()
    untrained = evaluate_retrieval(
        meta_train(data, replace(settings, steps=1, learning_rate=1e-9)), data
    )
    trained = evaluate_retrieval(meta_train(data, settings), data)
    assert trained.tasks.r1 == 1
    assert trained.tasks.mean_rank < untrained.tasks.mean_rank


@pytest.mark.parametrize("loss", ["hinge", "hard", "infonce"])
def test_each_contrastive_loss_learns_to_retrieve(loss: str) -> None:
    data = make_data()
    found = evaluate_retrieval(meta_train(data, replace(QUICK, loss=loss)), data)
    assert found.tasks.r1 >= 5 / 6


@pytest.mark.parametrize("loss", CHOICES["loss"])
def test_every_loss_goes_down(loss: str) -> None:
    steps: list[Step] = []
    meta_train(make_data(), replace(QUICK, loss=loss, steps=60), steps.append)
    first, last = (sum(s.loss for s in part) for part in (steps[:5], steps[-5:]))
    assert last < first


def test_the_same_seed_gives_the_same_retriever_and_another_seed_does_not() -> None:
    data = make_data()
    torch.manual_seed(5)
    one = meta_train(data, QUICK)
    torch.manual_seed(6)
    same, other = meta_train(data, QUICK), meta_train(data, replace(QUICK, seed=1))
    assert torch.equal(one.matrix, same.matrix)
    assert torch.equal(query(one, data, 0), query(same, data, 0))
    assert not torch.allclose(one.matrix, other.matrix)


def test_held_out_images_have_no_influence() -> None:
    data = make_data()
    changed = replace(data, features=torch.where(data.held_out[:, None], 9.0, data.features))
    assert torch.equal(meta_train(data, QUICK).matrix, meta_train(changed, QUICK).matrix)


def test_steps_report_retrieval_when_due() -> None:
    steps: list[Step] = []
    meta_train(make_data(), replace(QUICK, steps=6, evaluate_every=3), steps.append)
    assert [s.step for s in steps if s.retrieval is not None] == [3, 6]
    assert steps[-1].retrieval is not None
    assert steps[-1].retrieval.queries == 6


def test_nothing_held_out_trains_without_evaluation() -> None:
    data = make_data()
    data = replace(data, held_out=torch.zeros_like(data.held_out))
    steps: list[Step] = []
    meta_train(data, replace(QUICK, steps=2, evaluate_every=1), steps.append)
    assert [s.retrieval for s in steps] == [None, None]


def with_transfers(data: MetaData, accuracy_of_imagenet: float) -> MetaData:
    """Task 0 was measured with a network of task 1 (another family) and one of imagenet."""
    first = [(data.entry_tasks == task).nonzero()[0, 0] for task in (1, len(data.tasks) - 1)]
    return replace(
        data,
        transfer_entries=torch.stack(first),
        transfer_tasks=torch.tensor([0, 0]),
        transfer_accuracy=torch.tensor([0.5, accuracy_of_imagenet]),
    )


def test_imagenet_is_never_a_positive_unless_transfer_shows_it_best() -> None:
    data = make_data()
    settings = replace(QUICK, transfer_weight=0.0, predictor_weight=0.0, steps=300)
    imagenet = data.entry_tasks == len(data.tasks) - 1
    pull = {}
    for accuracy in (0.4, 0.6):
        retriever = meta_train(with_transfers(data, accuracy), settings)
        pull[accuracy] = (retriever.matrix[imagenet] @ query(retriever, data, 0)).mean().item()
    plain = meta_train(data, settings)
    assert pull[0.4] == pytest.approx(
        (plain.matrix[imagenet] @ query(plain, data, 0)).mean().item(), abs=1e-6
    )
    assert pull[0.6] > pull[0.4] + 0.1


def test_imagenet_is_embedded_and_predicted_through_transfers() -> None:
    data = with_transfers(make_data(), 0.05)
    settings = replace(SMALL_DEFAULT, steps=300, predictor_weight=20.0)
    found = []
    for weight in (0.0, 1.0):
        retriever = meta_train(data, replace(settings, transfer_weight=weight))
        rows = (data.image_tasks == 0) & ~data.held_out
        q = retriever.encode_query(data.features[rows], data.labels[rows])
        found.append(retriever.predict(q, retriever.matrix)[data.transfer_entries])
    error = [(f - data.transfer_accuracy).abs().max().item() for f in found]
    assert error[1] < 0.1
    assert error[1] < error[0]


def test_too_few_tasks_are_told() -> None:
    with pytest.raises(InputError, match="1 tasks have both"):
        meta_train(make_data(tasks=1, families=1), QUICK)
