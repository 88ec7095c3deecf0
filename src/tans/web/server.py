"""Run a service until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from tans.errors import InputError
from tans.files import alone
from tans.plugins import library
from tans.web.settings import Settings
from tans.zoo.zoo import Zoo

LAST_ANSWERS_S = 10
"""That answers get which are not finished when a signal comes."""


def serve(zoo: Zoo, settings: Settings, on_ready: Callable[[str], None] = lambda _: None) -> None:
    """Answer requests until SIGTERM or SIGINT comes, which is raised again at the end.

    Args:
        on_ready: told the address, once requests are taken.

    Raises:
        InputError: the address cannot be had, or another service uses the folder.
        MissingExtraError: the extra ``web`` is not installed.
    """
    uvicorn = library("uvicorn", "web")
    library("fastapi", "web")
    library("prometheus_client", "web")
    from tans.web.app import create_app
    from tans.web.page.mounting import mount

    with (
        alone(settings.folder / "service", lambda: _refuse(settings.folder)),
        _bound(settings) as at,
    ):
        app = create_app(zoo, settings)
        mount(app, app.state.service)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # ids in addresses are secrets
            server_header=False,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
        )
        on_ready(f"http://{_shown(settings.host)}:{at.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[at])


def _bound(settings: Settings) -> socket.socket:
    """A socket that listens."""
    host, port = settings.host.strip("[]"), settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            f"{settings.host}:{port} cannot be listened at ({error.strerror or error}); give "
            "another --port, or 0 for any that is free, or another --host"
        ) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _refuse(folder: Path) -> None:
    raise InputError(
        f"another service keeps its things in {folder}; give another folder with --folder"
    )
