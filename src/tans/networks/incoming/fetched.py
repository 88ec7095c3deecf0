"""Networks of the catalogue, fetched from the hub into the cache, and known there by their hash.

The hub is that of the variable ``HF_ENDPOINT``, or the public one. A file that came is kept with
its SHA-256, which the hub told beforehand, and compared with it whenever it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import NonNegativeInt

from tans.errors import FetchError, HubError, InputError, TansError
from tans.files import Manifest, cache_dir, read_file, write_file
from tans.networks.catalogue import HUB, Offer, shipped
from tans.networks.families.timm import TIMM
from tans.networks.incoming import timm
from tans.networks.incoming.files import read_weights
from tans.networks.incoming.incoming import Incoming, Settled, Stated, trained_on
from tans.networks.incoming.reach import WEIGHTS, hub_library
from tans.networks.network import Weights
from tans.plugins import library
from tans.types import Digest, Name, NetworkRef, ZooEntry

FOLDER = "catalogue"
"""In the cache."""
SCHEME = "fetched:"
"""Begins the place of such weights in an entry; the name of the network stands behind it."""
ID = "timm:"
"""Begins the id of such an entry, likewise."""
TIMEOUT_S = 5.0
"""That the hub is waited for, before anything comes of it."""
NAME = re.compile(r"[\w.-]+")
"""Of a network of timm."""
SHA256 = 64
"""Letters of an ETag that is one, as those of large files are."""
SAID = 200
"""Letters of what a library says that a message passes on."""


class Kept(Manifest):
    """What the cache says of a network that was fetched."""

    ERROR: ClassVar[type[TansError]] = FetchError
    REMEDY: ClassVar[str] = "delete it, and fetch the network again"

    name: Name
    """Of the network, as the catalogue has it."""
    repository: Name
    """On the hub."""
    commit: Name
    """Of the repository."""
    file: Name
    """Below the folder of the cache."""
    sha256: Digest
    """Of the file."""
    size: NonNegativeInt
    """Bytes of it."""

    @property
    def path(self) -> Path:
        """Of the file."""
        return cache_dir(FOLDER) / self.file

    @property
    def megabytes(self) -> float:
        return self.size / 1e6


@dataclass(frozen=True)
class _Remote:
    """A file of weights on the hub, as it is known before it is fetched."""

    repository: str
    commit: str
    file: str
    etag: str
    size: int


def kept(name: str) -> Kept | None:
    """What the cache holds of a network of the catalogue; None where it holds none of it.

    Raises:
        FetchError: what it says is damaged.
    """
    record = _record(name)
    if not NAME.fullmatch(name) or not record.is_file():
        return None
    found = Kept.parse(read_file(record), record)
    return found if found.path.is_file() else None


def fetch(
    offer: Offer, tell: Callable[[str], None] | None = None, until: float | None = None
) -> Kept:
    """Fetch a network of the catalogue, or find it in the cache, where it is then kept.

    Args:
        tell: told when a download begins, its name and megabytes, and when it ends.
        until: time of ``time.monotonic`` at which a download is given up.

    Raises:
        HubError: the hub is out of reach.
        FetchError: it has no such file, or that is damaged or took too long.
        MissingExtraError: huggingface_hub is not installed.
    """
    if found := kept(offer.name):
        return found
    repository = offer.place.removeprefix(HUB)
    if repository == offer.place:
        raise FetchError(f"{offer.name} lies at {offer.place}, not on the hub; 'tans zoo add' it")
    remote = _remote(offer.name, repository)
    say = tell or (lambda _: None)
    say(f"fetching {offer.name}, {remote.size / 1e6:.1f} MB")
    began = time.monotonic()
    path = _downloaded(offer.name, remote, until)
    digest = _verified(offer.name, path, remote)
    folder = cache_dir(FOLDER)
    found = Kept(
        name=offer.name,
        repository=repository,
        commit=remote.commit,
        file=str(path.relative_to(folder)),
        sha256=digest,
        size=path.stat().st_size,
    )
    try:
        write_file(_record(offer.name), found.to_bytes())
    except OSError as error:
        raise FetchError(f"the cache in {folder} cannot be written: {error}") from error
    say(
        f"fetched {offer.name}, {found.megabytes:.1f} MB in {time.monotonic() - began:.1f} s, "
        f"SHA-256 {digest[:8]}..."
    )
    return found


def read_fetched(name: str, digest: str) -> Weights:
    """Weights of a network that the cache holds, with its head, as timm's family names them.

    Args:
        digest: SHA-256 that its file must have.

    Raises:
        FetchError: the cache does not hold it, or another.
        InputError: they are not those of the network.
    """
    return incoming_of(_found(name), digest).weights


def incoming_of(found: Kept, digest: str | None = None, stated: Stated | None = None) -> Incoming:
    """A network that the cache holds, as others come in.

    Args:
        digest: SHA-256 that its file must have; the one that it came with when None.
        stated: what its user says of it; what the catalogue says when None.

    Raises:
        FetchError: its file is another.
        InputError: its weights are not those of the network.
    """
    given, expected = sha256_of(found.path), digest or found.sha256
    if given != expected:
        raise FetchError(
            f"{found.path} has SHA-256 {given}, expected {expected}; delete it, and fetch "
            f"{found.name} again with 'tans search DATA --catalogue'"
        )
    tensors, _ = read_weights(found.path)
    return timm.with_tensors(found.name, tensors, stated or _said_of(found.name))


def entry_of(name: str) -> ZooEntry:
    """A network that the cache holds, as an entry that no zoo stores, without embeddings.

    Raises:
        FetchError: the cache does not hold it.
        InputError: timm does not know it.
    """
    said = _said_of(name)  # a name that nobody knows names no file
    found = _found(name)
    settled: Settled = timm.settled_by_name(name, said)
    ref = NetworkRef("timm", name, settled.input)
    known = TIMM.describe(ref)
    return ZooEntry(
        id=ID + name,
        ref=ref,
        weights=found.sha256,
        origins=settled.origins,
        licence=settled.licence,
        width=known.width,
        body_params=known.body_params,
        body_flops=known.body_flops,
        val_accuracy=None,
        accuracy=None,
        place=SCHEME + name,
    )


def sha256_of(path: Path) -> str:
    """Of a file's content.

    Raises:
        FetchError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error}; fetch the network again") from error


