"""Classify images with a network that tans wrote as ONNX; needs onnxruntime, numpy and Pillow.

    python predict_onnx.py [--network FILE] [--top K] IMAGE...

Each line is a path, then labels and probabilities, separated by tabs.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

DEEP = {"I": "int32", "F": "float32", "I;16": "uint16", "I;16L": "uint16", "I;16B": "uint16"}
"""Pillow's modes of grey with more than 8 bits, and their samples."""


class Network:
    """A network in a file of ONNX, which says how to prepare an image."""

    def __init__(self, file: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.labels: list[str] = json.loads(told["labels"])
        self.size = int(told["input_size"])
        # of samples, what becomes 0 and what 255; and what lies under transparent parts
        self.ranges, self.ground = json.loads(told["ranges"]), tuple(json.loads(told["background"]))

    def predict(self, path: Path) -> list[tuple[str, float]]:
        """Labels and their probabilities, the likeliest first."""
        (shares,) = self.session.run(["probabilities"], {"images": self.prepared(path)})
        return [(self.labels[i], float(shares[0][i])) for i in shares[0].argsort()[::-1]]

    def prepared(self, path: Path) -> np.ndarray:
        """Pixels of an image from 0 to 255, float32 (1, 3, size, size)."""
        detail = max(448, 2 * self.size)
        with Image.open(path) as file:
            file.draft(None, (detail, detail))
            image = self.plain(file)
        if min(image.size) >= 2 * detail:
            image = image.reduce(min(image.size) // detail)
        image = ImageOps.exif_transpose(image)
        if image.mode == "RGBA":
            ground = Image.new("RGBA", image.size, self.ground)
            image = Image.alpha_composite(ground, image).convert("RGB")
        side = (self.size, self.size)
        square = image.resize(side, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(square, np.float32).transpose(2, 0, 1)[None]

    def plain(self, file: Image.Image) -> Image.Image:
        """An image with 8 bits a sample, in RGB or RGBA."""
        sample = DEEP.get(file.mode, "uint8")
        if sample == "uint8" and ";16" in str(getattr(file, "tile", "")):
            raise ValueError("colours of 16 bits; store 8")
        if sample not in self.ranges:
            raise ValueError(f"its samples are {sample}, and those learnt from {[*self.ranges]}")
        file.load()
        if sample == "uint8":
            return file.convert("RGBA" if file.has_transparency_data else "RGB")
        low, high = self.ranges[sample]
        scaled = (np.asarray(file, np.float64) - low) * (255 / (high - low))
        limited = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)
        return Image.fromarray(limited.round().astype(np.uint8)).convert("RGB")


def main() -> None:
    """Classify the images that are named; exit code 3 where one cannot be read."""
    parser = argparse.ArgumentParser(description="Classify images with a network of ONNX.")
    beside = Path(__file__).with_name("network.onnx")
    parser.add_argument("--network", type=Path, default=beside, help="default: %(default)s")
    parser.add_argument("--top", type=int, default=1, help="labels for each image")
    parser.add_argument("images", nargs="+", type=Path)
    asked = parser.parse_args()
    network, code = Network(asked.network), 0
    for path in asked.images:
        try:
            ranked = network.predict(path)[: asked.top]
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            code = 3
        else:
            print(path, *(f"{label}\t{share:.6f}" for label, share in ranked), sep="\t", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
