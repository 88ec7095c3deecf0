from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import InputError
from tans.meta.encoders import (
    AttentionPool,
    ModelEncoder,
    QueryEncoder,
    Reduction,
    Standardiser,
)

POOLINGS = ("mean", "classes", "attention")


def make_query(images: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (images,), generator=generator)
    return torch.randn(images, 6, generator=generator) + labels[:, None], labels


@pytest.mark.parametrize("pooling", POOLINGS)
@given(images=st.integers(1, 40), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_query_embedding_ignores_order_and_class_names(
    pooling: str, images: int, seed: int
) -> None:
    features, labels = make_query(images, seed)
    encoder = QueryEncoder(6, 5, pooling, hidden=7, components=4)
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    names = torch.tensor([30, 7, 9, 0])
    one = encoder(features, labels)
    torch.testing.assert_close(encoder(features[order], labels[order]), one, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoder(features, names[labels]), one, atol=1e-4, rtol=1e-4)
    assert one.norm().item() == pytest.approx(1, abs=1e-5)


def test_mean_pooling_of_a_linear_encoder_is_the_mean_of_the_images() -> None:
    features, labels = make_query(9, 0)
    encoder = QueryEncoder(6, 5)
    each = encoder.project(features).mean(0)
    torch.testing.assert_close(encoder(features, labels), each / each.norm())


def test_class_summary_on_a_hand_case() -> None:
    features = torch.tensor([[0.0], [2.0], [10.0]])
    summary = QueryEncoder(1, 2, "classes").summarise(features, torch.tensor([0, 0, 1]))
    # class means 1 and 10: mean 5.5, spread 4.5; variances within 1 and 0: root of their mean
    torch.testing.assert_close(summary, torch.tensor([[5.5, 4.5, 0.5**0.5]]))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_subset_is_summarised_like_its_images_alone(pooling: str) -> None:
    features, labels = make_query(20, 1)
    encoder = QueryEncoder(6, 5, pooling)
    subsets = torch.stack([labels < 2, torch.arange(20) % 3 == 0])
    rows = encoder.embed(encoder.prepare(encoder.summarise(features, labels, subsets)))
    for row, subset in zip(rows, subsets, strict=True):
        alone = encoder(features[subset], labels[subset])
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-4)


def test_attention_reads_what_its_query_asks_for_and_no_empty_places() -> None:
    pool = AttentionPool(2, 2)
    with torch.no_grad():
        pool.queries.copy_(torch.tensor([[50.0, 0.0], [0.0, 0.0]]))
    nan = float("nan")
    sets = torch.tensor(
        [[[1.0, 3.0], [0.0, 5.0], [nan, nan]], [[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]]
    )
    # the first query wants a large first number; the second takes the plain mean
    expected = torch.tensor([[1.0, 3.0, 0.5, 4.0], [4.0, 1.0, 2.0, 1.0]])
    torch.testing.assert_close(pool(sets), expected)


def test_reduction_keeps_what_varies_most_and_commutes_with_the_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 5, generator=generator) * torch.tensor([0.1, 3.0, 0.1, 7.0, 0.1]) + 2
    reduction = Reduction(5, 2)
    reduction.fit(rows)
    kept = rows[:, [3, 1]]
    found = reduction(rows)
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(kept, kept), atol=0.2, rtol=0)
    torch.testing.assert_close(reduction(rows).mean(0), reduction(rows.mean(0)[None])[0])


def test_reduction_to_more_components_than_features_keeps_all_distances() -> None:
    rows = torch.rand(7, 3)
    reduction = Reduction(3, 9)
    reduction.fit(rows)
    torch.testing.assert_close(
        torch.cdist(reduction(rows), reduction(rows)), torch.cdist(rows, rows)
    )


def test_the_class_aware_summary_tells_apart_what_the_mean_does_not() -> None:
    features = torch.tensor([[0.0], [0.0], [2.0], [2.0]])
    pure, mixed = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    for pooling, equal in (("mean", True), ("classes", False)):
        encoder = QueryEncoder(1, 2, pooling)
        one, other = (encoder.summarise(features, labels) for labels in (pure, mixed))
        assert torch.allclose(one, other) == equal


