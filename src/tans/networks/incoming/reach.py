"""Whether the Hugging Face Hub answers, which is asked once before anything is fetched.

Its own library tries each file again and again before it gives up, and tells of each try.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tans.errors import MissingExtraError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights that a repository may have, the first that is there counts."""
TIMEOUT_S = 30.0
"""That the hub is waited for, for one file."""
BUSY = 500
"""Answers from this code on say that the hub cannot answer now."""


def hub_library() -> Any:
    """Not imported before it is needed.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "timm") from error
    return huggingface_hub


def unreached(repository: str, file: str, revision: str | None = None) -> Exception | None:
    """Why a file of a repository cannot be asked for; None where the hub answers for itself.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    hub, endpoint = hub_library(), os.environ.get("HF_ENDPOINT")
    try:
        url = hub.hf_hub_url(repository, file, revision=revision, endpoint=endpoint)
        hub.get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint)
    except hub.errors.HfHubHTTPError as error:
        return error if error.response.status_code >= BUSY else None
    except Exception as error:  # of several libraries for HTTP, by the version of the hub's own
        return error
    return None


def kept(repository: str, file: str, revision: str | None = None) -> Path | None:
    """Place of a file in the hub's own cache; None where it is not there.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    found = hub_library().try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) else None
