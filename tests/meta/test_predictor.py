from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tans.meta.predictor import Predictor, squared_error


def test_predictor_is_a_sigmoid_of_a_linear_map() -> None:
    predictor = Predictor(2)
    with torch.no_grad():
        predictor.linear.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        predictor.linear.bias.fill_(-5.0)
    found = predictor(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    assert found.tolist() == pytest.approx([0.5])


def test_only_the_interaction_lets_the_order_of_models_depend_on_the_query() -> None:
    generator = torch.Generator().manual_seed(0)
    queries = F.normalize(torch.randn(8, 4, generator=generator), dim=1)
    models = F.normalize(torch.randn(20, 4, generator=generator), dim=1)
    for interaction, orders in ((False, 1), (True, 8)):
        torch.manual_seed(1)
        predictor = Predictor(4, interaction).double()
        rows = [
            predictor(q.expand(20, -1).double(), models.double()).argsort().tolist()
            for q in queries
        ]
        assert len({tuple(row) for row in rows}) == orders


def test_pairs_are_each_query_with_each_model() -> None:
    predictor = Predictor(4, interaction=True)
    queries, models = torch.randn(2, 4), torch.randn(3, 4)
    found = predictor.pairs(queries, models)
    assert found.shape == (2, 3)
    torch.testing.assert_close(found[1], predictor(queries[1].expand(3, -1), models))


def test_squared_error_leaves_out_what_was_not_measured() -> None:
    predicted = torch.tensor([0.5, 0.5, 0.9], requires_grad=True)
    error = squared_error(predicted, torch.tensor([0.7, torch.nan, 0.9]))
    error.backward()
    assert error.item() == pytest.approx(0.04)
    assert predicted.grad is not None
    assert predicted.grad.tolist() == pytest.approx([-0.4, 0, 0])
