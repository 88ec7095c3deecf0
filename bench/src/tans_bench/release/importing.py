"""A zoo of the release: its networks, its queries, and its supernets where they are given.

Topologies are masked, so that only layers that exist count. Query features come from the part that
is to be trained on; the other part is left to be asked with. Features are kept in 8 bits and
functional embeddings in 16, as in every zoo; weights as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor

from tans.errors import InputError, visible
from tans.files import replacing
from tans.licences import UNSTATED
from tans.networks.families.elastic.onceforall import convert, with_our_images
from tans.networks.families.elastic.specification import ref_of
from tans.networks.family import describe
from tans.networks.incoming.incoming import Incoming, Stated
from tans.networks.incoming.torchvision import by_name
from tans.networks.network import Weights, without_head
from tans.types import MISSING, ZooEntry
from tans.zoo.ids import entry_id
from tans.zoo.zoo import IMAGENET, Zoo
from tans_bench.release.contents import (
    NETWORKS,
    QUERIES,
    SPACE,
    TRAIN,
    Query,
    ReleasedNetworks,
    read_networks,
    read_queries,
)
from tans_bench.saved import read_state

SIZE = 224
"""Pixels a side that networks are costed for, as Once-for-All's are trained; another is asked for
as ID@PIXELS."""
SUPERNETS = "supernets"
"""Folder beside the other files that supernets are looked for in."""
ENDINGS = (".pt", ".pth")
QUERY_NETWORK = "resnet18"
"""Of torchvision; what made the release's features, but for its weights."""
CLASSIFIER = "classifier."
"""Begins the names of a head in the release."""


@dataclass(frozen=True)
class Imported:
    """What came of a release."""

    zoo: Zoo
    networks: int
    loadable: int
    """Of the networks, those whose weights were given."""
    notes: tuple[str, ...]
    """What is odd about it, a sentence each."""


def import_release(
    folder: str | Path,
    path: str | Path,
    *,
    supernets: str | Path | None = None,
    query_weights: str | Path | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Imported:
    """Make a zoo of a folder that holds ``p_mod_zoo.pt`` and ``p_m_train.pt``, whole or not at all.

    Networks whose supernet is not given are listed, found and costed, and cannot be loaded.

    Args:
        folder: of the release.
        path: of the zoo, new or empty.
        supernets: folder of files DATASET.pt, state dicts or networks of Once-for-All;
            ``supernets`` beside the other files when None, where there is one.
        query_weights: state dict of torchvision's ResNet-18 that made the query features; without,
            the zoo is asked with the release's own features alone.
        on_progress: called with datasets that are done, their total, and the name of the last.

    Raises:
        InputError: a file is missing, damaged or says what cannot be; the message names it.
        MissingExtraError: torchvision is needed for ``query_weights`` and is not installed.
        ZooError: the zoo cannot be written.
    """
    source, target = Path(folder).expanduser(), Path(path).expanduser()
    _check_target(target)
    networks, queries = read_networks(source / NETWORKS), read_queries(_queries_of(source))
    names = tuple(dict.fromkeys(networks.datasets))
    notes = [*networks.notes, *_compare(names, queries)]
    files = _supernet_files(source, supernets, names)
    base = None if query_weights is None else _query_network(Path(query_weights).expanduser())
    try:
        with replacing(target) as fresh:
            zoo = Zoo.create(fresh)
            if base is not None:
                zoo.set_base(zoo.add_exact_weights(without_head(base.weights)), base.ref)
            for done, name in enumerate(names, 1):
                _add(zoo, name, networks, queries[name][TRAIN], files.get(name))
                if on_progress is not None:
                    on_progress(done, len(names), name)
            zoo.compact()
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error}; make room, or choose another"
        ) from error
    loadable = sum(name in files for name in networks.datasets)
    return Imported(Zoo.open(target), len(networks.datasets), loadable, tuple(notes))


