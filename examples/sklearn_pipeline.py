"""tans as an estimator: in a pipeline of scikit-learn, compared by cross-validation.

    python examples/sklearn_pipeline.py FOLDER

The folder holds a folder of images for each class; some of the Greek letters beside this script
stand for it where none is given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import tans

GREEK = Path(__file__).parent / "greek" / "train"


def main() -> None:
    parser = argparse.ArgumentParser(description="tans in a pipeline of scikit-learn.")
    parser.add_argument("folder", nargs="?", type=Path, help="images by class")
    parser.add_argument("--epochs", type=int, default=3, help="of each fine-tune")
    asked = parser.parse_args()

    folders = sorted(asked.folder.iterdir()) if asked.folder else sorted(GREEK.iterdir())[:4]
    files = [(file, folder.name) for folder in folders for file in sorted(folder.iterdir())]
    images = np.array([np.asarray(Image.open(f).convert("L").resize((64, 64))) for f, _ in files])
    labels = np.array([label for _, label in files])

    pipeline = Pipeline(
        [
            ("contrast", FunctionTransformer(with_full_contrast)),
            ("tans", tans.TansClassifier(epochs=asked.epochs)),
        ]
    )
    search = GridSearchCV(pipeline, {"tans__max_params": [1.5e6, 3e6]}, cv=2)
    search.fit(images, labels)
    for limit, score in zip(
        search.cv_results_["param_tans__max_params"],
        search.cv_results_["mean_test_score"],
        strict=True,
    ):
        print(f"at most {limit / 1e6:.1f} M parameters: {score:.1%}")
    print(search.predict(images[:3]), labels[:3])


def with_full_contrast(images: np.ndarray) -> np.ndarray:
    """Grey images (n, h, w) over the whole range from 0 to 255."""
    stretched = [np.asarray(ImageOps.autocontrast(Image.fromarray(image))) for image in images]
    return np.array(stretched)


if __name__ == "__main__":
    main()
