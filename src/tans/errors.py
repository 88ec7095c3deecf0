"""Every failure a user can meet.

    TansError
    ├── InputError        what the user gave cannot be used
    │   ├── TaskError     a dataset cannot become a task
    │   └── LimitError    no network fits the limits
    ├── WeightsError      published weights are not installed, or are others than expected
    ├── ZooError          a zoo is missing, damaged, or of another schema
    ├── MissingExtraError an optional dependency is not installed
    └── MissingBenchError the distribution tans-bench is not installed

TansWarning stands apart: what tans goes on without.

A message says what came, what was expected, and what to do.
"""


class TansWarning(UserWarning):
    """What tans goes on without, and what that costs."""


class TansError(Exception):
    """Base of every error that tans raises on purpose."""


class InputError(TansError):
    """What the user gave cannot be used."""


class TaskError(InputError):
    """A dataset cannot become a task."""


class LimitError(InputError):
    """No network fits the limits."""


class WeightsError(TansError):
    """Published weights are not installed, or are others than expected."""


class ZooError(TansError):
    """A zoo is missing, damaged, or of another schema."""


class MissingExtraError(TansError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is needed here and is not installed; run: pip install 'tans[{extra}]'"
        )


class MissingBenchError(TansError):
    """The distribution tans-bench is not installed."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"{wanted} comes with tans-bench; run: pip install tans-bench")
