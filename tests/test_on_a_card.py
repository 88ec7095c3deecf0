"""Every path computes on a card: tests that need a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_every_path_computes_on_a_card() -> None:
    file = Path(__file__).with_name("on_a_card.py")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:xdist"]
    ran = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=590)
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert " passed" in ran.stdout
