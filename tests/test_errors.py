from __future__ import annotations

import inspect
import re

import pytest

from tans import errors
from tans.errors import MissingBenchError, MissingExtraError, TansError, TansWarning

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_failure_is_one_of_tans_and_is_drawn_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, TansError | TansWarning)
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")


def test_what_is_not_installed_is_said_with_the_command_that_installs_it() -> None:
    assert "pip install 'tans[timm]'" in str(MissingExtraError("timm", "timm"))
    assert "pip install tans-bench" in str(MissingBenchError("the command 'tans bench'"))
