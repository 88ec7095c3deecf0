"""ImageNet networks that others published, as entries: referenced by package, not copied."""

from __future__ import annotations

from collections.abc import Sequence

from tans.errors import ZooError
from tans.networks.family import describe, resized
from tans.networks.features import functional_embedding, reference_similarities
from tans.networks.published import Published, get_published
from tans.types import ZooEntry
from tans.zoo.zoo import IMAGENET, Zoo, entry_id


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
    entries = [
        _entry(zoo, published, size)
        for published in found
        for size in (sizes or [published.ref.input.size])
    ]
    zoo.add_entries(entries)
    return entries


def _entry(zoo: Zoo, published: Published, size: int) -> ZooEntry:
    ref, place = resized(published.ref, size), str(published.file)
    known, usual = describe(ref), describe(zoo.base_ref).width
    network = zoo.load_network(ref, published.sha256, IMAGENET, place)
    functional = functional_embedding(network).tolist() if known.width == usual else None
    return ZooEntry(
        id=entry_id(IMAGENET, published.sha256, ref),
        ref=ref,
        weights=published.sha256,
        origins=(IMAGENET,),
        licence=published.licence,
        width=known.width,
        body_params=known.body_params,
        body_flops=known.body_flops,
        val_accuracy=None,
        accuracy=None,
        similarities=tuple(reference_similarities(network).tolist()),
        topology=known.topology,
        functional=None if functional is None else tuple(functional),
        place=place,
    )
