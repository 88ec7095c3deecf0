"""Weights of networks in a zoo's files: packed when stored, unpacked when read."""

from __future__ import annotations

from functools import lru_cache

from tans.errors import InputError, WeightsError, ZooError
from tans.networks.incoming.fetched import SCHEME, read_fetched
from tans.networks.network import Weights
from tans.networks.published import published_at, read_published
from tans.types import MISSING
from tans.zoo.blobs import Files, damaged
from tans.zoo.weights import (
    check_finite,
    from_bytes,
    pack_difference,
    pack_exact,
    pack_whole,
    shortened,
    to_bytes,
    unpack_difference,
    unpack_whole,
)


class States:
    """States of networks by the hash of their file.

    Args:
        files: of the zoo.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        # the subnets of one supernet are mostly asked for together
        self._read = lru_cache(maxsize=4)(self._unpack)

    def add(self, state: Weights, base: str | None) -> str:
        """Store a state, whole or as its difference from that of hash ``base``; its hash.

        Raises:
            ZooError: a value is not finite, or the base is missing or does not match.
        """
        packed = pack_whole(state) if base is None else pack_difference(state, self.get(base))
        return self.files.put("weights", to_bytes(packed, base))

    def add_exact(self, state: Weights) -> str:
        """Store a state to the last bit; its hash.

        Raises:
            ZooError: a value is not finite.
        """
        return self.files.put("weights", to_bytes(pack_exact(state)))

    def get(self, digest: str, place: str | None = None) -> Weights:
        """The state of that hash, as float32; shared with later callers, so not to be changed.

        Args:
            place: where it lies, if not among the files.

        Raises:
            ZooError: there is none, or it or its base is damaged.
        """
        try:
            return self._read(digest, place)
        except RecursionError as error:
            reason = "its base is a difference from a difference, and so on"
            raise damaged(self.files.where("weights", digest), reason) from error

    def _unpack(self, digest: str, place: str | None) -> Weights:
        if place is not None:
            return _read_placed(place, digest)
        data = self.files.get("weights", digest)
        try:
            tensors, base = from_bytes(data)
        except ZooError as error:
            raise damaged(self.files.where("weights", digest), error) from error
        origin = None if base is None else self.get(base)
        try:
            state = unpack_whole(tensors) if origin is None else unpack_difference(tensors, origin)
            check_finite(state)
        except (RuntimeError, TypeError, LookupError, ZooError) as error:
            raise damaged(self.files.where("weights", digest), shortened(error)) from error
        return state


def _read_placed(place: str, digest: str) -> Weights:
    if place.startswith(MISSING):
        raise ZooError(
            "the weights of this network were not given, so it can be found and costed alone; "
            f"give {place.removeprefix(MISSING)}"
        )
    try:
        if place.startswith(SCHEME):
            return read_fetched(place.removeprefix(SCHEME), digest)
        published = published_at(place)
        if published.sha256 != digest:
            raise ZooError(
                f"the weights at {place} have SHA-256 {published.sha256}, the zoo names {digest}"
            )
        return read_published(published)
    except (InputError, WeightsError) as error:
        raise ZooError(str(error)) from error
