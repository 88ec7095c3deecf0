"""Memory that layers free is kept while they are at work, and not afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tans.networks import allocation
from tans.networks.allocation import memory_kept

FAULTS = """
import resource, torch
from tans.networks.allocation import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
with memory_kept():
    faults()
    with memory_kept():
        pass
    kept = faults()
print(given_back, kept, faults())
"""

needs_glibc = pytest.mark.skipif(
    allocation._glibc() is None, reason="the C library is none of glibc, or was set up by hand"
)


def faults(**variables: str) -> list[int]:
    """Pages that the system cleared for ten blocks: before, meanwhile, and afterwards."""
    command = [sys.executable, "-c", FAULTS]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return [int(word) for word in said.stdout.split()]


@needs_glibc
def test_blocks_are_cleared_once_meanwhile_and_each_time_before_and_afterwards() -> None:
    before, meanwhile, afterwards = faults()
    assert meanwhile < before / 4
    assert afterwards > before / 2


@needs_glibc
def test_what_a_user_set_up_stays() -> None:
    before, meanwhile, _ = faults(MALLOC_MMAP_THRESHOLD_="1000000")
    assert meanwhile > before / 2


def test_without_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "_glibc", lambda: None)
    with memory_kept():
        pass