def test_standardiser_centres_and_gives_each_part_unit_length() -> None:
    rows = torch.cat([1000 * torch.randn(500, 4) + 3, torch.randn(500, 9), torch.ones(500, 1)], 1)
    standardise = Standardiser(14)
    standardise.fit(rows, [4, 10])
    found = standardise(rows)
    torch.testing.assert_close(found.mean(0), torch.zeros(14), atol=1e-5, rtol=0)
    lengths = [found[:, :4].square().sum(1).mean(), found[:, 4:].square().sum(1).mean()]
    assert [x.item() for x in lengths] == pytest.approx([1, 0.9], abs=1e-4)
    assert (found[:, 13] == 0).all()


def test_joint_normalisation_ignores_scale_and_separate_does_not() -> None:
    parts = {"topology": torch.rand(3, 2), "functional": torch.rand(3, 4)}
    larger = {name: 7 * part for name, part in parts.items()}
    for normalisation, equal in (("joint", True), ("separate", False)):
        encoder = ModelEncoder({"topology": 2, "functional": 4}, 5, normalisation)
        assert torch.allclose(encoder(parts), encoder(larger), atol=1e-5) == equal


def test_bad_input_is_named() -> None:
    encoder = QueryEncoder(6, 5)
    with pytest.raises(InputError, match=r"\(4, 5\)"):
        encoder(torch.rand(4, 5), torch.zeros(4, dtype=torch.long))
    with pytest.raises(InputError, match="at least one image"):
        encoder(torch.rand(0, 6), torch.zeros(0, dtype=torch.long))
    with pytest.raises(InputError, match="labels"):
        encoder(torch.rand(4, 6), torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="NaN"):
        encoder(torch.full((2, 6), torch.nan), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match="topology"):
        ModelEncoder({"topology": 2}, 5)({"functional": torch.rand(3, 2)})


@pytest.mark.parametrize("normalisation", ["joint", "separate"])
def test_a_part_that_a_network_lacks_is_masked(normalisation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    parts = {name: torch.randn(9, 4, generator=generator) for name in ("one", "two")}
    encoder = ModelEncoder({"one": 4, "two": 4}, 5, normalisation)
    encoder.standardise.fit(encoder.concatenate(parts), [4, 4])
    whole = encoder(parts)
    lacking = {**parts, "two": parts["two"].clone()}
    lacking["two"][3] = torch.nan
    found = encoder(lacking)
    assert found.isfinite().all()
    others = [k for k in range(9) if k != 3]
    assert torch.equal(found[others], whole[others])
    absent = encoder({**parts, "two": torch.zeros(9, 0)})
    torch.testing.assert_close(absent[3], found[3])


def test_statistics_are_of_what_there_is() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, torch.nan], [5.0, 6.0]])
    standardiser = Standardiser(2)
    standardiser.fit(rows, [1, 1])
    expected = Standardiser(2)
    expected.fit(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), [1, 1])
    torch.testing.assert_close(standardiser.shift, torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(standardiser.scale[0], expected.scale[0])
    torch.testing.assert_close(standardiser.scale[1], torch.tensor(0.5))


def test_what_is_hidden_counts_as_what_is_lacking() -> None:
    encoder = ModelEncoder({"one": 2, "two": 3}, 4, "separate")
    parts = {"one": torch.rand(5, 2), "two": torch.rand(5, 3)}
    encoder.standardise.fit(encoder.concatenate(parts), [2, 3])
    lacking = {**parts, "two": torch.full((5, 3), torch.nan)}
    prepared = encoder.prepare(encoder.concatenate(parts))
    hidden = torch.tensor([[False, True]]).expand(5, 2)
    assert torch.equal(
        encoder.hide(prepared, hidden), encoder.prepare(encoder.concatenate(lacking))
    )
    assert torch.equal(encoder.hide(prepared, ~hidden | hidden & False)[:, 2:], prepared[:, 2:])


def test_a_number_that_is_not_known_counts_as_the_mean_of_the_zoo() -> None:
    encoder = ModelEncoder({"one": 2}, 4, "separate")
    rows = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    encoder.standardise.fit(rows, [2])
    mean = torch.tensor([[1.0, 3.0]])
    assert torch.equal(encoder({"one": torch.tensor([[torch.nan, 3.0]])}), encoder({"one": mean}))
