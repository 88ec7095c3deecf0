"""Export a fine-tuned network to what others open, and check that it computes the same.

    onnx          network.onnx, predict_onnx.py, with 8 bits also network.int8.onnx
    timm          timm/config.json, timm/model.safetensors, timm/README.md
    safetensors   network.safetensors

What is written replaces an earlier export of the same format, after it was checked.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from tans.errors import InputError
from tans.export.card import FILE as CARD
from tans.export.card import card_for_timm, licences_of, on_hub, squared, tans_version
from tans.export.check_images import CheckImages, read_check_images, reference_check_images
from tans.export.classifier import Classifier
from tans.export.finetuned import WEIGHTS, is_card, load_finetuned
from tans.export.onnx import onnx_file, quantised, require_onnx, run_onnx, run_torch
from tans.export.timm import run_timm, save_timm
from tans.files import alone, read_file, replacing, try_folder, write_file, write_files
from tans.licences import UNSTATED

FORMATS = ("onnx", "timm", "safetensors")
ONNX, SMALL, SCRIPT = "network.onnx", "network.int8.onnx", "predict_onnx.py"
TIMM, TENSORS = "timm", "network.safetensors"
OF_TIMM = {"config.json", WEIGHTS, CARD}
TOLERANCE = 1e-3
"""Difference of a probability from PyTorch, above which nothing is written."""
ALIKE = 0.9
"""Share of images that 8 bits have to give the same label, or it is told."""


@dataclass(frozen=True)
class Checked:
    """A file that was written, and how it does on images."""

    file: Path
    bytes: int
    difference: float
    """Largest of any probability from PyTorch's."""
    agreement: float
    """Share of images that get the same label as from PyTorch, in [0, 1]."""
    accuracy: float | None
    """In [0, 1]; None where the images have no labels."""


@dataclass(frozen=True)
class Export:
    """What came of an export."""

    format: str
    files: tuple[Path, ...]
    """All that were written, the network first."""
    network: Checked
    """In 32 bits."""
    images: str
    """What it was checked on."""
    int8: Checked | None = None
    """In 8 bits; None where that was not asked for."""
    warnings: tuple[str, ...] = ()
    """What is odd about the images or the folder, a sentence each."""


def export_network(
    folder: str | Path,
    format: str,
    *,
    images: Sequence[str | Path] = (),
    int8: bool = False,
) -> Export:
    """Write a fine-tuned network into its own folder in a form that needs nothing of tans.

    Args:
        folder: that ``save_finetuned`` wrote.
        format: one of ``FORMATS``.
        images: files and folders to check it on, or one dataset of its classes, which tells the
            accuracy too; the reference images of tans where there are none.
        int8: with ``onnx`` write it in 8 bits too, after a look at ``images``.

    Raises:
        InputError: there is no fine-tuned network, no such format, or no image that can be read;
            the folder cannot be written; the network cannot be had in this form; or it computes
            something else there, and then nothing is written.
        MissingExtraError: what writes the format is not installed.
    """
    folder = Path(folder).expanduser()
    _check(format, images, int8)
    classifier = load_finetuned(folder)
    with _written(folder):
        try_folder(folder)
    if images:
        check = read_check_images(classifier, images, calibrate=int8)
    else:
        check = reference_check_images(classifier)
    job = _Job(folder, classifier, check, run_torch(classifier, check.images))
    write: Mapping[str, Callable[[], Export]] = {
        "onnx": lambda: _export_onnx(job, int8),
        "timm": lambda: _export_timm(job),
        "safetensors": lambda: _export_tensors(job),
    }
    with _written(folder):
        export = write[format]()
    return replace(export, warnings=(*check.told, *export.warnings))


@dataclass(frozen=True, eq=False)
class _Job:
    """A network, where to, and what it is checked on."""

    folder: Path
    classifier: Classifier
    check: CheckImages
    expected: Tensor
    """Probabilities of these images by PyTorch, (n, classes)."""

    def checked(self, file: Path, size: int, found: Tensor) -> Checked:
        """What a file does that gives probabilities (n, classes) for the images."""
        labels, best = self.check.labels, found.argmax(1)
        return Checked(
            file,
            size,
            (found - self.expected).abs().max().item(),
            (best == self.expected.argmax(1)).float().mean().item(),
            None if labels is None else (best == labels).float().mean().item(),
        )

    def same(self, checked: Checked) -> Checked:
        """Refuse what computes something else.

        Raises:
            InputError: it does.
        """
        if not checked.difference <= TOLERANCE:  # nor is NaN
            raise InputError(
                f"{checked.file.name} would give probabilities that differ by up to "
                f"{checked.difference:.2g} from PyTorch's, over {self.check.words}; expected at "
                f"most {TOLERANCE:g}; nothing was written; export it in another format"
            )
        return checked


