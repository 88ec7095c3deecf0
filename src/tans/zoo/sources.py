"""Which stored network speaks for all that came from its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tans.errors import ZooError
from tans.types import ZooEntry
from tans.zoo.columns import Columns
from tans.zoo.ids import asked_size
from tans.zoo.zoo import IMAGENET, Zoo


@dataclass(frozen=True)
class Sources:
    """The networks of a zoo that are probed, each for all of its source."""

    largest: Mapping[str, ZooEntry]
    """The largest network of each source task."""
    base: ZooEntry
    """The elastic base at full size."""
    whole: tuple[ZooEntry, ...]
    """The ImageNet network that the base was made of, an entry for each size, lowest first."""
    published: tuple[ZooEntry, ...] = ()
    """Other ImageNet networks, of any family."""
    kinds: Mapping[tuple[str, str], ZooEntry] = field(default_factory=dict)
    """The largest network of each weights of each source task, by name and hash: where several
    networks were trained on one task, each but slices of the same weights has a probe of its own.
    """

    @classmethod
    def of(cls, zoo: Zoo, columns: Columns | None = None) -> Sources:
        """Find them among a zoo's entries.

        Args:
            columns: of the zoo's entries, where they were read before.

        Raises:
            ZooError: the zoo lacks the elastic base or the ImageNet network.
        """
        columns = columns or zoo.columns()
        rows = np.union1d(columns.sources[0], np.flatnonzero(columns.equals("task", IMAGENET)))
        entries = sorted(columns.entries(rows), key=lambda e: (e.body_params, -e.resolution))
        base = [e for e in entries if e.task == IMAGENET and e.weights == zoo.base]
        others = [e for e in entries if e.task == IMAGENET and e.weights != zoo.base]
        own = {e.ref.family for e in base}
        whole = [e for e in others if e.ref.family in own]
        if not base or not whole:
            raise ZooError(
                f"the zoo in {zoo.path} lacks the elastic base or the ImageNet network; expected "
                f"both as entries of {IMAGENET!r}, as 'tans zoo build' makes them"
            )
        tuned = [e for e in entries if e.task != IMAGENET]
        return cls(
            largest={e.task: e for e in tuned},
            base=base[-1],
            whole=tuple(reversed(whole)),
            published=tuple(e for e in others if e.ref.family not in own),
            kinds={(e.task, e.weights): e for e in tuned},
        )

    @property
    def always(self) -> tuple[ZooEntry, ...]:
        """Those that are probed whatever was retrieved."""
        return (self.base, *self.whole, *self.published)

    def stand_in(self, entry: ZooEntry) -> ZooEntry:
        """The network whose probe counts for an entry; its own at another size than stored."""
        if asked_size(entry.id):
            return entry
        if entry.task != IMAGENET:
            return self.kinds[entry.task, entry.weights]
        return self.base if entry.weights == self.base.weights else entry
