"""Put a timm model of yours into a zoo, and see where it stands for your images.

    python examples/timm_into_zoo.py NAME --weights FILE --licence SPDX --data FOLDER

Without a name, a small network with random weights stands for yours: it will not be proposed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import timm
from safetensors.torch import save_file

import tans
from tans.workflow import copy_zoo

GREEK = Path(__file__).parent / "greek"


def main() -> None:
    parser = argparse.ArgumentParser(description="A timm model into a zoo.")
    parser.add_argument("name", nargs="?", default="mobilenetv3_small_050", help="timm's name")
    parser.add_argument("--weights", type=Path, help="its state dict, a safetensors file")
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights")
    parser.add_argument("--data", type=Path, default=GREEK, help="images by class")
    parser.add_argument("--zoo", type=Path, default=Path("runs/timm_zoo"), help="folder to write")
    asked = parser.parse_args()

    zoo = copy_zoo(tans.Zoo.open(), asked.zoo, diverse=2)  # two source tasks of the shipped zoo
    with tempfile.TemporaryDirectory() as place:
        weights = asked.weights or random_weights(asked.name, Path(place))
        stated = tans.Stated(weights=weights, licence=asked.licence, size=64)
        added = tans.add_network(zoo, f"timm:{asked.name}", stated)
    for note in added.notes:
        print(note)
    (entry,) = added.entries
    print(f"{entry.id}: {entry.ref}, {entry.body_params / 1e6:.1f} M parameters, {entry.licence}")

    task = tans.Task.from_folder(asked.data)
    for look in tans.search(task, zoo, max_flops=60e6).looks:
        print(f"{look.id} at {look.resolution} px: {look.accuracy:.1%} on frozen features")


def random_weights(name: str, folder: Path) -> Path:
    """Weights of a network that nobody trained."""
    path = folder / "weights.safetensors"
    save_file(timm.create_model(name, num_classes=1000).state_dict(), path)
    return path


if __name__ == "__main__":
    main()
