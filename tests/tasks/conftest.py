"""What tests of images share."""

from __future__ import annotations

from collections import Counter

import pytest

from tans.tasks import images
from tans.tasks.decoding import decode


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded."""
    counts: Counter[str] = Counter()

    def counting(path, *arguments):
        counts[path.name] += 1
        return decode(path, *arguments)

    monkeypatch.setattr(images, "decode", counting)
    return counts
