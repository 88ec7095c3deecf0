"""Images that an export is checked on: which, and with which labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tans.errors import InputError
from tans.export.check_images import read_check_images, reference_check_images
from tans.export.classifier import Classifier
from tans.export.finetuned import load_finetuned
from tests.export.conftest import Tuned, draw_images


@pytest.fixture(scope="module")
def classifier(tuned: Tuned) -> Classifier:
    return load_finetuned(tuned.folder)


def test_of_the_dataset_that_it_was_tuned_on_the_test_split_is_taken(
    classifier: Classifier, tuned: Tuned
) -> None:
    check = read_check_images(classifier, [tuned.images])
    assert check.words == "6 test images of images"
    assert check.images.shape == (6, 3, 32, 32)
    assert check.calibrating.shape == (24, 3, 32, 32)
    assert check.labels is not None
    names = [classifier.classes[label] for label in check.labels.tolist()]
    assert [p.label for p in classifier.predict(check.images.permute(0, 2, 3, 1).numpy())] == [
        *names
    ]
    assert check.told == ()


def test_of_another_dataset_all_images_are_taken(classifier: Classifier, tmp_path: Path) -> None:
    check = read_check_images(classifier, [draw_images(tmp_path / "more", 8, seed=1)])
    assert check.words == "24 images of more"
    assert check.labels is not None
    assert check.labels.bincount().tolist() == [8, 8, 8]


def test_classes_may_lack_and_stand_in_another_order(
    classifier: Classifier, tmp_path: Path
) -> None:
    root = draw_images(tmp_path / "more", 8)
    shutil.rmtree(root / "dark blue")
    check = read_check_images(classifier, [root])
    assert check.labels is not None
    names = {classifier.classes[label] for label in check.labels.tolist()}
    assert names == {"red", "grün"}


def test_without_labels_images_are_compared_alone_and_it_is_told(
    classifier: Classifier, tuned: Tuned, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"none")
    paths = [tuned.images / "red", tmp_path / "broken.png"]
    assert len(read_check_images(classifier, paths).images) == 12
    check = read_check_images(classifier, paths, calibrate=True)
    assert check.labels is None
    assert (len(check.images), len(check.calibrating)) == (6, 6)
    assert check.told[0] == "1 images cannot be read"
    assert "expected one dataset" in check.told[1]
    (single,) = read_check_images(classifier, [tuned.images / "red" / "0.png"]).images
    assert single.shape == (3, 32, 32)


def test_a_dataset_of_other_classes_has_no_labels(classifier: Classifier, tmp_path: Path) -> None:
    root = draw_images(tmp_path / "more", 8)
    (root / "red").rename(root / "violet")
    check = read_check_images(classifier, [root])
    assert check.labels is None
    assert "knows no class violet" in check.unlabelled


def test_samples_that_the_network_did_not_learn_from_are_left_out(
    classifier: Classifier, tmp_path: Path
) -> None:
    root, generator = tmp_path / "deep", np.random.default_rng(0)
    for path in (root / name / f"{k}.png" for name in ("red", "grün") for k in range(4)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 4000, (20, 20)).astype(np.uint16)).save(path)
    with pytest.raises(InputError, match="no image can be read from .*3.png"):
        read_check_images(classifier, [root / "red" / "3.png"])
    with pytest.raises(InputError, match="no image can be read from deep by this network"):
        read_check_images(classifier, [root])


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_image_is_an_error(classifier: Classifier, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected images, or folders with some"):
        read_check_images(classifier, [tmp_path / name])


def test_the_reference_images_come_with_tans(classifier: Classifier) -> None:
    check = reference_check_images(classifier)
    assert check.words == "32 reference images"
    assert check.images.shape == (32, 3, 32, 32)
    assert check.told == ()
