from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tans.errors import InputError
from tans.export.classifier import Classifier, find_files
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.family import build
from tans.networks.network import Network
from tans.novelty import Novelty
from tans.tasks.reading import Reading
from tans.training import scores_and_lengths

COLOURS = {"red": (230, 20, 20), "grün": (20, 200, 20), "blue": (20, 20, 230)}


def classifier(**options: object) -> Classifier:
    """Tells which of red, green and blue an image has most of."""
    network = build(ref_of(LITE0.smallest, 32), 3).eval()
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.zero_()
        network.classifier.weight[:, :3] = 5 * torch.eye(3)

    def features(x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x.mean((2, 3)), (0, LITE0.features - 3))

    network.features = features  # type: ignore[method-assign]
    return Classifier(network, tuple(COLOURS), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def features_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folded copy of a network forgets what was put on the instance."""

    def features(_: Network, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(x.mean((2, 3)), (0, LITE0.features - 3))

    monkeypatch.setattr(Network, "features", features)


def draw(path: Path, colour: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 12), COLOURS[colour]).save(path)
    return path


def array(colour: str, dtype: type = np.uint8, scale: float = 1) -> np.ndarray:
    return (np.array(COLOURS[colour]) * scale * np.ones((12, 20, 1))).astype(dtype)


def test_files_are_classified_in_order_and_unreadable_ones_say_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    paths = [draw(tmp_path / "b.png", "blue"), broken, draw(tmp_path / "g.png", "grün")]
    blue, unreadable, green, missing = classifier().predict([*paths, tmp_path / "none.png"])
    assert (blue.path, blue.label, blue.error) == (paths[0], "blue", None)
    assert green.label == "grün"
    assert blue.probability is not None
    assert 0.9 < blue.probability <= 1
    for failed in (unreadable, missing):
        assert (failed.label, failed.probability, failed.ranked) == (None, None, ())
        assert failed.error


def test_paths_images_and_arrays_are_classified_alike(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", "red")
    with Image.open(path) as image:
        found = classifier().predict([path, str(path), image, array("red"), array("blue")])
    assert [p.label for p in found] == ["red", "red", "red", "red", "blue"]
    assert found[0].ranked == found[2].ranked == found[3].ranked
    assert [p.path for p in found] == [path, path, None, None, None]
    assert classifier().predict(np.stack([array("red"), array("grün")]))[1].label == "grün"


def test_images_in_memory_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    half = np.zeros((40, 20, 3), np.uint8)
    half[:20] = COLOURS["red"]
    Image.fromarray(half).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        one, other = classifier().predict([tmp_path / "a.png", image])
    assert one.ranked == other.ranked


def test_labels_are_ranked_and_share_all_probability() -> None:
    (found,) = classifier().predict([array("red")], top=5)
    assert found.ranked[0] == (found.label, found.probability) == ("red", found.probability)
    assert sum(share for _, share in found.ranked) == pytest.approx(1)
    assert [share for _, share in found.ranked] == sorted(
        (s for _, s in found.ranked), reverse=True
    )


def test_a_temperature_changes_probabilities_and_no_label() -> None:
    (sure,) = classifier().predict([array("red")])
    (unsure,) = classifier(temperature=4.0).predict([array("red")])
    assert sure.label == unsure.label
    assert sure.probability is not None
    assert unsure.probability is not None
    assert unsure.probability < sure.probability


def test_samples_without_a_range_are_asked_about() -> None:
    deep = array("red", np.uint16, 16)
    (asked,) = classifier().predict([deep])
    assert asked.label is None
    assert "--range uint16=LOW:HIGH" in (asked.error or "")
    (told,) = classifier().predict([deep], ranges={"any": (0.0, 4080.0)})
    (same,) = classifier().predict([array("red")])
    assert told.ranked == same.ranked


def test_eight_bits_are_asked_about_by_a_network_that_learnt_from_others() -> None:
    tuned = classifier(reading=Reading({"uint16": (0.0, 4080.0)}))
    asked, known = tuned.predict([array("red"), array("red", np.uint16, 16)])
    assert "--range uint8=0:255" in (asked.error or "")
    assert known.label == "red"
    (told,) = tuned.predict([array("red")], ranges={"any": (0.0, 255.0)})
    assert told.ranked == known.ranked
    with pytest.raises(InputError, match="8 bits are always 0:255"):
        tuned.predict([array("red")], ranges={"uint8": (0.0, 100.0)})


def test_floats_of_any_width_are_one_sample_type() -> None:
    tuned = classifier(reading=Reading({"float32": (0.0, 1.0)}))
    found = tuned.predict([array("blue", kind, 1 / 255) for kind in (np.float32, np.float64)])
    assert [p.label for p in found] == ["blue", "blue"]


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5, 3), (4, 4, 2), (3, 8, 8)])
def test_an_array_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected numbers"):
        classifier().predict([np.zeros(shape, np.uint8)])


def test_at_least_one_label_is_ranked() -> None:
    with pytest.raises(InputError, match="top is 0"):
        classifier().predict([array("red")], top=0)


def test_a_picture_of_too_many_pixels_spoils_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [draw(tmp_path / f"{i}.png", "red") for i in range(5)]
    Image.new("RGB", (60, 60), COLOURS["blue"]).save(paths[3])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    predictions = classifier().predict(paths)
    assert [p.label for p in predictions] == ["red", "red", "red", None, "red"]
    assert "--max-pixels" in (predictions[3].error or "")
    assert classifier().predict(paths, max_pixels=4000)[3].label == "blue"


def test_more_images_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tans.export.classifier.BATCH", 2)
    names = ["red", "blue", "grün", "blue", "red"]
    assert [p.label for p in classifier().predict(map(array, names))] == names
    assert classifier().predict([]) == []


def test_a_folder_stands_for_the_images_below_it(tmp_path: Path) -> None:
    root = tmp_path / "images"
    draw(root / "b" / "2.png", "red")
    draw(root / "a" / "1.png", "blue")
    draw(root / ".hidden" / "3.png", "blue")
    draw(root / "@eaDir" / "1.png" / "thumb.png", "blue")
    draw(root / "c.png", "red").rename(root / "scan")
    (root / "notes.txt").write_text("no image")
    files, left_out = find_files([root, tmp_path / "alone.png"])
    assert [path.name for path in files] == ["1.png", "2.png", "scan", "alone.png"]
    assert {why: len(keys) for why, keys in left_out.items()} == {
        "left by other programs, or hidden": 2,
        "not an image": 1,
    }


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    files, _ = find_files([tmp_path / "empty"])
    (prediction,) = classifier().predict(files)
    assert prediction.error == "a folder that holds no images"


def known_of(colours: int = 40) -> Novelty:
    """Of validation images in shades of the three colours."""
    shades = [array(name) - 4 * (k % 3) for k, name in enumerate(list(COLOURS) * colours)]
    network = classifier().network
    pixels = torch.stack([torch.from_numpy(np.resize(s, (32, 32, 3))) for s in shades])
    seen = scores_and_lengths(network, pixels.permute(0, 3, 1, 2).contiguous())
    return Novelty.of(seen, (torch.empty(0, 0), torch.empty(0)))


def test_an_image_that_is_none_of_these_keeps_its_ranking() -> None:
    opened = classifier(novelty=known_of())
    grey = np.full((12, 20, 3), 128, np.uint8)
    red, other = opened.predict([array("red"), grey], top=2)
    assert (red.label, red.known) == ("red", True)
    assert (other.label, other.probability, other.known, other.error) == (None, None, False, None)
    assert len(other.ranked) == 2
    closed = opened.predict([array("red"), grey], top=2, false_alarms=None)
    assert [p.known for p in closed] == [None, None]
    assert closed[1].ranked == other.ranked
    assert closed[1].label == closed[1].ranked[0][0]
    broken = opened.predict(["nowhere.png"])[0]
    assert (broken.known, broken.label) == (None, None)


def test_a_smaller_share_of_false_alarms_lets_more_pass() -> None:
    opened = classifier(novelty=known_of())
    shades = [(array("red") * (k / 12)).astype(np.uint8) for k in range(13)]
    unknown = [
        sum(p.known is False for p in opened.predict(shades, false_alarms=rate))
        for rate in (0.01, 0.05, 0.5)
    ]
    assert unknown == sorted(unknown)
    assert 0 < unknown[0] < 13
    with pytest.raises(InputError, match="between 0 and 1"):
        opened.predict(shades, false_alarms=5)


def test_without_enough_validation_images_nothing_is_said_to_be_strange() -> None:
    assert classifier(novelty=known_of(3)).predict([np.zeros((9, 9), np.uint8)])[0].known is None
    assert classifier().predict([np.zeros((9, 9), np.uint8)])[0].known is None


def test_probabilities_are_those_of_the_ranking(tmp_path: Path) -> None:
    opened = classifier(temperature=2.0)
    shares = opened.probabilities([array(name) for name in COLOURS])
    assert shares.argmax(1).tolist() == [0, 1, 2]
    assert shares.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert opened.predict([array("red")])[0].probability == pytest.approx(float(shares[0, 0]))
    assert opened.probabilities([]).shape == (0, 3)
    many = [array("red")] * 256 + [tmp_path / "none.png"]
    with pytest.raises(InputError, match=r"none.png cannot be classified: missing"):
        opened.probabilities(many)
    with pytest.raises(InputError, match="image 256 cannot be classified: its samples are float"):
        opened.probabilities([*many[:256], array("red", np.float32)])
