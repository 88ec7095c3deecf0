"""What is declared beforehand: the tasks, their kin, the networks, and at which sizes they stand.

Siblings are judged with the whole zoo. Of a stranger, all sources of its family and of the families
that are its kin are taken out: of what is retrieved, of what retrieval and the calibrator learn
from, and of what is looked at. The elastic base stays: it was distilled, without labels, on images
that some of these kin belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tans.networks.family import describe, resized
from tans.networks.network import Network
from tans.networks.published import PUBLISHED, get_published
from tans.types import NetworkRef
from tans.zoo.sources import Sources
from tans.zoo.zoo import IMAGENET, Zoo

SIBLINGS = (
    *("script-greek", "script-thai", "icons-apps", "icons-devices"),
    *("emoji-google-reserved", "clipart-food"),
)
STRANGERS = (
    *("ufoai-textures", "fashion-mnist", "solar-cells"),
    *("blue-marble", "wesnoth-units", "wesnoth-terrain"),
)
TASKS = (*SIBLINGS, *STRANGERS)
"""All that have at least ``LEAST_TEST`` test images, one of each kind but for the first two."""
KINDS: Mapping[str, tuple[str, ...]] = {"siblings": SIBLINGS, "strangers": STRANGERS}
FEW = ("script-greek", "icons-apps", "fashion-mnist", "solar-cells")
"""Where numbers of images and of steps are varied."""
KIN: Mapping[str, frozenset[str]] = {
    "ufoai-textures": frozenset({"textures", "textile"}),
    "fashion-mnist": frozenset({"clothing", "textile", "silhouettes"}),
    "solar-cells": frozenset({"solar cells", "textile"}),
    "blue-marble": frozenset({"maps"}),
    "wesnoth-units": frozenset({"sprites", "portraits", "shields", "games"}),
    "wesnoth-terrain": frozenset({"tiles", "textures", "textile"}),
}
"""Families that are taken out for a stranger: its own, and those that are like it."""
IMAGES, STEPS = 300, 200
"""Of the main cell: training images at most, and changes of the weights."""
LEAST = 64
"""Pixels a side at which the whole ImageNet network is the limit of multiply-adds."""
BASE = "base"
"""Name of the elastic base at full size."""
WITHIN: Mapping[str, tuple[int, ...]] = {
    "tf_efficientnet_lite0": (48, 56, 64),
    "tf_efficientnet_lite1": (48,),
    "tf_efficientnet_lite2": (40,),
    "mobilenetv2_100": (48, 56, 64),
}
"""Sizes at which published networks need no more than ``LITE0`` at ``LEAST`` pixels."""
BEYOND: Mapping[str, tuple[int, ...]] = {
    "tf_efficientnet_lite0": (96, 128, 160, 224),
    "tf_efficientnet_lite1": (128, 240),
    "tf_efficientnet_lite2": (128, 260),
    "mobilenetv2_100": (128, 224),
}
"""Larger ones, up to those they were published for."""
HIGHER = 128
"""Pixels a side, without a limit, that stored networks are looked at beside those of the zoo."""
LITE0 = "tf_efficientnet_lite0"
NAMES = tuple(published.ref.name for published in PUBLISHED)


def kin(task: str) -> frozenset[str]:
    """Families of the zoo that are taken out when a task is judged; none for siblings."""
    return KIN.get(task, frozenset())


def sources_for(task: str, zoo: Zoo) -> list[str]:
    """Names of the zoo's sources that a task may be answered with."""
    family = {source.name: source.card["family"] for source in zoo.tasks()}
    return [name for name in sorted(Sources.of(zoo).largest) if family[name] not in kin(task)]


def ref_of(name: str, size: int, zoo: Zoo) -> NetworkRef:
    """The network of a published name, of ``BASE`` or of a source, for images of a size.

    ``LITE0`` is the one that the zoo stores, of which an elastic network shows more stages.
    """
    elastic = name not in NAMES or name == LITE0
    return resized(zoo.base_ref if elastic else get_published(name).ref, size)


def flops_of(name: str, size: int, zoo: Zoo, classes: int) -> float:
    """Multiply-adds for one image under a plain head."""
    return describe(ref_of(name, size, zoo)).costs(classes).flops


def load(name: str, size: int, zoo: Zoo) -> Network:
    """A network under a head of one class; ``ref_of`` says which."""
    ref, sources = ref_of(name, size, zoo), Sources.of(zoo)
    if name in NAMES and name != LITE0:
        published = get_published(name)
        return zoo.load_network(ref, published.sha256, IMAGENET, str(published.file))
    own = {BASE: sources.base, LITE0: sources.whole[0], **sources.largest}[name]
    return zoo.load_network(ref, own.weights, own.task)


def sized(grid: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, int]]:
    """Each name with each of its sizes."""
    return ((name, size) for name, sizes in grid.items() for size in sizes)
