"""Asks a browser for the token, where a service has one, and keeps it in a cookie.

What is let in, the guard alone decides: the door shows a form in place of its refusal.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tans.report.markup import Html, tag
from tans.web.guard import COOKIE
from tans.web.settings import Settings

ENTER = "/enter"
"""Where the form is sent."""
MOST_BYTES = 2**12
"""Of the form."""
UNAUTHORISED, SEE_OTHER, TOO_LARGE = 401, 303, 413
WRONG = "That is not the token. Ask whoever runs this service for it."
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
STYLE = """
:root { color-scheme: light dark; --accent: #2b66c4; }
@media (prefers-color-scheme: dark) { :root { --accent: #7ba8f0; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 26rem; margin: 20vh auto 0; }
body { padding: 0 24px; }
input, button { font: inherit; display: block; width: 100%; box-sizing: border-box; }
input, button { padding: 10px; margin: 6px 0 16px; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""


class Door:
    """Shows a form for the token to browsers that the guard turns away.

    Args:
        app: the service with its guard.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if self._settings.token is None or scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == ENTER and scope["method"] == "POST":
            answer = await self._entered(Request(scope, receive))
            await answer(scope, receive, send)
        elif scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
            await self._shown(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _entered(self, request: Request) -> Response:
        """Keep the token that a form brings."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return _form(WRONG, TOO_LARGE)
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        token = self._settings.token or ""
        if not secrets.compare_digest(given.encode(), token.encode()):
            return _form(WRONG)
        answer = RedirectResponse("/", SEE_OTHER)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return answer

    async def _shown(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or the form where it asks for a token."""
        refused = False

        async def shown(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] == UNAUTHORISED
            if not refused:
                await send(message)

        await self._app(scope, receive, shown)
        if refused:
            await _form()(scope, receive, send)


def _form(wrong: str = "", status: int = UNAUTHORISED) -> HTMLResponse:
    body = tag(
        "main",
        tag("h1", "tans"),
        tag("p", "This service asks for a token."),
        tag("p", wrong, role="alert"),
        tag(
            "form",
            tag("label", "Token", for_="token"),
            tag(
                "input",
                id="token",
                name="token",
                type="password",
                required="",
                autocomplete="current-password",
            ),
            tag("button", "Enter", type="submit"),
            method="post",
            action=ENTER,
        ),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "tans"),
        tag("style", Html(STYLE)),
    )
    page = "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en")
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    return HTMLResponse(page, status, headers)
