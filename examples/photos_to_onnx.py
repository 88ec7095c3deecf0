"""From a folder of photographs to one ONNX file, and a script that needs nothing of tans.

    python examples/photos_to_onnx.py FOLDER

The folder holds a folder of images for each class; the Greek letters beside this script stand for
it where none is given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tans

GREEK = Path(__file__).parent / "greek"


def main() -> None:
    parser = argparse.ArgumentParser(description="From photographs to ONNX.")
    parser.add_argument("folder", nargs="?", type=Path, default=GREEK, help="images by class")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/photos"), help="to write")
    parser.add_argument("--epochs", type=int, help="of the fine-tune; what suits it if not given")
    asked = parser.parse_args()

    task = tans.Task.from_folder(asked.folder)
    limits = tans.Constraints(max_params=3e6)
    recipe = tans.Recipe(epochs=asked.epochs)
    result = tans.finetune_best(task, tans.Zoo.open(), tans.Selection(limits=limits), recipe)
    result.save(asked.output)
    print(f"{result.best.test_accuracy:.1%} of the test images are told right")

    made = tans.export_network(asked.output, "onnx")
    print(f"{made.network.file}: off by at most {made.network.difference:.1g} from PyTorch")
    print(f"python {asked.output / 'predict_onnx.py'} IMAGES")


if __name__ == "__main__":
    main()
