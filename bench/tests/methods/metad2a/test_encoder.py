"""A dataset is a set of sets: neither the order of images nor that of classes matters."""

from __future__ import annotations

import torch

from tans_bench.methods.metad2a.encoder import SetEncoder, Sets

WIDTH, INPUTS = 8, 12


def dataset(classes: int, images: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes * images) % classes
    return torch.randn(len(labels), INPUTS, generator=generator), labels


def encoder() -> SetEncoder:
    torch.manual_seed(0)
    return SetEncoder(INPUTS, WIDTH).eval()


def encoded(module: SetEncoder, sets: Sets, images: int = 50, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return module(*sets.draw(torch.arange(len(sets.rows)), images, generator))


def test_the_order_of_images_and_classes_does_not_matter() -> None:
    features, labels = dataset(4, 5, seed=1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))
    renamed = torch.tensor([2, 0, 3, 1])[labels]
    module = encoder()
    known = encoded(module, Sets.of([(features, labels)]))
    assert torch.allclose(
        encoded(module, Sets.of([(features[order], labels[order])]), seed=3), known, atol=1e-5
    )
    assert torch.allclose(encoded(module, Sets.of([(features, renamed)])), known, atol=1e-5)


def test_which_images_share_a_class_matters() -> None:
    features, labels = dataset(4, 5, seed=1)
    module = encoder()
    known = encoded(module, Sets.of([(features, labels)]))
    other = encoded(module, Sets.of([(features, labels.roll(1))]))
    mixed = encoded(module, Sets.of([(features, labels.sort().values)]))
    assert not torch.allclose(mixed, known, atol=1e-3)
    assert not torch.allclose(other, mixed, atol=1e-3)


def test_a_batch_of_unequal_datasets_is_encoded_as_each_alone() -> None:
    datasets = [dataset(2, 7, 1), dataset(5, 3, 2), dataset(1, 1, 3)]
    module = encoder()
    together = encoded(module, Sets.of(datasets))
    alone = torch.cat([encoded(module, Sets.of([own])) for own in datasets])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_draw_takes_so_many_of_each_class_and_no_other_dataset() -> None:
    datasets = [dataset(2, 7, 1), dataset(5, 3, 2)]
    drawn, mask = Sets.of(datasets).draw(torch.tensor([1, 0]), 4, torch.Generator().manual_seed(0))
    assert mask.sum((1, 2)).tolist() == [15, 8]
    for place, (features, labels) in enumerate(reversed(datasets)):
        for row, own in zip(drawn[place], mask[place], strict=True):
            found = [(features == image).all(1).nonzero().item() for image in row[own]]
            assert len(set(found)) == len(found)
            assert len({labels[int(k)].item() for k in found}) <= 1
    assert (drawn[~mask] == 0).all()


def test_image_features_are_standardised() -> None:
    features, labels = dataset(3, 6, seed=1)
    module = encoder()
    module.standardise(features)
    known = encoded(module, Sets.of([(features, labels)]))
    module.standardise(10 * features + 3)
    assert torch.allclose(encoded(module, Sets.of([(10 * features + 3, labels)])), known, atol=1e-4)
