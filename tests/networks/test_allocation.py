"""Memory that layers free is kept while they are at work, and not afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tans.networks import allocation
from tans.networks.allocation import memory_kept

PROGRAM = """
import resource, torch
from tans.networks.allocation import memory_kept

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before, least = faults(), held()
with memory_kept():
    faults()
    with memory_kept():
        pass
    meanwhile, kept = faults(), held() - least
left = held() - least
torch.ones(2**26)  # 256 MiB
print(before, meanwhile, kept, left, held() - least)
"""

needs_glibc = pytest.mark.skipif(
    allocation._glibc() is None, reason="the C library is none of glibc, or was set up by hand"
)


def ran(**variables: str) -> list[float]:
    """Pages that the system cleared for ten blocks, before and meanwhile, and MiB that the process
    held more than before: meanwhile, afterwards, and after one more block."""
    command = [sys.executable, "-c", PROGRAM]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return [float(word) for word in said.stdout.split()]


@pytest.mark.long
@needs_glibc
def test_blocks_are_cleared_once_meanwhile_and_given_back_afterwards() -> None:
    before, meanwhile, kept, *afterwards = ran()
    assert meanwhile < before / 4
    assert kept > 60
    assert max(afterwards) < 30


@pytest.mark.long
@needs_glibc
def test_what_a_user_set_up_stays() -> None:
    before, meanwhile, kept, *_ = ran(MALLOC_MMAP_THRESHOLD_="1000000")
    assert meanwhile > before / 2
    assert kept < 30


def test_without_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "_glibc", lambda: None)
    with memory_kept():
        pass
