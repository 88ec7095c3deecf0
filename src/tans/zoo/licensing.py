"""Under which licences the networks of a zoo came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tans.licences import UNSTATED, LicenceChain, joined
from tans.networks.incoming.fetched import SCHEME
from tans.types import ZooEntry
from tans.zoo.columns import Columns
from tans.zoo.zoo import IMAGENET, Zoo


@dataclass(frozen=True)
class Licensing:
    """What a zoo says of licences, read once for all of its entries."""

    images: Mapping[str, str]
    """Licence of the images of each source task."""
    base: str | None
    """Licence of the network that supernets start from; None where there is none."""
    family: str | None
    """Of that network."""

    @classmethod
    def of(cls, zoo: Zoo, columns: Columns | None = None) -> Licensing:
        """Read it.

        Args:
            columns: of the zoo's entries, where they were read before.
        """
        columns = columns or zoo.columns()
        images = {task.name: task.card["licence"] for task in zoo.tasks()}
        rows = np.flatnonzero(columns.equals("weights", zoo.base)) if zoo.base else ()
        if not len(rows):
            return cls(images, None, None)
        (base,) = columns.entries(rows[:1])
        return cls(images, base.licence, base.ref.family)

    def chain(self, entry: ZooEntry) -> LicenceChain:
        """Licences of an entry's weights, of the base that they are of, and of its images.

        ImageNet's images are not among them: who published weights of it says what these allow. So
        it is with all that was fetched, whose images no zoo knows.
        """
        if entry.place is not None and entry.place.startswith(SCHEME):
            return LicenceChain(entry.licence)
        sources = [task for task in entry.origins if task != IMAGENET]
        return LicenceChain(
            network=entry.licence,
            base=self.base if sources and entry.ref.family == self.family else None,
            data=joined(self.images.get(task, UNSTATED) for task in sources) if sources else None,
        )
