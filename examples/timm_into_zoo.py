"""Put a timm model of yours into a zoo, search that, and fine-tune the model from there.

    python examples/timm_into_zoo.py NAME --weights FILE --licence SPDX --data FOLDER

Without a name, a small network with random weights stands for yours.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import timm
from safetensors.torch import save_file

import tans
from tans.meta.presets import get_preset
from tans.workflow import copy_zoo, train

GREEK = Path(__file__).parent / "greek"


def main() -> None:
    parser = argparse.ArgumentParser(description="A timm model into a zoo.")
    parser.add_argument("name", nargs="?", default="mobilenetv3_small_050", help="timm's name")
    parser.add_argument("--weights", type=Path, help="its state dict, a safetensors file")
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights")
    parser.add_argument("--origin", default="imagenet", help="task that it was trained on")
    parser.add_argument("--size", type=int, default=64, help="pixels a side of its images")
    parser.add_argument("--data", type=Path, default=GREEK, help="images by class")
    parser.add_argument("--zoo", type=Path, default=Path("runs/timm_zoo"), help="folder to write")
    asked = parser.parse_args()

    zoo = copy_zoo(tans.Zoo.open(), asked.zoo, diverse=2)  # two source tasks of the shipped zoo
    with tempfile.TemporaryDirectory() as place:
        weights = asked.weights or random_weights(asked.name, Path(place))
        stated = tans.Stated(
            weights=weights, licence=asked.licence, origin=asked.origin, size=asked.size
        )
        added = tans.add_network(zoo, f"timm:{asked.name}", stated)
    for note in added.notes:
        print(note)
    (entry,) = added.entries
    print(f"{entry.id}: {entry.ref}, {entry.body_params / 1e6:.1f} M parameters, {entry.licence}")

    train(zoo, get_preset("default"))  # the shared space of datasets and networks
    task = tans.Task.from_folder(asked.data)
    matches = tans.search(task, zoo, max_params=2e6, top=1000)
    rank = [match.id for match in matches].index(entry.id) + 1
    print(f"{entry.id} is number {rank} of {len(matches)} for {task.name}")
    tuned = tans.finetune_entry(task, zoo, entry, tans.Recipe(epochs=2))
    print(f"fine-tuned for 2 epochs: {tuned.test_accuracy:.1%} of the test images are told right")


def random_weights(name: str, folder: Path) -> Path:
    """Weights of a network that nobody trained."""
    path = folder / "weights.safetensors"
    save_file(timm.create_model(name, num_classes=1000).state_dict(), path)
    return path


if __name__ == "__main__":
    main()
