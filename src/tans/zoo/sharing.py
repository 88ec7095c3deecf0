"""Push a zoo to an address, and pull a whole copy of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tans.errors import InputError, ZooError
from tans.plugins import is_distant
from tans.tasks.findings import some
from tans.zoo.blobs import SUFFIXES, LocalBlobs, damaged, name_of
from tans.zoo.manifest import KEY
from tans.zoo.seals import Seals
from tans.zoo.shared import (
    ATTEMPTS,
    INDEX,
    OBJECTS,
    READ_ONLY,
    Index,
    Part,
    Store,
    fetch,
    holds,
    is_content,
    is_shared,
    newest_index,
    place_of,
    read_index,
    unreached,
)
from tans.zoo.stored import BUILD
from tans.zoo.zoo import Zoo

OnCopied = Callable[[int, int, str], object]
"""Is told the bytes that are done, those of all, and what is next."""


@dataclass(frozen=True)
class Copied:
    """What a push or a pull did."""

    files: int
    """Of the zoo."""
    bytes: int
    """Of the zoo."""
    sent: int
    """Files that were not there yet."""


def push_zoo(
    zoo: Zoo, address: str, force: bool = False, on_progress: OnCopied | None = None
) -> Copied:
    """Share a zoo at an address that fsspec reaches.

    What is there already is not sent again, so a push that was stopped goes on. Readers see the
    zoo that was there before until the last file is written, which names all others.

    Args:
        zoo: in a folder.
        address: such as ``s3://bucket/zoo``.
        force: replace what is shared there, although it is damaged, or the zoo lacks some of its
            networks.

    Raises:
        InputError: it is no address, or holds a password.
        ZooError: the zoo is damaged, has no base, or changes meanwhile; something else lies at the
            address, or networks that the zoo lacks, or another push ended first; the store cannot
            be reached or written.
    """
    if zoo.address is not None:
        raise ZooError(f"the zoo at {zoo.address} is shared already; {READ_ONLY}")
    zoo.base_state()  # refuses a zoo without a base, before anything is sent
    store = _store_at(address)
    try:
        before, index = index_at(store, force), Index(files=_parts(zoo))
        if index == before:
            return _copied(index, 0)
        if before is not None and not force:
            _refuse_loss(store, zoo)
        sent = _send(store, index, zoo, on_progress)
        if index_at(store, force) != before:
            raise ZooError(
                f"another push to {store} ended first; pull what is there now, merge both with "
                "'tans zoo merge' and push the result"
            )
        store.write(INDEX, index.to_bytes())
    except OSError as error:
        raise unreached(store, error) from error
    return _copied(index, sent)


def pull_zoo(address: str, path: str | Path, on_progress: OnCopied | None = None) -> Copied:
    """Copy a whole zoo from an address to a folder, where it is a zoo like any other.

    What is there already is not fetched again, so a pull that was stopped goes on.

    Args:
        path: a folder that is new, empty, or holds files of this zoo alone.

    Raises:
        InputError: it is no address, or holds a password.
        ZooError: there is no zoo, it is damaged or cannot be reached; the folder holds other files,
            or cannot be written.
    """
    store = _store_at(address)
    index = newest_index(store)
    blobs = LocalBlobs(path)
    if foreign := [key for key in blobs.list() if key not in index.files]:
        raise ZooError(
            f"{path} holds what the zoo at {store} does not ({some(foreign)}); choose a new or "
            "empty folder, or merge them with 'tans zoo merge'"
        )
    missing = [k for k in _in_order(index) if not holds(blobs.place(k), index.files[k].sha256)]
    total = sum(index.files[key].size for key in missing)
    done = 0
    for key in missing:
        if on_progress is not None:
            on_progress(done, total, key)
        fetch(store, index, key, blobs.place(key))
        done += index.files[key].size
    return _copied(index, len(missing))


def _store_at(address: str) -> Store:
    if not is_distant(address):
        raise InputError(
            f"{address!r} is no address; expected one that fsspec reaches, such as s3://bucket/zoo"
        )
    return Store.at(address)


def _copied(index: Index, sent: int) -> Copied:
    sizes = [part.size for part in index.files.values()]
    return Copied(len(sizes), sum(sizes), sent)


def _in_order(index: Index) -> list[str]:
    """Keys, such that whoever reads meanwhile finds no row without its files."""
    return sorted(index.files, key=lambda key: (_rank(key), key))


def _rank(key: str) -> int:
    """Content, then tables and seals, then what names these, and what makes it a zoo."""
    if is_content(key):
        return 0
    return 3 if key == KEY else 2 if key.endswith((".manifest", ".json")) else 1


def index_at(store: Store, force: bool = False) -> Index | None:
    """What is shared at an address; None where nothing is but what a build left that died early.

    Args:
        force: take an index that is damaged for none.

    Raises:
        ZooError: something else lies there.
    """
    try:
        found = read_index(store)
    except FileNotFoundError:
        ours = tuple(f"{folder}/" for folder in (OBJECTS, BUILD, *SUFFIXES))
        if foreign := [key for key in store.sizes() if not key.startswith(ours)]:
            raise ZooError(
                f"{store} holds files of others ({some(foreign)}); choose an address where nothing "
                "is"
            ) from None
        return None
    except ZooError:
        if not force:
            raise
        return None
    if found.plain:
        raise ZooError(
            f"{store} holds a zoo that was copied there as a folder; choose an address where "
            "nothing is, or copy to it in the same way again"
        )
    return found


def _refuse_loss(store: Store, zoo: Zoo) -> None:
    """Refuse to replace networks that a zoo lacks.

    Raises:
        ZooError: there are some.
    """
    own = {entry.id for entry in zoo.entries(vectors=False)}
    there = {entry.id for entry in Zoo.open(store.address).entries(vectors=False)}
    if lost := sorted(there - own):
        raise ZooError(
            f"{store} holds {len(lost)} networks that {zoo.place} lacks ({some(lost)}); pull that "
            "zoo, merge both with 'tans zoo merge' and push the result, or add --force to replace "
            "it"
        )


def _parts(zoo: Zoo) -> dict[str, Part]:
    """What a zoo consists of, such that no row lacks its files.

    Raises:
        ZooError: a file is damaged, or a link that leads out of the zoo; or others change it all
            the time.
    """
    for _ in range(ATTEMPTS):
        state = _state_keys(zoo)
        sealed = _sealed(zoo)
        try:
            parts = {key: _part(zoo, key, sealed) for key in state}
        except ZooError:
            if state == _state_keys(zoo):
                raise
            continue  # another process compacted a table
        if state == _state_keys(zoo):
            break
    else:
        raise ZooError(f"the zoo in {zoo.place} is being changed; wait until that has ended")
    contents = zoo.files.keys()  # after the rows, which their files come before
    for key in contents:
        if is_content(key):
            parts[key] = Part(name_of(key)[1], zoo.blobs.local(key).stat().st_size)
    return parts


def _state_keys(zoo: Zoo) -> list[str]:
    return [key for key in zoo.blobs.list() if is_shared(key) and not is_content(key)]


def _sealed(zoo: Zoo) -> dict[str, set[str]]:
    """By key, the hashes that its content may have."""
    own = Seals(zoo.blobs).all()
    learnt = Seals(LocalBlobs(zoo.retrieval)).all()
    return own | {f"{zoo.retrieval.name}/{key}": digests for key, digests in learnt.items()}


def _part(zoo: Zoo, key: str, sealed: dict[str, set[str]]) -> Part:
    data = zoo.blobs.get(key)
    digest = hashlib.sha256(data).hexdigest()
    if digest not in sealed.get(key, {digest}):
        raise damaged(f"{zoo.place}/{key}", "it is not as it was written")
    return Part(digest, len(data))


def _send(store: Store, index: Index, zoo: Zoo, on_progress: OnCopied | None) -> int:
    """Write what an index names and is not there yet; how many files that were."""
    there = store.sizes()
    missing = [key for key in _in_order(index) if not _is_there(index, key, there)]
    total = sum(index.files[key].size for key in missing)
    done = 0
    for key in missing:
        if on_progress is not None:
            on_progress(done, total, key)
        store.write(index.place(key), _content(zoo, key, index.files[key]))
        done += index.files[key].size
    there = store.sizes()
    if lost := [key for key in index.files if not _is_there(index, key, there)]:
        raise ZooError(f"{store} did not keep what was sent to it ({some(lost)}); push again")
    return len(missing)


def _is_there(index: Index, key: str, sizes: dict[str, int]) -> bool:
    part = index.files[key]
    return sizes.get(place_of(key, part.sha256)) == part.size


def _content(zoo: Zoo, key: str, part: Part) -> bytes:
    """What a file holds, which must be what the index is to say.

    Raises:
        ZooError: it is damaged, or was changed.
    """
    data = zoo.blobs.get(key)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        if is_content(key):
            raise damaged(f"{zoo.place}/{key}", "its content does not match its name")
        raise ZooError(f"{zoo.place}/{key} was changed while it was pushed; push again")
    return data
