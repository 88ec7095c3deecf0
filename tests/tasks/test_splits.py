import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tans.errors import TaskError
from tans.tasks.splits import (
    TEST,
    TRAIN,
    VAL,
    assign_splits,
    balanced_draw,
    balanced_subset,
    group_numbers,
    stratified_subset,
)

SIZES = st.lists(st.integers(2, 40), min_size=2, max_size=6)
"""Images of each class."""


def labels_of(sizes):
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


def keys_of(labels):
    return [f"{label}/{index}.png" for index, label in enumerate(labels.tolist())]


def per_class(labels, splits, split):
    return torch.bincount(labels[splits == split], minlength=int(labels.max()) + 1)


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 5))
def test_each_class_has_train_then_test_then_val_near_their_shares(sizes, seed):
    labels = labels_of(sizes)
    splits = assign_splits(labels, keys_of(labels), seed=seed)
    train, val, test = (per_class(labels, splits, split) for split in (TRAIN, VAL, TEST))
    counts = torch.tensor(sizes)
    assert torch.equal(train + val + test, counts)
    assert bool((train >= 1).all())
    assert bool((test >= 1).all())
    assert bool(((val >= 1) == (counts >= 3)).all())
    assert bool(((test - 0.2 * counts).abs() <= 1).all())
    assert bool(((val - 0.16 * counts).abs() <= 1).all())


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, grouped=st.booleans(), shuffle=st.integers(0, 99), seed=st.integers(0, 3))
def test_splits_do_not_depend_on_the_order_of_the_input(sizes, grouped, shuffle, seed):
    sizes = [size + 6 for size in sizes]
    labels = labels_of(sizes)
    keys = keys_of(labels)
    groups = [f"g{index % 7}" for index in range(len(keys))] if grouped else None
    order = list(range(len(keys)))
    random.Random(shuffle).shuffle(order)
    splits = assign_splits(labels, keys, groups, seed=seed)
    shuffled = assign_splits(
        labels[order],
        [keys[index] for index in order],
        [groups[index] for index in order] if groups else None,
        seed=seed,
    )
    assert torch.equal(splits[order], shuffled)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 3))
def test_groups_never_cross_and_every_class_trains(data, seed):
    n = data.draw(st.integers(6, 80))
    labels = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    groups = [f"g{g}" for g in data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))]
    try:
        splits = assign_splits(labels, keys_of(labels), groups, seed=seed)
    except TaskError:
        # Refused only if no group can leave: each holds all images of some class.
        members = [
            {g for g, c in zip(groups, labels.tolist(), strict=True) if c == k} for k in range(4)
        ]
        assert set(groups) == {next(iter(m)) for m in members if len(m) == 1}
        return
    homes = {(group, split) for group, split in zip(groups, splits.tolist(), strict=True)}
    assert len(homes) == len(set(groups))
    present = torch.bincount(labels, minlength=4) > 0
    trained = torch.bincount(labels[splits == TRAIN], minlength=4) > 0
    assert torch.equal(present, trained)


@settings(max_examples=20, deadline=None)
@given(
    groups_of_class=st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=2, max_size=4
    ).filter(lambda classes: any(len(groups) > 1 for groups in classes))
)
def test_groups_of_one_class_cover_train_then_test_then_val(groups_of_class):
    labels, groups = [], []
    for label, sizes in enumerate(groups_of_class):
        for number, size in enumerate(sizes):
            labels += [label] * size
            groups += [f"{label}-{number}"] * size
    labels = torch.tensor(labels)
    splits = assign_splits(labels, keys_of(labels), groups)
    for label, sizes in enumerate(groups_of_class):
        held = set(splits[labels == label].tolist())
        assert held == {
            TRAIN,
            *([TEST] if len(sizes) > 1 else []),
            *([VAL] if len(sizes) > 2 else []),
        }


def test_test_does_not_take_the_group_that_validation_needs():
    labels = torch.tensor([0] * 10 + [1] * 10)
    groups = [f"{label}{name}" for label in (0, 1) for name in "ab" + "c" * 8]
    splits = assign_splits(labels, keys_of(labels), groups)
    for split in (VAL, TEST):
        assert per_class(labels, splits, split).tolist() == [1, 1]


def test_a_group_that_fits_well_stays_when_it_alone_holds_a_class():
    classes = 60
    labels = [c for c in range(classes) for _ in range(180)]
    groups = [f"{c}-{index // 10}" for c in range(classes) for index in range(180)]
    labels += [c for c in range(classes) for _ in range(28)] + [classes] * 2
    groups += ["all"] * (28 * classes + 2)
    labels = torch.tensor(labels)
    # With this seed the group is among the first to be tried, when the others still want images.
    splits = assign_splits(labels, keys_of(labels), groups, seed=76)
    assert splits[-2:].tolist() == [TRAIN, TRAIN]


