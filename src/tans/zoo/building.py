"""A zoo that is worked on where it lies: in a folder, or at an address such as ``s3://bucket/zoo``.

At an address one process, the committer, adds all rows. It works on tables in a folder of its own,
and ``publish`` sends what is new of them, in files that nothing changes afterwards, and then the
index that names them. So readers find one whole state, whoever dies when, and who goes on, from
whatever machine, begins from the last one. The index is replaced only where it is as this
process left it: of two committers at one address, one goes on and the other is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tans.errors import ZooError
from tans.files import cache_dir, replacing
from tans.plugins import is_distant
from tans.zoo.blobs import SUFFIXES, LocalBlobs, name_of
from tans.zoo.manifest import KEY, read_manifest
from tans.zoo.shared import (
    DIGITS,
    INDEX,
    Index,
    Part,
    PulledBlobs,
    Store,
    is_content,
    is_shared,
    place_of,
    unreached,
)
from tans.zoo.sharing import index_at
from tans.zoo.stored import StoreBlobs
from tans.zoo.zoo import Zoo

AT_ONCE = 16
"""Files that are sent side by side."""
MOST_FILES = 1500
"""Of the tables, from which on they are compacted: the index names them all."""


@dataclass
class Site:
    """A zoo, and what lets others see what was added to it; get one from ``worked_on``."""

    zoo: Zoo

    def publish(self) -> None:
        """Let others see what was added.

        Raises:
            ZooError: the zoo lies at an address that cannot be reached or written, or another
                build or push changed what is there.
        """

    def clean(self) -> None:
        """Delete what was published here and superseded since."""


@dataclass
class _Distant(Site):
    """One at an address."""

    store: Store
    before: bytes | None
    """The index that others see now; None where there is none."""
    _sent: dict[str, Part] = field(default_factory=dict)
    """Files of tables and seals, which never change, by key."""
    _begun: set[str] = field(default_factory=set)
    """Places of what this process sent."""

    def publish(self) -> None:
        try:
            self._publish()
        except OSError as error:
            raise unreached(self.store, error) from error

    def clean(self) -> None:
        kept = {place_of(key, part.sha256) for key, part in self._named().items()}
        try:
            self.store.delete(sorted(self._begun - kept))
        except OSError as error:
            raise unreached(self.store, error) from error

    def _named(self) -> dict[str, Part]:
        return {} if self.before is None else Index.parse(self.before, self.store).files

    def _publish(self) -> None:
        keys = self._state()
        if len(keys) > MOST_FILES:
            self.zoo.compact()
            keys = self._state()
        state = {key: self._part(key) for key in keys}
        known = {place_of(key, part.sha256) for key, part in self._named().items()} | self._begun
        new = {key: part for key, part in state.items() if place_of(key, part.sha256) not in known}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            listed = pool.map(self.store.sizes, SUFFIXES)
            list(pool.map(self._send, new, new.values()))
            contents = [(key, size) for sizes in listed for key, size in sizes.items()]
        named = {key: Part(name_of(key)[1], n) for key, n in contents if is_content(key)}
        after = Index(files={**state, **named}).to_bytes()
        if after != self.before and not self.store.swap(INDEX, self.before, after):
            raise ZooError(
                f"another build or push changed {self.store} meanwhile; what it has is whole, and "
                "this build ends: run the command again to go on from there"
            )
        self.before = after

    def _state(self) -> list[str]:
        return [key for key in self.zoo.blobs.list() if is_shared(key) and not is_content(key)]

    def _part(self, key: str) -> Part:
        """What a file of the tables, a seal or a manifest holds."""
        if key in self._sent:
            return self._sent[key]
        data = self.zoo.blobs.get(key)
        part = Part(sha256(data).hexdigest(), len(data))
        if ".lance/" in key:
            self._sent[key] = part
        return part

    def _send(self, key: str, part: Part) -> None:
        data, place = self.zoo.blobs.get(key), place_of(key, part.sha256)
        if sha256(data).hexdigest() != part.sha256:
            raise ZooError(f"{self.zoo.path}/{key} was changed while it was sent; build again")
        self.store.write(place, data)
        self._begun.add(place)


@contextmanager
def worked_on(place: str | Path, create: bool = False) -> Iterator[Site]:
    """The zoo in a folder or at an address, to be added to.

    Args:
        create: make an empty one where there is none.

    Raises:
        InputError: an address holds a password.
        ZooError: there is none, or something else; it is damaged, or cannot be reached or written.
        MissingExtraError: an extra of tans brings what reaches such an address.
    """
    if not is_distant(str(place)):
        yield Site(Zoo.create(place) if create else Zoo.open(place))
        return
    store = Store.at(str(place))
    kept = cache_dir("zoos", sha256(store.address.encode()).hexdigest()[:DIGITS])
    try:
        before = None if index_at(store) is None else store.read(INDEX)
    except OSError as error:
        raise unreached(store, error) from error
    if before is None and not create:
        raise ZooError(f"no zoo at {store}; correct the address, or build one there")
    # a folder of this process alone, which is gone or swept when it died
    with replacing(kept / "worked-on") as folder:
        folder.mkdir()
        if before is None:
            Zoo.create(folder)
        else:
            PulledBlobs(store, Index.parse(before, store)).copy_state(folder)
        blobs = LocalBlobs(folder)
        yield _Distant(Zoo(folder, read_manifest(blobs), StoreBlobs(store)), store, before)


def has_zoo(place: str | Path) -> bool:
    """Whether there is a zoo already, in a folder or at an address.

    Raises:
        ZooError: something else lies at the address, or it cannot be reached.
    """
    if not is_distant(str(place)):
        return (Path(place) / KEY).exists()
    store = Store.at(str(place))
    try:
        return index_at(store) is not None
    except OSError as error:
        raise unreached(store, error) from error
