"""The public surface stays exact, and importing it stays cheap."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tans

PUBLIC = {
    "Added",
    "Architecture",
    "Classifier",
    "Constraints",
    "Export",
    "FineTuned",
    "FinetuneResult",
    "Findings",
    "Look",
    "Match",
    "ModelCard",
    "Overrides",
    "Prediction",
    "Query",
    "Recipe",
    "Run",
    "SearchResult",
    "Selection",
    "Stated",
    "TansClassifier",
    "TansError",
    "Task",
    "TaskCard",
    "Zoo",
    "ZooEntry",
    "__version__",
    "add_network",
    "build_zoo",
    "embed",
    "export_network",
    "finetune",
    "finetune_best",
    "finetune_entry",
    "finetune_from",
    "load_finetuned",
    "meta_train",
    "predict_files",
    "save_finetuned",
    "search",
    "verify_zoo",
    "write_check",
    "write_report",
}
HEAVY = ("torch", "numpy", "lancedb", "pyarrow", "matplotlib", "sklearn", "PIL", "rich", "typer")


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after some code."""
    script = f"{code}\nimport sys\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_public_names_are_these() -> None:
    assert set(tans.__all__) == PUBLIC
    assert set(dir(tans)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(tans, name)
    assert name == "__version__" or value.__name__ == name


def test_type_checkers_see_what_users_get() -> None:
    tree = ast.parse(Path(tans.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(typed) == PUBLIC - {"__version__"}
    for name, home in typed.items():
        assert getattr(importlib.import_module(str(home)), name) is getattr(tans, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        tans.serach  # noqa: B018


@pytest.mark.long
def test_search_stays_a_function_beside_the_module_of_that_name() -> None:
    assert "torch" in loaded_after("import tans.search, tans\nassert callable(tans.search)")


def test_import_brings_in_nothing_heavy() -> None:
    assert not loaded_after("import tans").intersection(HEAVY)


def test_version_is_the_one_in_the_changelog() -> None:
    root = Path(__file__).parents[1]
    released = [
        line.split("[")[1].split("]")[0]
        for line in (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("## [") and "Unreleased" not in line
    ]
    assert released[0] == tans.__version__
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dynamic"] == ["version"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, tans.SPINS),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "none"),
    ],
)
def test_threads_that_wait_soon_sleep_unless_their_user_says_otherwise(
    said: dict[str, str], expected: str
) -> None:
    given = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", "import os, tans; print(os.environ.get('GOMP_SPINCOUNT', 'none'))"],
        env=given | said,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [expected]
