"""What meta-learning reads of a zoo, as plain tensors; no other module of ``meta`` sees one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tans.errors import InputError, MissingExtraError
from tans.meta.presets import PARTS
from tans.networks.structure import NUMBERS, structure
from tans.training import Recipe
from tans.zoo.rows import VECTORS

if TYPE_CHECKING:
    from tans.types import NetworkRef, Transfer
    from tans.zoo.zoo import Zoo

PROBE = 0
"""Epochs of a transfer that is a linear probe on frozen features."""
FITTING, EPOCHS_THEN = 3, 5
"""Version of the recipe from which on epochs fit the images; epochs of the default before."""


@dataclass(frozen=True, eq=False)
class MetaData:
    """Tasks with their image features, networks with their numbers, and measured transfers.

    A task without images (such as ``imagenet``) has networks and no rows in ``features``.
    """

    tasks: tuple[str, ...]
    """Names (t); the tensors below index into them."""
    families: tuple[str, ...]
    """Kind of image of each task (t)."""
    features: Tensor
    """float32 (n, f), one row an image of any task."""
    labels: Tensor
    """int64 (n,), class within the image's task."""
    image_tasks: Tensor
    """int64 (n,), task of each image."""
    held_out: Tensor
    """bool (n,), images kept from training so as to judge retrieval."""
    entries: tuple[str, ...]
    """Ids of the networks (e)."""
    entry_tasks: Tensor
    """int64 (e,), source task of each network."""
    accuracy: Tensor
    """float32 (e,), test accuracy on the source task in [0, 1]; NaN where not measured."""
    parts: Mapping[str, Tensor]
    """float32 (e, w) each, of ``PARTS``; a row of NaN where a network has none."""
    transfer_entries: Tensor
    """int64 (r,), the network that was fine-tuned."""
    transfer_tasks: Tensor
    """int64 (r,), the task it was fine-tuned on."""
    transfer_accuracy: Tensor
    """float32 (r,), test accuracy after the fine-tune, in [0, 1]."""
    probe_means: Tensor
    """float32 (t, t), accuracy of linear probes on frozen features, source by target; mean over
    the source's networks, NaN where none was measured."""

    def __post_init__(self) -> None:
        lengths = {
            "tasks": {len(self.tasks), len(self.families)},
            "images": {len(x) for x in (self.features, *_images(self))},
            "networks": {len(self.entries), len(self.entry_tasks), len(self.accuracy)}
            | {len(part) for part in self.parts.values()},
            "transfers": {len(x) for x in _transfers(self)},
        }
        size = len(self.tasks)
        if self.probe_means.shape != (size, size):
            raise InputError(
                f"probe_means has shape {tuple(self.probe_means.shape)}; expected ({size}, {size})"
            )
        for what, found in lengths.items():
            if len(found) > 1:
                raise InputError(f"meta data names {sorted(found)} {what}; expected one number")

    @classmethod
    def from_zoo(
        cls, zoo: Zoo, *, held_out: float = 0.2, recipe: Recipe | None = None, seed: int = 0
    ) -> MetaData:
        """Read a zoo.

        Args:
            zoo: an opened zoo.
            held_out: share of each class's images kept from training, in [0, 1).
            recipe: only transfers fine-tuned as long as this, the default when None, count,
                because predicted accuracy means accuracy after that; of those of the newest version
                of the recipe.
            seed: of the choice of held-out images.

        Raises:
            InputError: the zoo has no networks, or none whose task has images.
            ZooError: the zoo is damaged, or lacks the task of a network.
        """
        tasks, entries = zoo.tasks(), zoo.entries(vectors=False)
        zoo.check_tasks(entries)
        names = {task.name: i for i, task in enumerate(tasks)}
        ids = {entry.id: i for i, entry in enumerate(entries)}
        features, labels, image_tasks = _read_features(zoo, [task.name for task in tasks])
        stored = zoo.transfers(newest=True)
        known = [t for t in stored if t.source in ids and t.target in names]
        entry_tasks = torch.tensor([names[entry.task] for entry in entries])  # (e,)
        probes = _transfer_tensors([t for t in known if t.epochs == PROBE], ids, names)
        transfers = _transfer_tensors(tuned(known, recipe), ids, names)
        accuracy = [float("nan") if e.accuracy is None else e.accuracy for e in entries]
        return cls(
            tasks=tuple(names),
            families=tuple(task.card.get("family") or task.name for task in tasks),
            features=features,
            labels=labels,
            image_tasks=image_tasks,
            held_out=_hold_out(labels, image_tasks, held_out, seed),
            entries=tuple(ids),
            entry_tasks=entry_tasks,
            accuracy=torch.tensor(accuracy),
            parts=parts_of(zoo),
            transfer_entries=transfers[0],
            transfer_tasks=transfers[1],
            transfer_accuracy=transfers[2],
            probe_means=_cell_means(entry_tasks, len(names), *probes),
        )

    @property
    def has_images(self) -> Tensor:
        """bool (t,): tasks that can be asked for; the others are only ever answers."""
        return torch.bincount(self.image_tasks, minlength=len(self.tasks)) > 0

    @property
    def queried(self) -> Tensor:
        """int64 (q,): tasks with both images and networks, the ones with a positive pair."""
        owned = torch.bincount(self.entry_tasks, minlength=len(self.tasks)) > 0
        return (self.has_images & owned).nonzero().squeeze(1)

    @property
    def judged(self) -> Tensor:
        """int64 (h,): queried tasks of which some images are held out."""
        held = torch.bincount(self.image_tasks[self.held_out], minlength=len(self.tasks)) > 0
        return self.queried[held[self.queried]]

    def without(self, family: str) -> MetaData:
        """The same data with no trace of a family: tasks, images, networks and transfers."""
        kept = torch.tensor([name != family for name in self.families])  # (t,)
        number = kept.cumsum(0) - 1  # (t,)
        images, networks = kept[self.image_tasks], kept[self.entry_tasks]
        transfers = kept[self.transfer_tasks] & networks[self.transfer_entries]
        return replace(
            self,
            tasks=tuple(t for t, k in zip(self.tasks, kept.tolist(), strict=True) if k),
            families=tuple(f for f in self.families if f != family),
            features=self.features[images],
            labels=self.labels[images],
            image_tasks=number[self.image_tasks[images]],
            held_out=self.held_out[images],
            entries=tuple(e for e, k in zip(self.entries, networks.tolist(), strict=True) if k),
            entry_tasks=number[self.entry_tasks[networks]],
            accuracy=self.accuracy[networks],
            parts={name: part[networks] for name, part in self.parts.items()},
            transfer_entries=(networks.cumsum(0) - 1)[self.transfer_entries[transfers]],
            transfer_tasks=number[self.transfer_tasks[transfers]],
            transfer_accuracy=self.transfer_accuracy[transfers],
            probe_means=self.probe_means[kept][:, kept],
        )

    def transfer_means(self) -> Tensor:
        """Mean measured transfer (t, t), source task by target task; NaN where not measured."""
        return _cell_means(self.entry_tasks, len(self.tasks), *_transfers(self))

    def imageless_positives(self) -> Tensor:
        """Pairs (k, 2) of a target task and the source without images that transfers best to it.

        Sources of the target's own family do not compete, and a source with images must have
        been measured too: best of one is no evidence.
        """
        means = self.transfer_means()
        family = _family_index(self.families)
        means = means.masked_fill(family[:, None] == family[None], torch.nan)  # (t, t)
        compared = means[self.has_images].isfinite().any(0)  # (t,)
        best = means.nan_to_num(-1.0).argmax(0)  # (t,)
        owned = torch.zeros_like(compared)
        owned[self.queried] = True
        targets = (compared & owned & ~self.has_images[best]).nonzero().squeeze(1)
        return torch.stack([targets, best[targets]], 1)  # (k, 2)

    def digest(self) -> str:
        """SHA-256 of everything in it but the structures, which follow from the ids, in hex."""
        hasher = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "parts":
                items = sorted((n, part) for n, part in value.items() if n != "structure")
            else:
                items = [("", value)]
            for name, item in items:
                hasher.update(f"{field.name}.{name}".encode())
                if isinstance(item, Tensor):
                    hasher.update(f"{item.dtype}{tuple(item.shape)}".encode())
                    hasher.update(item.contiguous().numpy().data)
                else:
                    hasher.update(json.dumps(item).encode())
        return hasher.hexdigest()


