"""A small made-up zoo in which the right answer is known."""

from __future__ import annotations

import torch

from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings

FEATURES = 12
WIDTHS = {"topology": 3, "functional": 8, "similarities": 6}
QUICK = MetaSettings(
    dim=16, steps=150, learning_rate=1e-2, query_images=12, query_least=4, evaluate_every=0
)


def make_data(
    tasks: int = 6, networks: int = 4, images: int = 24, families: int = 3, seed: int = 0
) -> MetaData:
    """Tasks of each family share a direction; a last task, ``imagenet``, has no images."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    family = torch.arange(tasks) % families
    hidden = normal(families, 4)[family] + 0.6 * normal(tasks, 4)  # (t, 4)
    hidden = torch.cat([hidden, torch.zeros(1, 4)])  # imagenet in the middle of all
    image_tasks = torch.arange(tasks).repeat_interleave(images)
    entry_tasks = torch.arange(tasks + 1).repeat_interleave(networks)
    features = hidden[image_tasks] @ normal(4, FEATURES) + 0.2 * normal(len(image_tasks), FEATURES)
    parts = {
        name: hidden[entry_tasks] @ normal(4, width) + 0.1 * normal(len(entry_tasks), width)
        for name, width in WIDTHS.items()
    }
    accuracy = torch.rand(len(entry_tasks), generator=generator)
    accuracy[entry_tasks == tasks] = torch.nan
    none = torch.zeros(0, dtype=torch.long)
    return MetaData(
        tasks=(*(f"task{i}" for i in range(tasks)), "imagenet"),
        families=(*(f"family{i}" for i in family.tolist()), "imagenet"),
        features=features,
        labels=torch.arange(len(image_tasks)) % 3,
        image_tasks=image_tasks,
        held_out=torch.arange(images).repeat(tasks) >= images - 6,
        entries=tuple(f"network{i}" for i in range(len(entry_tasks))),
        entry_tasks=entry_tasks,
        accuracy=accuracy,
        parts=parts,
        transfer_entries=none,
        transfer_tasks=none,
        transfer_accuracy=torch.zeros(0),
        probe_means=torch.full((tasks + 1, tasks + 1), torch.nan),
    )
