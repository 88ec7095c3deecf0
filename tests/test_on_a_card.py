"""Every path computes on a card: tests that need a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_zoo import SHARED


@pytest.mark.long
def test_every_path_computes_on_a_card(session_folder: Path) -> None:
    file = Path(__file__).with_name("on_a_card.py")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:xdist"]
    ran = subprocess.run(
        [*command, str(file)],
        capture_output=True,
        text=True,
        timeout=590,
        env={**os.environ, SHARED: str(session_folder)},
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert " passed" in ran.stdout
