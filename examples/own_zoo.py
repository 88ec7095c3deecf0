"""Make a zoo of your own datasets, and search it for a new one.

    python examples/own_zoo.py FOLDER FOLDER FOLDER --new FOLDER

Each folder holds a folder of images for each class. Without folders, three sets of Greek letters
beside this script stand for datasets, and a fourth for the new one.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import tans
from tans.build.settings import BuildSettings
from tans.meta.presets import get_preset
from tans.workflow import train

GREEK = Path(__file__).parent / "greek"
SETS = {
    "vowels": ("alpha", "epsilon", "eta", "iota", "omega"),
    "round": ("beta", "theta", "phi", "rho", "sigma"),
    "angular": ("delta", "lamda", "mu", "pi", "xi"),
    "new": ("gamma", "zeta", "chi", "psi", "final sigma"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="A zoo of your own datasets.")
    parser.add_argument("folders", nargs="*", type=Path, help="datasets to train on")
    parser.add_argument("--new", type=Path, help="dataset to search a network for")
    parser.add_argument("--zoo", type=Path, default=Path("runs/own_zoo"), help="folder to write")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        letters = {name: letter_set(name, Path(place)) for name in SETS}
        folders = asked.folders or [folder for name, folder in letters.items() if name != "new"]
        zoo = make_zoo(folders, asked.zoo)
        task = tans.Task.from_folder(asked.new or letters["new"])
        for match in tans.search(task, zoo, top=5):
            print(f"{match.id}: learnt {match.task}, {match.params / 1e6:.1f} M parameters")


def make_zoo(folders: list[Path], path: Path) -> tans.Zoo:
    """Few networks of each dataset, trained briefly; leave the settings out for good ones."""
    tasks = [tans.Task.from_folder(folder) for folder in folders]
    settings = BuildSettings(subnets=3, least_seen=300)
    zoo = tans.build_zoo(path, tasks, settings, base_from=tans.Zoo.open())
    train(zoo, get_preset("default"))  # the shared space of datasets and networks
    return zoo


def letter_set(name: str, place: Path) -> Path:
    """Some of the letters as a dataset of its own."""
    for split in ("train", "val", "test"):
        for letter in SETS[name]:
            shutil.copytree(GREEK / split / letter, place / name / split / letter)
    return place / name


if __name__ == "__main__":
    main()
