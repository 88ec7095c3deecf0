"""Under which licences the networks of a zoo came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tans.licences import UNSTATED, LicenceChain, joined
from tans.networks.incoming.fetched import SCHEME
from tans.types import ZooEntry
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
    def of(cls, zoo: Zoo, entries: Sequence[ZooEntry] | None = None) -> Licensing:
        """Read it.

        Args:
            entries: those of the zoo, where they were read before.
        """
        found = zoo.entries(vectors=False, task=IMAGENET) if entries is None else entries
        base = next((entry for entry in found if entry.weights == zoo.base), None)
        images = {task.name: task.card["licence"] for task in zoo.tasks()}
        if base is None:
            return cls(images, None, None)
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
