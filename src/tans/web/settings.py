"""What a service takes and allows."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields
from pathlib import Path

from tans.errors import InputError

LEAST_TOKEN = 16
"""Letters of a token, at least."""


@dataclass(frozen=True)
class Limits:
    """How much a service does for others; all positive."""

    upload_bytes: int = 2**29
    """Of a zip or an image as it comes."""
    files: int = 10_000
    """In a zip."""
    unpacked_bytes: int = 2**30
    """Of all files of a zip, counted as they are unpacked."""
    pixels: int = 40_000_000
    """Of a picture."""
    input_size: int = 384
    """Pixels a side that a network may be asked to take."""
    body_bytes: int = 2**22
    """Of a request that is no upload."""
    request_s: float = 120
    """Seconds to send an upload, and for the work on a request: to unpack and read images, to
    search by an embedding, to classify an image."""
    search_s: float = 600
    """Seconds for a search with a second look at images."""
    job_s: float = 2 * 3600
    """Seconds of a fine-tune."""
    searches: int = 1
    """Searches by an embedding at once; others wait. Most of one is Python, which one thread runs
    at a time: several at once take longer than one after another."""
    works: int = 2
    """Processes at once that read images for requests; others wait."""
    waiting: int = 64
    """Requests that wait for either; more are sent away."""
    datasets: int = 32
    """Held at once."""
    running: int = 1
    """Fine-tunes at once."""
    queued: int = 8
    """Fine-tunes that wait."""
    each: int = 2
    """Fine-tunes of one dataset that wait or run."""
    epochs: int = 200
    """Of a fine-tune."""
    memory_bytes: int = 2**33
    """Of a process that reads images or fine-tunes."""
    keep_s: float = 24 * 3600
    """Seconds that a dataset is held after it was last used, and a job after it ended."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise InputError(
                    f"{each.name} is {getattr(self, each.name)}; expected a positive number"
                )


@dataclass(frozen=True)
class Settings:
    """Where a service is reached, and where it keeps what it holds."""

    folder: Path
    """For uploads, which are deleted at start, and jobs; readable by its owner alone."""
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    """Asked of every request but for health; None asks nothing."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise InputError(f"port is {self.port}; expected 0 to 65535")
        if self.token is None and not self.loopback:
            raise InputError(
                f"{self.host} can be reached from other machines and no token was given; expected "
                f"--token (or TANS_TOKEN) with a secret of {LEAST_TOKEN} letters or more, or "
                "--host 127.0.0.1"
            )
        if self.token is not None and not _is_token(self.token):
            raise InputError(
                f"the token has {len(self.token)} letters; expected {LEAST_TOKEN} or more of "
                "ASCII without blanks, such as: python -c 'import secrets; "
                "print(secrets.token_urlsafe())'"
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"


def _is_token(text: str) -> bool:
    return len(text) >= LEAST_TOKEN and all("!" <= letter <= "~" for letter in text)
