"""Networks of others as entries of a zoo, whatever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tans.build.measure import embedded
from tans.build.tuned import from_tuned, is_tuned
from tans.errors import ZooError
from tans.networks.family import Elastic, describe, get_family
from tans.networks.incoming.incoming import Incoming, Stated
from tans.networks.incoming.reading import read_network
from tans.networks.network import HEAD
from tans.types import ZooEntry
from tans.zoo.ids import entry_id
from tans.zoo.rows import ZooTask
from tans.zoo.weights import assemble
from tans.zoo.zoo import IMAGENET, Zoo

LARGEST_HALF = 65504.0
"""That an embedding may hold, as it is kept in 16 bits."""


@dataclass(frozen=True)
class Added:
    """What came of adding a network."""

    entries: tuple[ZooEntry, ...]
    """One for each size of images."""
    notes: tuple[str, ...]
    """What is odd about it, or was done otherwise than where it comes from, a sentence each."""


def add_network(
    zoo: Zoo, source: str | Path, stated: Stated | None = None, sizes: Sequence[int] = ()
) -> Added:
    """Add a network of others to a zoo, with its weights, preprocessing, licence and origin.

    Weights are stored as they came, to the last bit; those that a package carries are referenced.
    What is there already is replaced by the same. What it was trained on becomes a task without
    images where the zoo has none of that name.

    Args:
        source: ``timm:NAME`` or the bare name; ``torchvision:NAME``; ``hf-hub:OWNER/NAME``; a
            folder that the hub lays out so; an ``.onnx`` file, whose graph stays frozen under the
            head that a fine-tune trains; or a folder that ``tans finetune`` wrote.
        stated: what counts over what stands with the network, or stands nowhere.
        sizes: pixels a side of images, an entry for each; its own where none is given.

    Raises:
        InputError: there is no such network, its weights are of another or not finite, or something
            is not known of it, such as its licence; the message says what to give.
        WeightsError: a package that carries it is not installed or damaged.
        MissingExtraError: a library is not installed that it takes.
        ZooError: the zoo cannot be written, or has no elastic base.
    """
    if zoo.base is None or not isinstance(get_family(zoo.base_ref.family), Elastic):
        raise ZooError(
            f"the zoo in {zoo.path} has no base, beside which networks of others stand, or none "
            "that is elastic; build it with 'tans zoo build', or copy one with 'tans zoo copy'"
        )
    zoo.check_writable()
    stated = stated or Stated()
    entries, notes = [], dict[str, None]()
    asked: Sequence[int | None] = sizes or [stated.size]
    for size in asked:
        incoming = _read(zoo, str(source), replace(stated, size=size))
        entry, told = _entry(zoo, incoming, stated.family)
        entries.append(entry)
        notes.update(dict.fromkeys([*incoming.settled.notes, *told]))
    return Added(tuple(entries), tuple(notes))


def _read(zoo: Zoo, source: str, stated: Stated) -> Incoming:
    folder = Path(source).expanduser()
    return from_tuned(folder, zoo, stated) if is_tuned(folder) else read_network(source, stated)


def _entry(zoo: Zoo, incoming: Incoming, family: str | None) -> tuple[ZooEntry, list[str]]:
    """The entry, stored, and what is to be told of it."""
    tasks = {task.name: task for task in zoo.tasks()}
    task = tasks.get(incoming.settled.origins[0])
    notes = []
    if task and incoming.place is None and (why := _other_head(incoming, task)):
        incoming = incoming.headless(why)
        notes.append(why)
    if task and family not in (None, task.card["family"]):
        notes.append(f"task {task.name!r} is of family {task.card['family']!r}, which stays")
    draft = _embedded(zoo, incoming)  # before anything is written
    place = incoming.place if task else None
    digest = incoming.sha256 if place else None
    weights = digest or zoo.add_exact_weights(incoming.weights)
    id = entry_id(draft.task, weights, draft.ref)
    entry = replace(draft, id=id, weights=weights, place=place)
    if id in {each.id for each in zoo.entries(vectors=False, task=entry.task)}:
        notes.append(f"{id} was there already, and is replaced")
    if task is None:
        _add_task(zoo, incoming, weights, family)
    zoo.add_entry(entry)
    return entry, notes


def _embedded(zoo: Zoo, incoming: Incoming) -> ZooEntry:
    """A network as an entry that is not stored, with the embeddings that others have too."""
    settled, base = incoming.settled, describe(zoo.base_ref)
    network = assemble(incoming.weights, incoming.ref)
    entry = embedded(network, settled.origins[0], "", settled.licence)
    functional = entry.functional if entry.width == base.width else None
    if functional and max(map(abs, functional)) > LARGEST_HALF:
        functional = None
    topology = entry.topology
    if topology and base.topology and len(topology) != len(base.topology):
        topology = None
    return replace(entry, origins=settled.origins, functional=functional, topology=topology)


def _other_head(incoming: Incoming, task: ZooTask) -> str | None:
    """Why a head is left out: it does not tell the classes apart that its task has."""
    bias = incoming.weights.get(f"{HEAD}bias")
    if bias is None or (task.name == IMAGENET and len(bias) == len(task.classes)):
        return None
    if incoming.classes == task.classes:
        return None
    return f"its head of {len(bias)} classes is left out: task {task.name!r} of the zoo has others"


def _add_task(zoo: Zoo, incoming: Incoming, weights: str, family: str | None) -> None:
    """A task without images, which the network speaks for."""
    name, made = incoming.settled.origins[0], incoming.made
    zoo.add_task(
        name,
        classes=incoming.classes,
        card={
            "source": made,
            "version": "",
            "licence": incoming.settled.licence,
            "made": "added with its network; its images are not here",
            "family": family or name,
            "notes": "",
        },
        thumbnails=None,
        features=None,
        weights=weights,
        train_images=0,
        cost_s=0.0,
    )
