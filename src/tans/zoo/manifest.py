"""What holds for a whole zoo, in its ``zoo.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tans.errors import TansError, ZooError
from tans.files import Fields, Manifest
from tans.types import Digest, NetworkRef
from tans.zoo.blobs import Blobs
from tans.zoo.migrations import manifest_2_to_3, manifest_3_to_4
from tans.zoo.seals import Seals
from tans.zoo.weights import RESTORE

KEY = "zoo.json"


@dataclass(frozen=True)
class Base:
    """The network whose features describe images, and that supernets start from."""

    ref: NetworkRef
    weights: Digest
    """SHA-256 of its weights, which differences are stored against."""


class ZooManifest(Manifest):
    """The whole of ``zoo.json``."""

    SCHEMA: ClassVar[int] = 4
    MIGRATIONS: ClassVar[Mapping[int, Callable[[Fields], Fields]]] = {
        2: manifest_2_to_3,
        3: manifest_3_to_4,
    }
    ERROR: ClassVar[type[TansError]] = ZooError
    REMEDY: ClassVar[str] = RESTORE

    base: Base | None = None
    """None where nothing was built yet."""


def read_manifest(blobs: Blobs, remedy: str = "check the path") -> ZooManifest:
    """What holds for the zoo in a store.

    Args:
        blobs: to look in.
        remedy: what to do when there is none.

    Raises:
        ZooError: there is none, or it is damaged or of a schema that cannot be read.
    """
    seals = Seals(blobs)
    if not seals.exists(KEY):
        raise ZooError(
            f"no zoo in {blobs} (no readable {KEY}); {remedy}, or make a zoo with 'tans zoo build'"
        )
    return ZooManifest.parse(seals.get(KEY), f"{blobs}/{KEY}")
