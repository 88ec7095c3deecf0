"""Files of weights: safetensors, or torch's own without code."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tans.errors import InputError
from tans.files import check_file
from tans.networks.network import Weights

INSIDE = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "weights")
"""Names under which training scripts put weights, beside what else they keep."""
WRAPPED = ("module.", "_orig_mod.")
"""Begins the names of tensors of a network that was wrapped while it trained."""
SAFE = ".safetensors"


def read_weights(path: Path) -> tuple[Weights, dict[str, str]]:
    """Tensors by name, and what the file says of them beside.

    Raises:
        InputError: there is no such file, it holds no weights, or it would have to be unpickled.
    """
    try:
        check_file(path)
        if path.suffix == SAFE:
            return _read_safe(path)
        return _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path), {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"no weights can be read from {path}: {error}; give another") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, or is no file of weights, and what is pickled is "
            "never run; save its state_dict alone, best with safetensors"
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path} is no file of weights ({' '.join(str(error).split())[:200]}); expected "
            "safetensors, or what torch.save writes of a state_dict"
        ) from error


def _read_safe(path: Path) -> tuple[Weights, dict[str, str]]:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        return _plain(tensors, path), dict(file.metadata() or {})


def _unwrapped(content: Any, path: Path) -> Weights:
    """Weights in what a file holds, which may stand beside other things."""
    for name in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            return _unwrapped(content[name], path)
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path} holds a {type(content).__name__}; expected tensors by name, a state_dict"
        )
    return _plain({str(k): v for k, v in content.items() if isinstance(v, Tensor)}, path)


def _plain(tensors: Mapping[str, Tensor], path: Path) -> Weights:
    if not tensors:
        raise InputError(f"{path} holds no tensors; expected those of a network, by name")
    for start in WRAPPED:
        if all(name.startswith(start) for name in tensors):
            tensors = {name.removeprefix(start): tensor for name, tensor in tensors.items()}
    return {name: tensor.detach() for name, tensor in tensors.items()}


def read_json(path: Path) -> dict[str, Any]:
    """What a file of JSON says, by name; nothing where there is none.

    Raises:
        InputError: it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); get it again") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} names nothing; expected JSON with names")
    return found
