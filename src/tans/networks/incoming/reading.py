"""Which kind of source a name or path is of, and what reads it."""

from __future__ import annotations

from pathlib import Path

from tans.errors import InputError
from tans.networks.incoming import fetched, hub, onnx, published, timm, torchvision
from tans.networks.incoming.incoming import Incoming, Stated

HUB, TIMM, TORCHVISION = "hf-hub:", "timm:", "torchvision:"


def read_network(source: str, stated: Stated) -> Incoming:
    """A network of others.

    Args:
        source: ``timm:NAME``, ``torchvision:NAME``, ``hf-hub:OWNER/NAME``, a folder as the hub lays
            it out, a file of ONNX, or a bare name: of a network that a package carries, or timm's.

    Raises:
        InputError: there is no such source, it cannot be read, or something is not known of it.
        WeightsError: a package is not installed or damaged.
        MissingExtraError: a library is not installed that it takes.
    """
    path = Path(source).expanduser()
    if stated.weights is not None and (path.exists() or source.startswith(HUB)):
        raise InputError(
            f"--weights came with {source}, which has its own; expected the name of a network, "
            "such as timm:resnet18"
        )
    if stated.output is not None and path.suffix.lower() != onnx.SUFFIX:
        raise InputError(f"--output came with {source}; it names a tensor of an ONNX file")
    if source.startswith(HUB):
        return hub.from_hub(source.removeprefix(HUB), stated)
    if source.startswith(TIMM):
        return _of_timm(source.removeprefix(TIMM), stated)
    if source.startswith(TORCHVISION):
        return torchvision.by_name(source.removeprefix(TORCHVISION), stated)
    if path.is_dir():
        return hub.from_folder(path, stated)
    if path.suffix.lower() == onnx.SUFFIX:
        return onnx.from_file(path, stated)
    if published.knows(source) and stated.weights is None:
        return published.by_name(source, stated)
    if timm.knows(source):
        return timm.by_name(source, stated)
    raise InputError(
        f"no network {source!r} is known; expected timm:NAME, torchvision:NAME, "
        "hf-hub:OWNER/NAME, a folder or an .onnx file; a file of weights goes with --weights "
        "beside the name of its architecture"
    )


def _of_timm(name: str, stated: Stated) -> Incoming:
    """A network of timm, out of the cache where a search of the catalogue fetched it."""
    found = None if stated.weights is not None else fetched.kept(name)
    return timm.by_name(name, stated) if found is None else fetched.incoming_of(found, None, stated)