def parts_of(zoo: Zoo, names: Sequence[str] = PARTS) -> dict[str, Tensor]:
    """What model encoders read of a zoo's networks, float32 (n, w) each, in order of entries.

    Args:
        names: of ``PARTS``.

    Raises:
        ZooError: the zoo is damaged.
    """
    parts = {name: torch.from_numpy(zoo.matrix(name)) for name in names if name in VECTORS}
    if "structure" in names:
        parts["structure"] = structures([entry.ref for entry in zoo.entries(vectors=False)])
    return parts


def structures(refs: Sequence[NetworkRef]) -> Tensor:
    """Structures of networks, float32 (n, w); NaN where nothing is installed that builds one."""
    rows = [_structure(ref) for ref in refs]
    return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), len(NUMBERS))


def _structure(ref: NetworkRef) -> tuple[float, ...]:
    try:
        return structure(ref)
    except (InputError, MissingExtraError):  # it can be found all the same, by what it answers
        return (math.nan,) * len(NUMBERS)


def _images(data: MetaData) -> tuple[Tensor, ...]:
    return data.labels, data.image_tasks, data.held_out


def _transfers(data: MetaData) -> tuple[Tensor, Tensor, Tensor]:
    return data.transfer_entries, data.transfer_tasks, data.transfer_accuracy


