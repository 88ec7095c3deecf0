"""Judge a meta-training: does it find a known task's networks?"""

from __future__ import annotations

import torch

from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.metrics import Retrieval, retrieval
from tans.meta.retriever import Retriever
from tans.zoo.columns import ids_digest


def evaluate_retrieval(retriever: Retriever, data: MetaData) -> Retrieval:
    """Rank the networks of ``data`` for the held-out images of each of its tasks.

    Raises:
        InputError: the networks are not those of the retriever, or no image is held out.
    """
    if retriever.networks != ids_digest(data.entries):
        raise InputError(
            f"the retriever embeds {len(retriever.matrix)} networks that are not the "
            f"{len(data.entries)} of this data; train it on them first"
        )
    own = data.judged  # (h,)
    if not len(own):
        raise InputError("no image is held out; read the zoo with held_out above 0")
    held = [(data.image_tasks == task) & data.held_out for task in own.tolist()]
    queries = torch.stack(
        [retriever.encode_query(data.features[rows], data.labels[rows]) for rows in held]
    )
    return retrieval(queries @ retriever.matrix.T, data.entry_tasks, own)
