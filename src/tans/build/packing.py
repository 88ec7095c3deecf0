"""Images of tasks on their way to workers that see no folder of this machine."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from tans.zoo.blobs import Blobs, damaged
from tans.zoo.stored import build_key

Tensors = Mapping[str, Tensor]


def pack(blobs: Blobs, tensors: Tensors) -> str:
    """Store tensors where a build keeps what the zoo does not; their key.

    Raises:
        ZooError: the store cannot be reached or written.
    """
    data = safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()})
    key = build_key(data)
    if not blobs.exists(key):
        blobs.put(key, data)
    return key


def unpack(blobs: Blobs, key: str) -> Tensors:
    """Inverse of ``pack``.

    Raises:
        ZooError: what is stored is missing or damaged, or the store cannot be reached.
    """
    try:
        return safetensors.torch.load(blobs.get(key))
    except SafetensorError as error:
        raise damaged(f"{blobs}/{key}", error) from error