def test_many_groups_meet_the_shares_of_each_class():
    labels = torch.tensor(np.random.default_rng(0).integers(0, 5, 2000))
    groups = [str(index // 4) for index in range(2000)]
    splits = assign_splits(labels, keys_of(labels), groups)
    for split, share in ((TRAIN, 0.64), (VAL, 0.16), (TEST, 0.20)):
        found = per_class(labels, splits, split) / torch.bincount(labels)
        assert torch.allclose(found, torch.full((5,), share), atol=0.03)


def test_another_seed_splits_otherwise():
    labels = labels_of([30, 30])
    first, second = (assign_splits(labels, keys_of(labels), seed=seed) for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("absent", "kept"), [(VAL, TEST), (TEST, VAL)])
def test_given_splits_are_kept_and_the_missing_one_is_carved_from_train(absent, kept):
    labels = labels_of([20, 20])
    given_splits = torch.zeros(40, dtype=torch.uint8)
    given_splits[::4] = kept
    splits = assign_splits(labels, keys_of(labels), given=given_splits)
    assert torch.equal(splits == kept, given_splits == kept)
    assert bool((per_class(labels, splits, absent) >= 1).all())
    assert bool((per_class(labels, splits, TRAIN) >= 1).all())


def test_all_splits_given_are_left_alone():
    labels = labels_of([6, 6])
    given_splits = torch.tensor([0, 1, 2] * 4, dtype=torch.uint8)
    assert torch.equal(assign_splits(labels, keys_of(labels), given=given_splits), given_splits)


def test_a_group_across_given_splits_is_refused():
    with pytest.raises(TaskError, match="group 'g' has images in train and in test"):
        assign_splits(
            labels_of([2, 2]),
            list("abcd"),
            ["g", "h", "i", "g"],
            torch.tensor([0, 0, 0, 2], dtype=torch.uint8),
        )


def test_groups_that_leave_no_test_image_are_refused():
    with pytest.raises(TaskError, match="no image to test on"):
        assign_splits(labels_of([3, 3]), list("abcdef"), list("xxxyyy"))


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, limit=st.integers(1, 60), seed=st.integers(0, 3))
def test_subsets_are_of_the_asked_size_without_repetition(sizes, limit, seed):
    labels = labels_of(sizes)
    for subset in (stratified_subset, balanced_subset):
        chosen = subset(labels, limit, seed)
        assert len(chosen.unique()) == len(chosen) == min(limit, len(labels))


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, limit=st.integers(6, 60), seed=st.integers(0, 3))
def test_a_stratified_subset_keeps_proportions_and_all_classes(sizes, limit, seed):
    labels = labels_of(sizes)
    limit = min(limit, len(labels))
    counts = torch.bincount(labels[stratified_subset(labels, limit, seed)], minlength=len(sizes))
    ideal = torch.tensor(sizes) * limit / len(labels)
    assert bool((counts >= 1).all())
    assert bool(((counts - ideal).abs() <= len(sizes)).all())


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, limit=st.integers(1, 60), seed=st.integers(0, 3))
def test_a_balanced_subset_is_as_even_as_the_classes_allow(sizes, limit, seed):
    labels = labels_of(sizes)
    counts = torch.bincount(labels[balanced_subset(labels, limit, seed)], minlength=len(sizes))
    whole = counts == torch.tensor(sizes)
    assert bool((counts[~whole] >= counts.max() - 1).all())


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, limit=st.integers(1, 60), members=st.integers(1, 7), seed=st.integers(0, 3))
def test_a_subset_by_groups_keeps_proportions_and_grows_with_the_limit(sizes, limit, members, seed):
    labels = labels_of(sizes)
    groups = torch.arange(len(labels)) // members
    fewer, more = (stratified_subset(labels, n, seed, groups) for n in (limit, limit + 5))
    assert len(fewer.unique()) == len(fewer) == min(limit, len(labels))
    assert set(fewer.tolist()) <= set(more.tolist())
    counts = torch.bincount(labels[fewer], minlength=len(sizes))
    ideal = torch.tensor(sizes) * len(fewer) / len(labels)
    assert bool(((counts - ideal).abs() <= len(sizes)).all())


def test_a_subset_by_groups_is_of_whole_ones_in_all_classes():
    groups = torch.arange(40) % 10  # ten groups of two images of each of two classes
    labels = torch.arange(40) // 20
    chosen = stratified_subset(labels, 16, 0, groups)
    assert torch.bincount(groups[chosen], minlength=10).sort().values.tolist() == [0] * 6 + [4] * 4
    alone = stratified_subset(labels, 16, 0)
    assert len(groups[alone].unique()) > 4


def test_groups_are_numbered_in_the_order_of_their_first_images():
    assert group_numbers(["b", "a", "b"], 3).tolist() == [0, 1, 0]
    assert group_numbers(None, 3).tolist() == [0, 1, 2]


def test_a_balanced_draw_takes_turns_and_repeats_small_classes():
    labels = labels_of([2, 10])
    drawn = balanced_draw(labels, 12, seed=0)
    assert torch.bincount(labels[drawn]).tolist() == [6, 6]
    assert len(drawn[labels[drawn] == 0].unique()) == 2
    assert len(drawn[labels[drawn] == 1].unique()) == 6
    assert not torch.equal(drawn, balanced_draw(labels, 12, seed=1))
