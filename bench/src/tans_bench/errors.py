"""What only a bench can fail at, below the errors of tans.

TansError
├── SourceError       a packaged source cannot be fetched or read
└── ResultError       results of experiments cannot be read or written
"""

from __future__ import annotations

from tans.errors import TansError


class SourceError(TansError):
    """A packaged source cannot be fetched or read."""


class ResultError(TansError):
    """Results of experiments cannot be read or written."""
