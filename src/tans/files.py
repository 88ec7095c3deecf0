"""Where tans keeps what it can make again."""

import os
from pathlib import Path

import platformdirs


def cache_dir(*parts: str) -> Path:
    """A folder below the user's cache (or below ``$TANS_CACHE``), created when missing."""
    root = os.environ.get("TANS_CACHE") or platformdirs.user_cache_dir("tans")
    folder = Path(root, *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
