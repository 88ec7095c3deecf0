"""Images that an export is checked on: which, and with which labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans.errors import InputError
from tans.export.classifier import Classifier
from tans.export.finetuned import load_finetuned
from tans.export.samples import read_samples, reference_samples
from tests.export.conftest import Tuned, draw_images


@pytest.fixture(scope="module")
def classifier(tuned: Tuned) -> Classifier:
    return load_finetuned(tuned.folder)


def test_of_the_dataset_that_it_was_tuned_on_the_test_split_is_taken(
    classifier: Classifier, tuned: Tuned
) -> None:
    samples = read_samples(classifier, [tuned.images])
    assert samples.words == "6 test images of images"
    assert samples.images.shape == (6, 3, 32, 32)
    assert samples.calibrating.shape == (24, 3, 32, 32)
    assert samples.labels is not None
    names = [classifier.classes[label] for label in samples.labels.tolist()]
    assert [p.label for p in classifier.predict(samples.images.permute(0, 2, 3, 1).numpy())] == [
        *names
    ]
    assert samples.told == ()


def test_of_another_dataset_all_images_are_taken(classifier: Classifier, tmp_path: Path) -> None:
    samples = read_samples(classifier, [draw_images(tmp_path / "more", 8, seed=1)])
    assert samples.words == "24 images of more"
    assert samples.labels is not None
    assert samples.labels.bincount().tolist() == [8, 8, 8]


def test_classes_may_lack_and_stand_in_another_order(
    classifier: Classifier, tmp_path: Path
) -> None:
    root = draw_images(tmp_path / "more", 8)
    shutil.rmtree(root / "dark blue")
    samples = read_samples(classifier, [root])
    assert samples.labels is not None
    names = {classifier.classes[label] for label in samples.labels.tolist()}
    assert names == {"red", "grün"}


def test_without_labels_images_are_compared_alone_and_it_is_told(
    classifier: Classifier, tuned: Tuned, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"none")
    samples = read_samples(classifier, [tuned.images / "red", tmp_path / "broken.png"])
    assert samples.labels is None
    assert (len(samples.images), len(samples.calibrating)) == (6, 6)
    assert samples.told[0] == "1 images cannot be read"
    assert "expected one dataset" in samples.told[1]
    (single,) = read_samples(classifier, [tuned.images / "red" / "0.png"]).images
    assert single.shape == (3, 32, 32)


def test_a_dataset_of_other_classes_has_no_labels(classifier: Classifier, tmp_path: Path) -> None:
    root = draw_images(tmp_path / "more", 8)
    (root / "red").rename(root / "violet")
    samples = read_samples(classifier, [root])
    assert samples.labels is None
    assert "knows no class violet" in samples.unlabelled


def test_samples_that_the_network_did_not_learn_from_are_left_out(
    classifier: Classifier, tmp_path: Path
) -> None:
    root, generator = tmp_path / "deep", np.random.default_rng(0)
    for path in (root / name / f"{k}.png" for name in ("red", "grün") for k in range(4)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 4000, (20, 20)).astype(np.uint16)).save(path)
    with pytest.raises(InputError, match="no image can be read from .*3.png"):
        read_samples(classifier, [root / "red" / "3.png"])
    with pytest.raises(InputError, match="no image can be read from deep by this network"):
        read_samples(classifier, [root])


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_image_is_an_error(classifier: Classifier, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected images, or folders with some"):
        read_samples(classifier, [tmp_path / name])


def test_the_reference_images_come_with_tans(classifier: Classifier) -> None:
    samples = reference_samples(classifier)
    assert samples.words == "32 reference images"
    assert samples.images.shape == (32, 3, 32, 32)
    assert samples.told == ()
