"""Puts the page under a service."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match, Mount
from starlette.types import Scope

from tans.plugins import library
from tans.web.guard import API
from tans.web.page.door import Door
from tans.web.service import Service

CLOSED = ("upload", "upload_progress", "proxy", "file", "stream", "component_server", "runs")
"""What Gradio would take or give, and the page has no need of: files go by the routes."""


class Beneath(Mount):
    """Takes what no route of the service is for."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave the routes' own addresses to them, also those that they refuse."""
        path = scope.get("path", "")
        if path == API or path.startswith(f"{API}/") or _closed(path):
            return Match.NONE, {}
        return super().matches(scope)


def _closed(path: str) -> bool:
    parts = path.strip("/").split("/")
    return parts[:1] == ["gradio_api"] and any(part.split("=")[0] in CLOSED for part in parts[1:])


def mount(app: FastAPI, service: Service) -> None:
    """Put the page at the root of an application, and a door before it that asks for a token.

    Args:
        app: with its routes and its guard already in place.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    # read as Gradio is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(service.settings.folder / "page"))
    gradio = library("gradio", "web")
    from tans.web.page.blocks import Page, head, style, theme

    page = Page(service)
    gradio.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        max_file_size=1,
        theme=theme(),
        css=style(),
        head=head(),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    mounted: Any = app.router.routes[-1]
    app.router.routes[-1] = Beneath("/", app=mounted.app)
    app.add_middleware(Door, settings=service.settings)
    page.planes.start()