def _check_target(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is in use; expected a new or empty folder for the zoo")


def _queries_of(folder: Path) -> Path:
    """The file of queries, by either of its names."""
    places = [folder / name for name in QUERIES]
    return next((place for place in places if place.exists()), places[0])


def _compare(names: Sequence[str], queries: Mapping[str, object]) -> list[str]:
    """What is told of datasets without networks.

    Raises:
        InputError: networks are of datasets without queries.
    """
    if lacking := [name for name in names if name not in queries]:
        raise InputError(
            f"{NETWORKS}, dataset: {_some(lacking)} {_have(lacking)} no queries in "
            f"{' or '.join(QUERIES)}; expected queries of every dataset: give files of one release"
        )
    idle = [name for name in queries if name not in names]
    return [f"{_some(idle)} {_have(idle)} queries and no networks: left out"] if idle else []


def _supernet_files(
    folder: Path, given: str | Path | None, names: Sequence[str]
) -> dict[str, Path]:
    """By dataset, the file of its supernet.

    Raises:
        InputError: there is no such folder, or a file in it is of no dataset, or two of one are.
    """
    place = folder / SUPERNETS if given is None else Path(given).expanduser()
    if not place.is_dir():
        if given is None:
            return {}
        raise InputError(f"{place} is no folder; expected one of supernets, named DATASET.pt")
    found: dict[str, Path] = {}
    for file in sorted(place.iterdir()):
        if file.suffix.lower() not in ENDINGS:
            continue
        if file.stem not in names:
            near = get_close_matches(file.stem, names) or names[:1]
            raise InputError(
                f"{file} is of no dataset of {NETWORKS}; expected names such as {visible(near[0])}"
                f"{file.suffix}: rename it, or take it out of the folder"
            )
        if file.stem in found:
            raise InputError(f"{file} and {found[file.stem]} are of one dataset; keep one of them")
        found[file.stem] = file
    return found


def _query_network(file: Path) -> Incoming:
    """ResNet-18 with the weights of a file."""
    stated = Stated(weights=file, licence="LicenseRef-unstated", origin=IMAGENET)
    try:
        return by_name(QUERY_NETWORK, stated)
    except InputError as error:
        raise InputError(
            f"the query weights: {error}; expected a state dict of torchvision's {QUERY_NETWORK}"
        ) from error


def _add(
    zoo: Zoo, name: str, networks: ReleasedNetworks, query: Query, supernet: Path | None
) -> None:
    """A dataset as a task, and its networks as entries, which are stored in one commit."""
    if supernet is None:
        place = f"{MISSING}{SUPERNETS}/{name}.pt of the TANS release, and import it again"
        weights, digest = None, hashlib.sha256(place.encode()).hexdigest()
    else:
        place, digest = None, zoo.add_exact_weights(_supernet(supernet))
        weights = digest
    zoo.add_task(
        name,
        classes=query.classes,
        card={
            "source": "published TANS release",
            "version": "",
            "licence": UNSTATED,
            "made": "its query features; its images are not here",
            "family": name,
            "notes": "",
        },
        thumbnails=None,
        features=(query.features, query.labels),
        weights=weights,
        train_images=0,
        cost_s=0.0,
    )
    rows = [row for row, dataset in enumerate(networks.datasets) if dataset == name]
    zoo.add_entries([_entry(networks, row, digest, place) for row in rows])


def _entry(networks: ReleasedNetworks, row: int, digest: str, place: str | None) -> ZooEntry:
    name, ref = networks.datasets[row], ref_of(networks.architectures[row], SIZE)
    known = describe(ref)
    return ZooEntry(
        id=entry_id(name, digest, ref),
        ref=ref,
        weights=digest,
        origins=(name,),
        licence=UNSTATED,
        width=known.width,
        body_params=known.body_params,
        body_flops=known.body_flops,
        val_accuracy=None,
        accuracy=float(networks.accuracy[row]),
        topology=known.topology,
        functional=tuple(networks.functional[row].tolist()),
        place=place,
    )


def _supernet(file: Path) -> Weights:
    """The body of a supernet, for images as the other elastic networks take them.

    Raises:
        InputError: the file holds none of the release's space.
    """
    body = {n: t for n, t in read_state(file).items() if not n.startswith(CLASSIFIER)}
    head: dict[str, Tensor] = {
        f"{CLASSIFIER}linear.weight": torch.zeros(1, SPACE.features),
        f"{CLASSIFIER}linear.bias": torch.zeros(1),
    }
    try:
        return without_head(with_our_images(convert({**body, **head}, SPACE)))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(visible(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
