"""Every failure a user can meet.

    TansError
    ├── InputError        what the user gave cannot be used
    │   ├── TaskError     a dataset cannot become a task
    │   ├── LimitError    no network fits the limits
    │   ├── FetchError    a network cannot be fetched, or came damaged
    │   │   └── HubError  the hub of networks is out of reach
    │   └── FitError      what an estimator was given cannot be used; a ValueError too
    ├── WeightsError      published weights are not installed, or are others than expected
    ├── ZooError          a zoo is missing, damaged, or of another schema
    ├── ServiceError      a service refuses what it was asked, or cannot be reached
    ├── MissingExtraError an optional dependency is not installed
    └── MissingBenchError the distribution tans-bench is not installed

TansWarning stands apart: what tans goes on without.

A message says what came, what was expected, and what to do. Names in it, and wherever else they are
shown to people, pass through ``visible``.
"""

import re
import unicodedata

_JOINED = "[\u0600-\u1fff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]"
_JOINER = re.compile(f"(?<={_JOINED})([\u200c\u200d])(?={_JOINED})")
"""Joins or parts letters, as Persian, Hindi and others are written, or makes one of two emoji."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs that show nothing."""


def visible(text: str) -> str:
    """Text on one line in which nothing is hidden and nothing is obeyed.

    What a terminal would act on, what turns the direction of writing, and what is not seen becomes
    an escape such as ``\\x1b``, ``\\n`` or ``\\u202e``. Letters of all scripts stay.
    """
    if text.isascii() and text.isprintable():
        return text
    parts = _JOINER.split(text)
    parts[::2] = ("".join(map(_shown, part)) for part in parts[::2])
    return "".join(parts)


def in_markdown(name: str) -> str:
    """A name in a line of Markdown, such as a cell of a table, where it means only itself."""
    return re.sub(r"[\\`*\[\]<>|&$]", r"\\\g<0>", visible(name))


def _shown(letter: str) -> str:
    seen = letter.isprintable() or unicodedata.category(letter) == "Zs"
    return letter if seen and letter not in _BLANK else letter.encode("unicode_escape").decode()


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


class FetchError(InputError):
    """A network cannot be fetched, or came damaged."""


class HubError(FetchError):
    """The hub of networks is out of reach, for any network."""


class FitError(InputError, ValueError):
    """What an estimator was given cannot be used; scikit-learn expects a ``ValueError`` then."""


class WeightsError(TansError):
    """Published weights are not installed, or are others than expected."""


class ZooError(TansError):
    """A zoo is missing, damaged, or of another schema."""


class ServiceError(TansError):
    """A service refuses what it was asked, or cannot be reached."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """As HTTP numbers answers: from 400 on."""


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