def _found(name: str) -> Kept:
    found = kept(name)
    if found is None:
        raise FetchError(
            f"the weights of {name} are not in the cache {cache_dir(FOLDER)}; fetch them with "
            "'tans search DATA --catalogue', or add it to a zoo of your own with 'tans zoo add'"
        )
    return found


def _said_of(name: str) -> Stated:
    """What is said of a network of the catalogue over what timm's settings say of it."""
    offer = next((each for each in shipped().offers if each.name == name), None)
    if offer is None:
        raise InputError(f"the catalogue has no network {name!r}; 'tans zoo add' may know it")
    known = trained_on(offer.tag) or offer.classes == timm.CLASSES
    return Stated(licence=offer.licence, origin=None if known else offer.tag or offer.kind)


def _record(name: str) -> Path:
    return cache_dir(FOLDER) / f"{name}.json"


def _remote(name: str, repository: str) -> _Remote:
    """The first file of weights that a repository has.

    Raises:
        HubError: the hub is out of reach.
        FetchError: it has no such repository or file.
    """
    hub, endpoint = hub_library(), os.environ.get("HF_ENDPOINT")
    for file in WEIGHTS:
        with _told(name), suppress(hub.errors.EntryNotFoundError):
            url = hub.hf_hub_url(repository, file, endpoint=endpoint)
            found = hub.get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint)
            if not (found.commit_hash and found.etag):
                raise FetchError(f"{url} answers otherwise than a hub does; look at HF_ENDPOINT")
            return _Remote(repository, found.commit_hash, file, found.etag, found.size or 0)
    raise FetchError(f"{name}: {repository} on the hub holds none of {', '.join(WEIGHTS)}")


def _downloaded(name: str, remote: _Remote, until: float | None) -> Path:
    """Place of a file of the hub, which was fetched into the cache."""
    hub = hub_library()
    with _told(name, reached=True):
        path = hub.hf_hub_download(
            remote.repository,
            remote.file,
            revision=remote.commit,
            cache_dir=cache_dir(FOLDER),
            endpoint=os.environ.get("HF_ENDPOINT"),
            etag_timeout=TIMEOUT_S,
            tqdm_class=_clocked(name, until),
        )
    return Path(path)


def _clocked(name: str, until: float | None) -> Any:
    """A kind of progress bar that shows nothing, and ends a download when its time is over."""
    bar = library("tqdm", "timm").tqdm

    class Clocked(bar):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **others: Any) -> None:
            others.pop("name", None)
            super().__init__(*args, **(others | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            if until is not None and time.monotonic() > until:
                raise FetchError(f"{name} was not here when the minutes were spent")
            return super().update(n)

    return Clocked


@contextmanager
def _told(name: str, reached: bool = False) -> Iterator[None]:
    """Turn what goes wrong with a hub into one clear error.

    Args:
        reached: the hub answered before, so that what breaks off concerns this one file.

    Raises:
        HubError: the hub is out of reach.
        FetchError: anything else goes wrong.
    """
    hub = hub_library()
    try:
        yield
    except FetchError:
        raise
    except hub.errors.EntryNotFoundError as error:
        if not isinstance(error, hub.errors.LocalEntryNotFoundError):
            raise  # whoever asks knows what to do about a file that is not there
        raise FetchError(f"{name} cannot be fetched: {_shortened(error)}") from error
    except hub.errors.HfHubHTTPError as error:
        code = error.response.status_code
        if code >= 500 and not reached:
            raise HubError(f"the hub answers {code} ({_shortened(error)})") from error
        raise FetchError(f"{name} cannot be fetched: the hub answers {code}") from error
    except Exception as error:  # of several libraries for HTTP, by the version of the hub's own
        if reached:
            raise FetchError(f"{name} cannot be fetched: {_shortened(error)}") from error
        raise HubError(f"the hub is out of reach ({_shortened(error)})") from error


def _verified(name: str, path: Path, remote: _Remote) -> str:
    """SHA-256 of a file that came.

    Raises:
        FetchError: it is another than the hub told, and is deleted.
    """
    digest = sha256_of(path)
    etag = remote.etag
    if len(etag) == SHA256 and etag != digest:
        for each in (path.resolve(), path):
            each.unlink(missing_ok=True)
        raise FetchError(f"{name} came damaged: SHA-256 {digest}, the hub tells {etag}; try again")
    return digest


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:SAID] or type(error).__name__
