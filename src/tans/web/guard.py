"""Who may ask a service, and how much may come at once; before anything of a request is read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tans.web.settings import Settings

API = "/api/v1"
FREE = f"{API}/health"
"""Asks for no token."""
COOKIE = "tans_token"
"""In which a browser may send the token."""
HERE = ("localhost", "127.0.0.1", "::1")
UNAUTHORISED, FORBIDDEN, TOO_LARGE = 401, 403, 413
ERRORS = {
    400: "bad request",
    401: "token needed",
    403: "forbidden",
    404: "not found",
    405: "method not allowed",
    409: "conflict",
    413: "too large",
    415: "wrong type",
    422: "cannot be used",
    429: "busy",
    500: "failed",
    501: "not installed",
    503: "took too long",
}
"""What an answer calls each status."""
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of all answers: ids of datasets and jobs are secrets, and nothing is what it does not say."""

Count = Callable[[str, str, int, float], None]


class Guard:
    """Lets requests through to an application that are meant for it.

    Without a token, requests must be addressed to this machine by a name of its own: a page that a
    browser has open elsewhere could else reach the service by a name that leads here.

    Args:
        app: what answers them.
        count: told method, route, status and seconds of each.
    """

    def __init__(self, app: ASGIApp, settings: Settings, count: Count) -> None:
        self._app, self._settings, self._count = app, settings, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if refused := self._refused(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refused(scope, receive, self._counted(scope, send))
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, self._bounded(scope, receive), self._counted(scope, send))

    def _refused(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._settings.token is None and _name(host) not in (*HERE, self._settings.host):
            return problem(
                FORBIDDEN,
                "the service is for this machine alone; ask it as localhost, or start it with "
                "--token",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return problem(FORBIDDEN, "a page of another place asks, which is not allowed")
        if not self._authorised(scope["path"], headers):
            return problem(
                UNAUTHORISED,
                "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'",
                {"WWW-Authenticate": "Bearer"},
            )
        if int(_digits(headers.get("content-length"))) > self._most(scope):
            return self._too_large(scope)
        return None

    def _authorised(self, path: str, headers: Headers) -> bool:
        token = self._settings.token
        if token is None or path == FREE:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        sent = [given.strip()] if kind.lower() == "bearer" else []
        sent += _of_cookie(headers.get("cookie", ""))
        return any(secrets.compare_digest(each.encode(), token.encode()) for each in sent)

    def _most(self, scope: Scope) -> int:
        """Bytes that a request may bring."""
        limits, path = self._settings.limits, scope["path"]
        small = path.startswith(API) and not path.endswith(("/datasets", "/predict"))
        return limits.body_bytes if small else limits.upload_bytes

    def _too_large(self, scope: Scope) -> JSONResponse:
        return problem(TOO_LARGE, f"more than {self._most(scope):,} bytes came; send less")

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Count what comes, as nobody has to say how much there is."""
        most, got = self._most(scope), 0

        async def bounded() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:
                raise HTTPException(TOO_LARGE, f"more than {most:,} bytes came; send less")
            return message

        return bounded

    def _counted(self, scope: Scope, send: Send) -> Send:
        """Note the answer, and give it the headers that all have."""
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                route = getattr(scope.get("route"), "path", "other")
                seconds = time.perf_counter() - began
                self._count(scope["method"], route, message["status"], seconds)
            await send(message)

        return counted


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says in a sentence why a request was not done."""
    said = {"error": ERRORS.get(status, "refused"), "detail": detail}
    if status in (429, 503):
        headers = {"Retry-After": "10", **(headers or {})}
    return JSONResponse(said, status, headers)


def _name(host: str) -> str:
    """The name in a header ``Host``, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digits(text: str | None) -> str:
    return text if text is not None and text.isascii() and text.isdigit() else "0"


def _of_cookie(text: str) -> list[str]:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return []
    return [] if found is None else [found.value]