def _read_features(zoo: Zoo, names: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    read = [zoo.features(name) for name in names]
    filled = [(i, f, y) for i, (f, y) in enumerate(read) if len(f)]
    if not filled:
        raise InputError("no task of this zoo has images to learn from; build it on some first")
    return (
        torch.cat([f.float() for _, f, _ in filled]),
        torch.cat([y.long() for _, _, y in filled]),
        torch.cat([torch.full((len(f),), i) for i, f, _ in filled]),
    )


def _hold_out(labels: Tensor, image_tasks: Tensor, share: float, seed: int) -> Tensor:
    """A random share of each class (n,), at least one image of it staying."""
    if not 0 <= share < 1:
        raise InputError(f"held_out is {share}; expected a share in [0, 1)")
    generator = torch.Generator().manual_seed(seed)
    key = image_tasks * (int(labels.max()) + 1) + labels  # (n,)
    shuffled = torch.randperm(len(key), generator=generator)
    order = shuffled[key[shuffled].argsort(stable=True)]  # (n,), class by class
    _, counts = key[order].unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(key)) - starts.repeat_interleave(counts)  # (n,)
    taken = torch.minimum((counts * share).round().long(), counts - 1)
    held = torch.zeros(len(key), dtype=torch.bool)
    held[order] = place < taken.repeat_interleave(counts)
    return held


def tuned(transfers: Sequence[Transfer], recipe: Recipe | None = None) -> list[Transfer]:
    """Fine-tunes that are as long as a recipe asks for, the default one when None."""
    recipe = recipe or Recipe()
    if recipe.epochs is not None:
        return [t for t in transfers if t.epochs == recipe.epochs]
    return [t for t in transfers if t.epochs >= _least(t, recipe)]


def _least(transfer: Transfer, recipe: Recipe) -> int:
    """Epochs; more are made where there are fewer images than were asked for."""
    return EPOCHS_THEN if transfer.recipe < FITTING else recipe.passes(transfer.images)


def _transfer_tensors(
    transfers: Sequence[Transfer], ids: Mapping[str, int], names: Mapping[str, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Network, target and accuracy of each transfer, (r,) all three."""
    return (
        torch.tensor([ids[t.source] for t in transfers], dtype=torch.long),
        torch.tensor([names[t.target] for t in transfers], dtype=torch.long),
        torch.tensor([t.accuracy for t in transfers], dtype=torch.float32),
    )


def _cell_means(
    entry_tasks: Tensor, size: int, entries: Tensor, targets: Tensor, accuracy: Tensor
) -> Tensor:
    """Mean accuracy (size, size), source task by target task; NaN where there is none."""
    cell = entry_tasks[entries] * size + targets  # (r,)
    total = torch.bincount(cell, accuracy.double(), minlength=size * size)
    count = torch.bincount(cell, minlength=size * size)
    return (total / count).float().reshape(size, size)


def _family_index(families: tuple[str, ...]) -> Tensor:
    number = {name: i for i, name in enumerate(dict.fromkeys(families))}
    return torch.tensor([number[name] for name in families])  # (t,)
