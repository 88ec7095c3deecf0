"""A fine-tuned network in a folder of its own.

    model.safetensors   weights, float32
    model.json          architecture, classes, how to prepare an image, where the weights came from
    README.md           the same and more for people: the network's card

The description comes last and names the weights by hash, so that a folder is whole or refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal
from warnings import warn

import torch
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from tans.errors import InputError, TansWarning
from tans.export.card import FILE as CARD
from tans.export.card import MARK, ModelCard, preprocessing, tans_version
from tans.export.classifier import Classifier, Prediction, find_files
from tans.files import (
    Fields,
    Manifest,
    alone,
    read_file,
    try_folder,
    write_file,
    write_files,
)
from tans.networks.families.elastic.specification import SPACES
from tans.networks.family import build
from tans.networks.network import Network
from tans.novelty import RATE, Novelty
from tans.tasks.check import summary
from tans.tasks.reading import Range, Reading
from tans.tasks.task import Task
from tans.temperature import HIGHEST, LOWEST
from tans.training import FineTuned
from tans.types import InputSpec, NetworkRef, Origin

WEIGHTS: Final = "model.safetensors"
DESCRIPTION = "model.json"
EXPORTED = ("network.onnx", "network.int8.onnx", "network.safetensors", "timm")
"""What ``tans.export.formats`` writes beside them."""
HEADER_BYTES = 2**24
"""Of a file of weights beside its tensors, at most."""


def _first_to_second(fields: Fields) -> Fields:
    """The first version took each type of samples over all that it can hold."""
    return {**fields, "reading": Reading.whole()}


def _second_to_third(fields: Fields) -> Fields:
    """The second knew networks by their space alone, and one scale of pixels."""
    space = fields["architecture"].partition(":")[0]
    family = "elastic" if space in SPACES else space
    spec = InputSpec(int(fields["resolution"]))
    network = NetworkRef(family, fields["architecture"], spec)
    return {"temperature": 1.0, **fields, "network": asdict(network)}


@dataclass(frozen=True)
class Weights:
    """Which weights a description is of."""

    file: Literal["model.safetensors"]
    sha256: str


def _whole(value: object, kind: type[Any]) -> object:
    """Fields of a dataclass as they came; one that lacks is damage, and has no default here."""
    if isinstance(value, Mapping):
        lacking = [each.name for each in fields(kind) if each.name not in value]
        if lacking:
            raise ValueError(f"{', '.join(lacking)} is missing")
    return value


def _whole_network(value: object) -> object:
    if isinstance(value, Mapping):
        _whole(value.get("input"), InputSpec)
    return value


def _distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(classes)) < len(classes) or not all(name.strip() for name in classes):
        raise ValueError("expected names, each of them once")
    return classes


class Description(Manifest):
    """What ``model.json`` says that is needed to use the network; it says more for who reads it."""

    model_config = ConfigDict(extra="allow")
    SCHEMA = 3
    MIGRATIONS: ClassVar = {1: _first_to_second, 2: _second_to_third}
    ERROR = InputError
    REMEDY = f"fine-tune again, or restore {DESCRIPTION} and {WEIGHTS} together"

    network: Annotated[NetworkRef, BeforeValidator(_whole_network)]
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_distinct)]
    reading: Annotated[Reading, BeforeValidator(lambda value: _whole(value, Reading))]
    temperature: Annotated[float, Field(ge=LOWEST, le=HIGHEST)]
    weights: Weights
    novelty: Novelty | None = None
    """What tells images that are none of the classes; None in older files."""
    deep_head: bool = False
    """Whether the head reads what all stages give, else the pooled features alone."""

    def build(self) -> Network:
        """The network that is described, with untrained weights.

        Raises:
            InputError: no family has it.
        """
        network = build(self.network, len(self.classes))
        if self.deep_head:
            network.replace_head(len(self.classes), deep=True)
        return network


def save_finetuned(folder: str | Path, tuned: FineTuned, task: Task) -> None:
    """Write a fine-tuned network and its card to a folder, in place of earlier ones there.

    A ``README.md`` there that tans did not write stays, and is told.

    Args:
        task: that it was tuned on, which says how to read images.

    Raises:
        InputError: the folder's ``model.json`` is something else's; or the folder cannot be
            written, and then the message says where the network is instead.
    """
    folder = Path(folder).expanduser()
    _refuse_foreign(folder)
    stored, weights = _stored(tuned, task)
    readme = _readme(folder, ModelCard.of(tuned, task))
    files = {WEIGHTS: weights, **readme, DESCRIPTION: stored.to_bytes()}  # that last
    try:
        _write(folder, files)
    except OSError as error:
        instead = _saved_elsewhere(files)
        if instead is None:
            remedy = "no other place can be either; make room, and fine-tune again"
        else:
            remedy = (
                f"it is in {instead} instead; copy it to a disk with room before that is cleared"
            )
        raise InputError(f"the network cannot be written to {folder}: {error}; {remedy}") from error
    _tell_older(folder)


def _readme(folder: Path, card: ModelCard) -> dict[str, bytes]:
    """The card for people, unless a file that others wrote has its place."""
    if (folder / CARD).exists() and not is_card(folder / CARD):
        warn(f"{folder / CARD} is not of tans, and stays; the network gets no card", TansWarning, 2)
        return {}
    return {CARD: card.markdown().encode("utf-8", "backslashreplace")}


def is_card(path: Path) -> bool:
    """Whether a file is a card that tans wrote."""
    try:
        return read_file(path).startswith(MARK.encode())
    except OSError:
        return False


def _tell_older(folder: Path) -> None:
    """Tell of exports that are of the network before."""
    if older := [name for name in EXPORTED if (folder / name).exists()]:
        warn(
            f"{', '.join(older)} in {folder} are of the network that was there before; run "
            "'tans export' again",
            TansWarning,
            3,
        )


def _stored(tuned: FineTuned, task: Task) -> tuple[Description, bytes]:
    """What a folder says of a fine-tuned network, and its weights there."""
    state = {name: _portable(tensor) for name, tensor in tuned.network.weights().items()}
    weights = to_bytes(state)
    named = Weights(WEIGHTS, hashlib.sha256(weights).hexdigest())
    described = {**_describe(tuned, task), **ModelCard.of(tuned, task).describe()}
    return Description(**described, weights=named), weights


def _saved_elsewhere(files: Mapping[str, bytes]) -> Path | None:
    """Where files could be written after all: for temporary ones, here, or at home."""
    for parent in (tempfile.gettempdir, Path.cwd, Path.home):
        with suppress(OSError, RuntimeError):
            folder = Path(tempfile.mkdtemp(prefix="tans-", dir=parent()))
            try:
                _write(folder, files)
                return folder
            except OSError:
                folder.rmdir()
    return None


def check_writable(folder: str | Path) -> None:
    """Try to write into the folder for a network before anyone waits, and leave it as it was.

    Raises:
        InputError: it cannot be written, or its ``model.json`` is something else's.
    """
    folder = Path(folder).expanduser()
    _refuse_foreign(folder)
    try:
        try_folder(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error}; give a folder that can be written, on a disk "
            "with room"
        ) from error


def load_finetuned(folder: str | Path) -> Classifier:
    """Inverse of ``save_finetuned``; the network is in evaluation mode on the CPU.

    Raises:
        InputError: there is no fine-tuned network, or it is damaged or of another schema.
    """
    folder = Path(folder).expanduser()
    stored = _read_description(folder)
    try:
        stored, network = _filled([stored, *_unfinished(folder)], folder / WEIGHTS)
    except (OSError, ValueError, RuntimeError, SafetensorError, InputError) as error:
        raise stored.damaged(f"the fine-tuned network in {folder}", error) from error
    return _classifier(stored, network)


def classifier_of(tuned: FineTuned, task: Task) -> Classifier:
    """What ``load_finetuned`` gives of a network once it is saved.

    Args:
        task: that it was tuned on, which says how to read images.
    """
    return _classifier(_stored(tuned, task)[0], tuned.network)


def _classifier(stored: Description, network: Network) -> Classifier:
    card = json.loads(stored.to_bytes())
    return Classifier(
        network.eval(),
        stored.classes,
        stored.reading,
        stored.temperature,
        card,
        stored.novelty or Novelty(),
    )


def origin_of(classifier: Classifier) -> Origin:
    """What a network that goes on from a fine-tuned one says of it.

    Raises:
        InputError: its description does not say where it comes from.
    """
    card = classifier.card
    try:
        source, splits = card["source"], card["data"]["splits"]
        return TypeAdapter(Origin).validate_python(
            {
                "weights": card["weights"]["sha256"],
                "task": card["task"],
                "classes": classifier.classes,
                "images": splits["train"],
                **source,
                "teachers": [(each["entry"], each["licence"]) for each in card["teachers"]],
                "before": card.get("from"),
            }
        )
    except (LookupError, TypeError, ValidationError) as error:
        raise InputError(
            "the description of the fine-tuned network does not say where it comes from "
            f"({error}); restore {DESCRIPTION} as 'tans finetune' wrote it"
        ) from error


def predict_files(
    folder: str | Path,
    paths: Sequence[str | Path],
    *,
    top: int = 1,
    ranges: Mapping[str, Range] | None = None,
    max_pixels: int | None = None,
    false_alarms: float | None = RATE,
) -> list[Prediction]:
    """Classify image files with a fine-tuned network; a folder stands for all images below it.

    A file that cannot be read gets a prediction without a label that says why.

    Args:
        folder: written by ``save_finetuned``.
        top: labels to rank for each image.
        ranges: of sample types, as ``Classifier.predict`` takes them.
        max_pixels: of a picture, at most; Pillow's limit of 89 million when None.
        false_alarms: as ``Classifier.predict`` takes it.

    Raises:
        InputError: there is no fine-tuned network in ``folder``, or it is damaged.
    """
    files, _ = find_files(paths)
    return load_finetuned(folder).predict(
        files, top=top, ranges=ranges, max_pixels=max_pixels, false_alarms=false_alarms
    )


def _describe(tuned: FineTuned, task: Task) -> dict[str, Any]:
    """All of the description that follows from the run itself."""
    history = [asdict(epoch) for epoch in tuned.history]
    return {
        "tans": tans_version(),
        "task": task.name,
        "network": tuned.network.ref,
        "deep_head": tuned.network.is_deep,
        "classes": list(task.classes),
        "preprocessing": preprocessing(tuned.input, task.found.reading),
        "reading": task.found.reading,
        "temperature": tuned.calibration.temperature,
        "novelty": tuned.novelty,
        "calibration": {k: _finite(v) for k, v in asdict(tuned.calibration).items()},
        "data": summary(task),
        "history": [{name: _finite(value) for name, value in row.items()} for row in history],
        "best_epoch": tuned.best_epoch,
        "test_accuracy": _finite(tuned.test_accuracy),
        "test_images": int(tuned.confusion.sum()),
        **tuned.scores.describe(),
        "confusion": tuned.confusion.tolist(),
        "seconds": tuned.seconds,
        **_came_from(tuned),
        "recipe": asdict(tuned.recipe),
    }


def _came_from(tuned: FineTuned) -> dict[str, Any]:
    """The stored networks that it owes its weights to, also by what it went on from."""
    origin, entry = tuned.origin, tuned.entry
    source = {"entry": entry and entry.id, "licence": entry and entry.licence}
    teachers = [(each.id, each.licence) for each in tuned.teachers]
    if origin is not None:
        source = {"entry": origin.entry, "licence": origin.licence}
        teachers = list(dict.fromkeys([*origin.teachers, *teachers]))
    return {
        "source": source,
        "teachers": [{"entry": id, "licence": licence} for id, licence in teachers],
        **({} if origin is None else {"from": asdict(origin)}),
    }


def _filled(told: Sequence[Description], path: Path) -> tuple[Description, Network]:
    """The network whose weights are in a file, and that of some descriptions which is its own.

    Raises:
        OSError, ValueError, RuntimeError, SafetensorError, InputError: it cannot be.
    """
    size = path.stat().st_size
    # no memory for a network that the file is far too small for; which tensor lacks is told below
    built = [(each, each.build()) for each in told if _least_bytes(each) <= size + HEADER_BYTES]
    if not built:
        raise ValueError(f"{WEIGHTS} has {size:,} bytes, far too few for {told[0].network}")
    # nor for a file that is much larger than that
    content = read_file(path, max(_bytes_of(network) for _, network in built) + HEADER_BYTES)
    digest = hashlib.sha256(content).hexdigest()
    found = next((each for each in built if each[0].weights.sha256 == digest), None)
    if found is None:
        raise ValueError(f"{WEIGHTS} does not have the hash that {DESCRIPTION} gives")
    stored, network = found
    weights, expected = from_bytes(content), network.weights()
    for name in expected.keys() | weights.keys():
        _check_tensor(name, weights.get(name), expected.get(name))
    network.load_weights(weights)
    return stored, network


def _least_bytes(stored: Description) -> int:
    """Bytes that weights take at least, before memory is taken for a network.

    Of the body under a plain head: what a deep one reads is seen in a pass, and on the meta device
    that imports a compiler, which takes seconds.
    """
    with torch.device("meta"):
        return _bytes_of(build(stored.network, len(stored.classes)))


def _bytes_of(network: Network) -> int:
    return sum(tensor.nbytes for tensor in network.weights().values())


def _check_tensor(name: str, given: Tensor | None, expected: Tensor | None) -> None:
    """Refuse a tensor that is not what a network of the description has under its name.

    Raises:
        ValueError: it lacks, is too much, of another shape or type, or not finite.
    """
    if given is None or expected is None:
        raise ValueError(f"{name} {'lacks' if given is None else 'is of another network'}")
    found, wanted = ((t.dtype, tuple(t.shape)) for t in (given, expected))
    if found != wanted:
        raise ValueError(f"{name} is {found[0]} {found[1]}; expected {wanted[0]} {wanted[1]}")
    if not given.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite")


def _portable(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.float() if tensor.is_floating_point() else tensor


def _finite(value: Any) -> Any:
    """JSON has no word for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_foreign(folder: Path) -> None:
    if (folder / DESCRIPTION).exists():
        try:
            _read_description(folder)
        except InputError as error:
            raise InputError(
                f"{folder / DESCRIPTION} is there and is not a network of this version of tans; "
                "give another folder"
            ) from error


