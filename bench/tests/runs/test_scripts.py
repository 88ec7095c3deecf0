"""What scripts print, and how they fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tans_bench.errors import ResultError
from tans_bench.runs.scripts import printed


def test_what_a_script_prints_is_read(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ['HUE']]))")
    assert printed(script, 1, "two", environment={**os.environ, "HUE": "red"}) == [
        ["1", "two"],
        "red",
    ]


def test_a_script_that_fails_or_takes_long_says_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('no such hue')")
    with pytest.raises(ResultError, match="no such hue"):
        printed(script, environment=os.environ)
    script.write_text("while True: pass")
    with pytest.raises(ResultError, match="longer than"):
        printed(script, environment=os.environ, longest_s=0.1)
