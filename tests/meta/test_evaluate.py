from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tans.errors import InputError
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tests.meta.synthetic import QUICK, make_data


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    return meta_train(make_data(), replace(QUICK, steps=1))


def test_every_task_with_held_out_images_is_asked_for(retriever: Retriever) -> None:
    data = make_data()
    found = evaluate_retrieval(retriever, data)
    assert found.queries == len(data.judged)
    assert 0 <= found.tasks.r1 <= found.tasks.r5 <= 1


def test_data_that_cannot_be_asked_is_refused(retriever: Retriever) -> None:
    data = make_data()
    with pytest.raises(InputError, match="held out"):
        evaluate_retrieval(retriever, replace(data, held_out=torch.zeros_like(data.held_out)))
    with pytest.raises(InputError, match="not the"):
        evaluate_retrieval(retriever, make_data(networks=3))