def _read_description(folder: Path) -> Description:
    try:
        data = read_file(folder / DESCRIPTION)
    except OSError as error:
        raise InputError(
            f"no fine-tuned network can be read from {folder}: {error}; expected a folder that "
            f"'tans finetune' wrote, with {DESCRIPTION} and {WEIGHTS}"
        ) from error
    return Description.parse(data, f"the fine-tuned network in {folder}")


def complete(folder: Path) -> None:
    """Give a network its description that a process wrote, and died before it took its place.

    Raises:
        InputError: it cannot be written.
    """
    if not (folder / WEIGHTS).is_file():
        return
    try:
        with alone(folder / DESCRIPTION):
            if told := _unfinished(folder):
                found, _ = _filled(told, folder / WEIGHTS)
                write_file(folder / DESCRIPTION, found.to_bytes())
    except OSError as error:
        raise InputError(f"the network in {folder} cannot be completed: {error}") from error
    except (ValueError, RuntimeError, SafetensorError, InputError):
        return  # the weights are those of the description that is in its place


def _unfinished(folder: Path) -> list[Description]:
    """Descriptions that have not taken their place, which are whole."""
    found = []
    for path in folder.glob(f".{DESCRIPTION}.*.tmp"):
        with suppress(OSError, InputError):
            found.append(Description.parse(read_file(path), path))
    return found


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files, of which the description takes its place last and at once.

    Raises:
        OSError: the folder cannot be written.
    """
    with alone(folder / DESCRIPTION):
        write_files(folder, files)
