"""What holds for a whole zoo, in its ``zoo.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tans.errors import InputError, ZooError
from tans.networks.families.elastic.specification import Specification, get_space
from tans.zoo.blobs import damaged, write_file

SCHEMA = 2
SETTINGS = "zoo.json"


@dataclass(frozen=True)
class Settings:
    """Search space, resolution and shared base of a zoo.

    Raises:
        InputError: the resolution is not positive.
    """

    space: Specification
    resolution: int
    """Pixels a side that its tasks are trained at."""
    base: str | None = None
    """SHA-256 of the weights that supernets start from and are stored against."""

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise InputError(
                f"resolution is {self.resolution}; expected a positive number of pixels"
            )

    def write(self, folder: Path) -> None:
        """Write them whole, over those that are there.

        Raises:
            ZooError: the folder cannot be written.
        """
        settings = {
            "schema": SCHEMA,
            "space": self.space.name,
            "resolution": self.resolution,
            "base": self.base,
        }
        write_file(folder / SETTINGS, json.dumps(settings, indent=1).encode())


def read_settings(folder: Path, remedy: str = "check the path") -> Settings:
    """Settings of the zoo in a folder.

    Args:
        folder: to look in.
        remedy: what to do when there is none.

    Raises:
        ZooError: there is none, or it is damaged or of another schema.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text())
        if settings["schema"] == SCHEMA:
            space, resolution = get_space(settings["space"]), int(settings["resolution"])
            return Settings(space, resolution, settings["base"])
    except OSError as error:
        raise ZooError(
            f"no zoo in {folder} (no readable {SETTINGS}); {remedy}, "
            "or make a zoo with 'tans zoo build'"
        ) from error
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise damaged(folder / SETTINGS, error) from error
    raise ZooError(
        f"the zoo in {folder} has schema {settings['schema']!r} and this tans reads {SCHEMA}; "
        "install a tans that reads it, or build the zoo again with 'tans zoo build'"
    )
