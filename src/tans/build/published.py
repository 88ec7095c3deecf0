"""ImageNet networks that others published, as entries: referenced by package, not copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tans.build.measure import embedded
from tans.errors import ZooError
from tans.networks.family import describe, resized
from tans.networks.published import Published, get_published
from tans.types import ZooEntry
from tans.zoo.zoo import IMAGENET, Zoo


def add_published(zoo: Zoo, names: Sequence[str], sizes: Sequence[int] = ()) -> list[ZooEntry]:
    """Add networks whose weights packages carry, each with its own input; the entries.

    What is there already is replaced by the same.

    Args:
        names: such as ``tf_efficientnet_lite1``.
        sizes: pixels a side of their inputs, an entry for each; those they were published with
            where none is given.

    Raises:
        InputError: no package carries a network of that name.
        ZooError: a package is not installed or damaged, or the zoo has no base, and so no task
            of ImageNet's networks.
    """
    if zoo.base is None:
        raise ZooError(
            f"the zoo in {zoo.path} has no base, beside which ImageNet's networks stand; build it "
            "with 'tans zoo build', or copy one with 'tans zoo copy'"
        )
    found = [get_published(name) for name in names]
    zoo.check_writable()
    entries = [
        _entry(zoo, published, size)
        for published in found
        for size in (sizes or [published.ref.input.size])
    ]
    zoo.add_entries(entries)
    return entries


def _entry(zoo: Zoo, published: Published, size: int) -> ZooEntry:
    ref, place = resized(published.ref, size), str(published.file)
    network = zoo.load_network(ref, published.sha256, IMAGENET, place)
    entry = embedded(network, IMAGENET, published.sha256, published.licence)
    comparable = entry.width == describe(zoo.base_ref).width
    return replace(entry, place=place, functional=entry.functional if comparable else None)
