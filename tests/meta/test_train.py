from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.build.crew import Here
from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.metrics import spearman
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


@pytest.mark.long
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


def test_members_count_their_steps_on_and_the_first_is_the_single_one() -> None:
    data, steps = make_data(), []
    single = meta_train(data, replace(QUICK, steps=3))
    both = meta_train(data, replace(QUICK, steps=3, members=2), lambda s: steps.append(s.step))
    assert steps == [1, 2, 3, 4, 5, 6]
    first, second = both.matrix.chunk(2, 1)
    torch.testing.assert_close(first * 2**0.5, single.matrix)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("ranking_on", CHOICES["ranking_on"])
@pytest.mark.parametrize("ranking_truth", CHOICES["ranking_truth"])
@pytest.mark.long
def test_ranking_puts_the_sources_in_the_measured_order(
    ranking_truth: str, ranking_on: str
) -> None:
    data = make_data(tasks=4, families=4)
    truth = 0.5 + 0.15 * torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    truth.fill_diagonal_(0.7)  # the contrastive loss asks for it too
    if ranking_truth == "probes":
        data = replace(data, probe_means=truth)
    else:
        cells = torch.cartesian_prod(torch.arange(5), torch.arange(4))
        data = replace(
            data,
            transfer_entries=cells[:, 0] * 4,
            transfer_tasks=cells[:, 1],
            transfer_accuracy=truth[cells[:, 0], cells[:, 1]],
        )
    settings = replace(
        SMALL_DEFAULT,
        predictor_weight=0.0,
        ranking_truth=ranking_truth,
        ranking_on=ranking_on,
        steps=300,
        dim=16,
    )

    def order(weight: float) -> float:
        retriever = meta_train(data, replace(settings, ranking_weight=weight))
        seen = [(data.image_tasks == task) & ~data.held_out for task in range(4)]
        queries = torch.stack(
            [retriever.encode_query(data.features[rows], data.labels[rows]) for rows in seen]
        )
        scores = retriever.matrix @ queries.T  # (e, 4)
        if ranking_on == "predicted":
            scores = torch.stack([retriever.predict(q, retriever.matrix) for q in queries], 1)
        return spearman(scores.reshape(5, 4, 4).mean(1), truth[:, :4]).mean().item()

    assert order(10.0) > 0.9
    assert order(0.0) < 0.85


def test_a_part_that_no_network_has_is_told() -> None:
    data = make_data()
    parts = {**data.parts, "similarities": torch.zeros(len(data.entries), 0)}
    with pytest.raises(InputError, match="no network here has similarities.*--preset paper"):
        meta_train(replace(data, parts=parts), replace(QUICK, parts=("similarities",)))


def test_too_few_tasks_are_told() -> None:
    with pytest.raises(InputError, match="1 tasks have both"):
        meta_train(make_data(tasks=1, families=1), QUICK)


def test_networks_that_lack_a_part_lie_nearer_where_parts_were_hidden_in_training() -> None:
    data = make_data()
    parts = ("topology", "functional", "similarities")
    settings = replace(SMALL_DEFAULT, parts=parts, steps=100)
    lost = [{**data.parts, name: torch.full_like(data.parts[name], torch.nan)} for name in parts]

    def nearness(chance: float) -> torch.Tensor:
        retriever = meta_train(data, replace(settings, part_dropout=chance))
        lacking = [retriever.encode_models(each) for each in lost]
        return torch.stack([(each * retriever.matrix).sum(1).mean() for each in lacking])

    assert (nearness(0.5) > nearness(0.0)).all()


def test_hiding_parts_is_drawn_from_the_seed_and_no_hiding_draws_nothing() -> None:
    data, settings = make_data(), replace(SMALL_DEFAULT, steps=3)
    plain = meta_train(data, settings).matrix
    hidden = [meta_train(data, replace(settings, part_dropout=0.5)).matrix for _ in range(2)]
    assert torch.equal(*hidden)
    assert not torch.equal(hidden[0], plain)


def test_a_crew_trains_the_same_ensemble() -> None:
    data, steps = make_data(), list[int]()
    settings = replace(QUICK, steps=3, members=2)
    alone = meta_train(data, settings)
    together = meta_train(data, settings, lambda step: steps.append(step.step), Here())
    assert torch.equal(alone.matrix, together.matrix)
    assert steps == [3, 6]
