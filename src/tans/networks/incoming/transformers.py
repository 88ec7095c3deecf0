"""Image classifiers in the layout that transformers gives a repository of the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tans.errors import InputError
from tans.networks.families.headless import as_body
from tans.networks.families.transformers import (
    FAILURES,
    TRANSFORMERS,
    config_of,
    name_of,
    shape_of,
    transformers_library,
)
from tans.networks.incoming.files import read_json
from tans.networks.incoming.incoming import (
    BYTE,
    SQUARE,
    Found,
    Incoming,
    Stated,
    in_bytes,
    names_of_head,
    settle,
    trained_on,
)
from tans.networks.network import Weights
from tans.types import NetworkRef


def from_folder(
    where: str, folder: Path, config: Mapping[str, Any], licence: str | None, stated: Stated
) -> Incoming:
    """A network with its weights, of which no code is run.

    Args:
        where: it came from, as messages say it.
        config: what its ``config.json`` says.
        licence: that its ``README.md`` says.

    Raises:
        InputError: transformers has no such network, the weights are of another, or something is
            not known of it.
    """
    name = name_of(_config(where, config))
    found = _found(where, config, read_json(folder / "preprocessor_config.json"), licence)
    settled = settle(found, stated)
    ref = NetworkRef("transformers", name, settled.input)
    TRANSFORMERS.describe(ref)
    head = shape_of(name, ref.input.size).head
    state, fresh = _loaded(where, folder, name, _outputs(config))
    if lacking := [key for key in fresh if not key.startswith(f"{head}.")]:
        raise InputError(
            f"the weights in {where} are not those of its config.json: {lacking[0]} lacks; get "
            "both again from one place"
        )
    weights = as_body({k: t for k, t in state.items() if k not in fresh}, head)
    return Incoming(ref, weights, settled, names_of_head(weights, found.classes), f"from {where}")


def _config(where: str, config: Mapping[str, Any]) -> Any:
    """The configuration of a type that transformers knows, whatever else the file says.

    Raises:
        InputError: there is no such type, or it cannot be read.
    """
    given = {k: v for k, v in config.items() if k not in ("model_type", "auto_map")}
    try:
        return transformers_library().AutoConfig.for_model(str(config["model_type"]), **given)
    except FAILURES as error:
        own = " runs code of its own, which is refused, and" if "auto_map" in config else ""
        raise InputError(
            f"{where}{own} is of no type that transformers knows ({config['model_type']}): "
            f"{error}; export it to ONNX, and add that"
        ) from error


def _loaded(where: str, folder: Path, name: str, classes: int) -> tuple[Weights, set[str]]:
    """Tensors of the whole network, and names of those that no file gave.

    Raises:
        InputError: the files are of another network, or cannot be read.
    """
    transformers = transformers_library()
    transformers.utils.logging.disable_progress_bar()
    try:
        network, said = transformers.AutoModelForImageClassification.from_pretrained(
            folder,
            config=config_of(name, classes),
            trust_remote_code=False,
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
            attn_implementation="eager",
            dtype="auto",
        )
    except (*FAILURES, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"the weights in {where} cannot be taken ({reason}); expected those of its config.json"
        ) from error
    return network.state_dict(), set(said["missing_keys"])


def _outputs(config: Mapping[str, Any]) -> int:
    """Of the head that is stored with it."""
    named = config.get("id2label")
    return len(named) if isinstance(named, dict) and named else int(config.get("num_labels") or 2)


def _found(
    where: str, config: Mapping[str, Any], made: Mapping[str, Any], licence: str | None
) -> Found:
    """What ``config.json`` and ``preprocessor_config.json`` say."""
    scale = float(made.get("rescale_factor", 1 / BYTE)) if made.get("do_rescale", True) else 1.0
    mean, std = made.get("image_mean"), made.get("image_std")
    if made and not made.get("do_normalize", True):
        mean, std = 0.0, 1.0
    named = config.get("id2label")
    labels = tuple(map(str, named.values())) if isinstance(named, dict) else None
    notes = (f"{where} says resize and crop {_cut(made)}; {SQUARE}",) if made else ()
    return Found(
        where,
        f"{where}/preprocessor_config.json" if made else f"{where}, without a preprocessor_config",
        f"{where}/README.md",
        _size(made, config),
        None if mean is None else in_bytes(mean, scale),
        None if std is None else in_bytes(std, scale),
        licence,
        tuple(trained_on(where.replace("-", "_"))),
        labels,
        notes,
    )


def _size(made: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    """Pixels a side: of what images are cut to, else resized to, else of the configuration."""
    for given in (made.get("crop_size") if made.get("do_center_crop") else None, made.get("size")):
        if isinstance(given, dict):
            given = given.get("height") or given.get("shortest_edge")
        if isinstance(given, int):
            return given
    size = config.get("image_size")
    return size if isinstance(size, int) else None


def _cut(made: Mapping[str, Any]) -> str:
    return f"{made.get('size')} and {made.get('crop_size') if made.get('do_center_crop') else 'no'}"
