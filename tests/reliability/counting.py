"""Counts faults: how many were tried, and how many came out clean.

A test of ``tests/reliability`` takes ``trials`` and tries each fault in a block of its own, so that
one that is not clean does not hide the others. The first line of its docstring is its row in
``docs/reliability.md``, which ``make reliability`` writes from what the tests counted.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
INTRODUCTION = """# What goes wrong, and what comes of it

Each row is a test of `tests/reliability`, and a kind of fault: how often it was tried, and how
often the outcome was clean: one clear error or none, no traceback, nothing lost, nothing half
written, and nothing wrong in silence. `make reliability` tries them all and writes this page.
"""


@dataclass
class Trials:
    """Faults that one test tried."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def trial(self, fault: object) -> Iterator[None]:
        """Try one fault; the block fails when its outcome is not clean."""
        self.tried += 1
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            self.failures.append(f"{fault}: {type(error).__name__}: {error}")


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Iterator[Trials]:
    """Counts the faults that a test tries; it fails if one is not clean, or none was tried."""
    counted = Trials()
    yield counted
    clean = counted.tried - len(counted.failures)
    request.node.user_properties.append(("trials", [counted.tried, clean]))
    if counted.failures:
        pytest.fail("\n".join(counted.failures), pytrace=False)
    assert counted.tried, "no fault was tried"


@dataclass(frozen=True)
class Row:
    """A kind of fault, as the page tells it."""

    test: str
    """File below ``tests/reliability``, and function."""
    fault: str
    tried: int
    clean: int


def render(rows: list[Row]) -> str:
    """The page, a table for each file of tests."""
    lines = [INTRODUCTION]
    for file in dict.fromkeys(row.test.partition("::")[0] for row in rows):
        title = (inspect.getdoc(_module(file)) or "").splitlines()[0].rstrip(".")
        lines += [f"## {title}", "", "| fault | tried | clean | test |", "|---|--:|--:|---|"]
        lines += [
            f"| {row.fault} | {row.tried} | {row.clean} | `{row.test}` |"
            for row in rows
            if row.test.startswith(f"{file}::")
        ]
        lines.append("")
    return "\n".join(lines)


def stored_rows() -> list[Row]:
    """What was counted when the page was written."""
    return [Row(**fields) for fields in json.loads(COUNTS.read_text())] if COUNTS.exists() else []


def _module(file: str) -> ModuleType | None:
    name = f"tests.reliability.{file.removesuffix('.py')}"
    return import_module(name) if (ROOT / "tests/reliability" / file).exists() else None


def _function(test: str) -> object | None:
    file, _, function = test.partition("::")
    return getattr(_module(file), function, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reliability", action="store_true", help=f"write {PAGE.name} from what is counted"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--reliability") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer())


class _Writer:
    """Gathers the counts of all workers, and writes them and the page."""

    def __init__(self) -> None:
        self.rows = {row.test: row for row in stored_rows() if _function(row.test)}
        self.counted = set[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        counted = dict(report.user_properties).get("trials")
        if report.when == "teardown" and isinstance(counted, list):
            path, _, function = report.nodeid.partition("::")
            test = f"{Path(path).name}::{function.partition('[')[0]}"
            said = inspect.getdoc(_function(test)) or test
            before = self.rows[test] if test in self.counted else Row(test, "", 0, 0)
            tried, clean = before.tried + counted[0], before.clean + counted[1]
            self.rows[test] = Row(test, said.splitlines()[0].rstrip("."), tried, clean)
            self.counted.add(test)

    def pytest_sessionfinish(self) -> None:
        rows = [self.rows[test] for test in sorted(self.rows)]
        COUNTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        PAGE.write_text(render(rows))