def describe_network(classifier: Classifier) -> dict[str, str]:
    """What a file says of the network in it, beside its tensors, all as text."""
    network, card = classifier.network, classifier.card
    spec, licences, images = network.input, licences_of(card), card.get("images") or {}
    told = {
        "labels": list(classifier.classes),
        "ranges": classifier.reading.to_json()["ranges"],
        "background": list(classifier.reading.ground),
        "mean": list(spec.mean),
        "std": list(spec.std),
        "stages": list(network.stage_names) if network.is_deep else [],
    }
    texts = {
        **{name: json.dumps(value, ensure_ascii=True) for name, value in told.items()},
        "temperature": repr(classifier.temperature),
        "input_size": str(spec.size),
        "preprocessing": f"{squared(spec, classifier.reading)}.",
        "family": network.ref.family,
        "architecture": network.ref.name,
        "licence": str(licences),
        "licence_of_images": str(images.get("licence", UNSTATED)),
        "task": str(card.get("task", "")),
        "weights": str((card.get("weights") or {}).get("sha256", "")),
        "tans": tans_version(),
    }
    # names of old files may hold what UTF-8 cannot
    return {k: text.encode("utf-8", "backslashreplace").decode() for k, text in texts.items()}


def _check(format: str, images: Sequence[str | Path], int8: bool) -> None:
    """Refuse what does not go together.

    Raises:
        InputError, MissingExtraError: it does not, or something is not installed.
    """
    if format not in FORMATS:
        raise InputError(f"format is {format!r}; expected one of {', '.join(FORMATS)}")
    if int8 and format != "onnx":
        raise InputError(f"8 bits were asked for with format {format!r}; expected onnx with them")
    if int8 and not images:
        raise InputError(
            "8 bits were asked for without images, from which the ranges of activations are "
            "taken; expected some of the network's kind: --images DIR"
        )
    if format == "onnx":
        require_onnx()


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Say what to do about a folder that cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error}; give a folder that can be written, on a disk "
            "with room, or copy this one there"
        ) from error


def _export_onnx(job: _Job, int8: bool) -> Export:
    metadata = describe_network(job.classifier)
    file = onnx_file(job.classifier, metadata)
    found = run_onnx(file, job.check.images)
    network = job.same(job.checked(job.folder / ONNX, len(file), found))
    script = files("tans.export").joinpath(SCRIPT).read_bytes()
    contents, small = {ONNX: file, SCRIPT: script}, None
    told = []
    if not int8 and (job.folder / SMALL).exists():
        told.append(f"{job.folder / SMALL} is of an earlier export, and stays")
    if int8:
        contents[SMALL] = quantised(job.classifier, metadata, job.check.calibrating)
        found = run_onnx(contents[SMALL], job.check.images)
        small = job.checked(job.folder / SMALL, len(contents[SMALL]), found)
        if small.agreement < ALIKE:
            told.append(
                f"{small.file} gives {1 - small.agreement:.0%} of images another label than the "
                "network of 32 bits; use that, or give more --images of its kind"
            )
    with alone(job.folder / ONNX):
        write_files(job.folder, contents)
    paths = tuple(job.folder / name for name in contents)
    return Export("onnx", paths, network, job.check.words, small, tuple(told))


def _export_timm(job: _Job) -> Export:
    place = job.folder / TIMM
    _refuse_foreign(place)
    licence = on_hub(licences_of(job.classifier.card).network)["license"]
    with replacing(place) as fresh:
        fresh.mkdir()
        save_timm(job.classifier, fresh, licence)
        # which safetensors writes for its owner alone
        write_file(fresh / WEIGHTS, (fresh / WEIGHTS).read_bytes())
        found = run_timm(fresh, job.check.images, job.classifier)
        size = (fresh / WEIGHTS).stat().st_size
        network = job.same(job.checked(place / WEIGHTS, size, found))
        if is_card(job.folder / CARD):
            text = read_file(job.folder / CARD).decode("utf-8", "replace")
            write_file(fresh / CARD, card_for_timm(text).encode())
        names = [WEIGHTS, *sorted(path.name for path in fresh.iterdir() if path.name != WEIGHTS)]
    return Export("timm", tuple(place / name for name in names), network, job.check.words)


def _refuse_foreign(place: Path) -> None:
    """Raises:
    InputError: a folder holds what no export wrote.
    """
    others = {path.name for path in place.iterdir()} - OF_TIMM if place.is_dir() else set()
    if others:
        raise InputError(
            f"{place} holds {', '.join(sorted(others)[:3])}, which is no export; expected it to be "
            "missing, or an earlier export; give it another name"
        )


def _export_tensors(job: _Job) -> Export:
    classifier = job.classifier
    state = {name: tensor.contiguous() for name, tensor in classifier.network.weights().items()}
    file = save(state, {"format": "pt", **describe_network(classifier)})
    again = copy.deepcopy(classifier.network)
    again.load_weights(load(file))
    found = run_torch(replace(classifier, network=again), job.check.images)
    network = job.same(job.checked(job.folder / TENSORS, len(file), found))
    write_file(job.folder / TENSORS, file)
    return Export("safetensors", (job.folder / TENSORS,), network, job.check.words)
