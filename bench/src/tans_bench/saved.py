"""Files that ``torch.save`` wrote, read without running anything that they hold.

Containers, text, numbers and tensors are read, and numpy's arrays and numbers, as published files
hold these too. A whole network that was pickled names the classes of its modules; these are not
imported: in the place of each stands an object that does nothing but hold what was stored of it.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from tans.errors import InputError
from tans.files import check_file
from tans.networks.incoming.files import INSIDE, WRAPPED
from tans.networks.network import Weights

PLAIN = ("f8", "f4", "f2", "i8", "i4", "i2", "u1", "?")
"""Numpy's types of numbers that are read."""
MAKERS = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
"""Functions that numpy's files name to make an array or a number."""
ARRAYS: tuple[Any, ...] = (
    np.ndarray,
    np.dtype,
    *(type(np.dtype(name)) for name in PLAIN),
    *(
        (maker, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for name, maker in MAKERS.items()
    ),
)
"""What numpy's arrays and numbers are made by, by its names before and since its version 2."""


def read_saved(path: Path) -> Any:
    """What a file of ``torch.save`` holds: containers, text, numbers, tensors, numpy's arrays.

    Raises:
        InputError: there is no such file, it is no such file or cut short, or it holds more.
    """
    return _loaded(path, ARRAYS)


def read_state(path: Path) -> Weights:
    """Tensors by name, of a state dict or of a whole network that was pickled.

    Raises:
        InputError: there is no such file, it is cut short, or it holds no network.
    """
    inert = [(_Inert, name) for name in _named_in(path)]
    found = _loaded(path, (*ARRAYS, *inert))
    for name in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping | _Inert):
            found = found[name]
    if isinstance(found, _Inert):
        named = dict(_tensors(found))
    elif isinstance(found, Mapping):
        named = {str(name): value for name, value in found.items()}
    else:
        raise InputError(f"{path} holds a {type(found).__name__}; expected a network or its state")
    state = {name: value.detach() for name, value in named.items() if isinstance(value, Tensor)}
    if not state:
        raise InputError(f"{path} holds no tensors by name; expected a network or its state")
    for start in WRAPPED:
        if all(name.startswith(start) for name in state):
            state = {name.removeprefix(start): tensor for name, tensor in state.items()}
    return state


class _Inert:
    """Stands for an object of any class, and holds what was stored of it."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _named_in(path: Path) -> list[str]:
    """Names of what a file asks for and torch does not know as harmless; none of other files."""
    try:
        check_file(path)
        return get_unsafe_globals_in_checkpoint(path)
    except Exception:  # whoever reads it is told
        return []


def _loaded(path: Path, allowed: tuple[Any, ...]) -> Any:
    try:
        check_file(path)
        with safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}; give another file") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is damaged, or holds more than containers, numbers and tensors, and what is "
            "pickled is never run; get it again from where it is published"
        ) from error
    except Exception as error:  # other bytes fail in any way
        raise InputError(
            f"{path} is damaged, or no file that torch.save wrote; get it again from where it is "
            "published"
        ) from error


def _tensors(network: _Inert) -> Iterator[tuple[str, object]]:
    """Parameters and buffers by name, as PyTorch names them; of a module that is shared, once."""
    seen: set[int] = set()
    waiting = [("", network)]
    while waiting:
        before, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        for kind in ("_parameters", "_buffers"):
            yield from ((f"{before}{name}", value) for name, value in _parts(module, kind))
        for name, part in _parts(module, "_modules"):
            if isinstance(part, _Inert):
                waiting.append((f"{before}{name}.", part))


def _parts(module: _Inert, kind: str) -> list[tuple[Any, Any]]:
    found = vars(module).get(kind)
    return list(found.items()) if isinstance(found, Mapping) else []
