"""Networks whose weights Python packages carry: they are referenced, and not copied."""

from __future__ import annotations

from dataclasses import replace

from tans.networks.incoming.incoming import IMAGENET, Found, Incoming, Stated, names_of_head, settle
from tans.networks.published import PUBLISHED, get_published, read_published


def knows(name: str) -> bool:
    """Whether a package is known that carries a network of that name."""
    return any(published.ref.name == name for published in PUBLISHED)


def by_name(name: str, stated: Stated) -> Incoming:
    """A network that a package carries.

    Raises:
        WeightsError: the package is not installed, or its file is not the one expected.
    """
    published = get_published(name)
    spec = published.ref.input
    found = Found(
        name,
        str(published.file),
        str(published.file),
        spec.size if stated.size is None else stated.size,
        spec.mean,
        spec.std,
        published.licence,
        (IMAGENET,),
    )
    settled = settle(found, stated)
    weights = read_published(published)
    return Incoming(
        replace(published.ref, input=settled.input),
        weights,
        settled,
        names_of_head(weights),
        f"the package {published.file.distribution}",
        str(published.file),
        published.sha256,
    )
