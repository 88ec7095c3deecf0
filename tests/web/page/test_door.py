from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tans.web.guard import COOKIE, Guard
from tans.web.page.door import ENTER, MOST_BYTES, Door
from tans.web.settings import Settings

TOKEN = "a-secret-of-many-letters"
BROWSER = {"accept": "text/html,*/*"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("the page")

    settings = Settings(tmp_path, token=TOKEN)
    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(Guard, settings=settings, count=lambda *_: None)
    app.add_middleware(Door, settings=settings)
    return TestClient(app, base_url="http://localhost")


def test_a_browser_without_the_token_is_asked_for_it(client: TestClient) -> None:
    answer = client.get("/", headers=BROWSER)
    assert answer.status_code == 401
    assert "<form" in answer.text
    assert "the page" not in answer.text
    assert TOKEN not in answer.text


def test_others_get_the_guard_s_own_answer(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("the token is missing")


def test_the_token_opens_the_door_and_is_kept_where_no_script_reads_it(
    client: TestClient,
) -> None:
    entered = client.post(ENTER, data={"token": TOKEN}, follow_redirects=False)
    assert entered.status_code == 303
    kept = entered.headers["set-cookie"]
    assert kept.startswith(f"{COOKIE}={TOKEN}")
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert client.get("/", headers=BROWSER).text == "the page"


@pytest.mark.parametrize("given", ["", "wrong", TOKEN[:-1], "é"])
def test_another_token_is_refused_in_a_sentence(client: TestClient, given: str) -> None:
    answer = client.post(ENTER, data={"token": given})
    assert answer.status_code == 401
    assert "That is not the token" in answer.text
    assert "set-cookie" not in answer.headers


def test_no_more_is_read_than_a_token_needs(client: TestClient) -> None:
    assert client.post(ENTER, content=b"token=" + b"x" * MOST_BYTES).status_code == 413


def test_a_service_without_a_token_has_no_door(tmp_path: Path) -> None:
    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("the page")

    app = Door(Starlette(routes=[Route("/", page)]), Settings(tmp_path))
    client = TestClient(app)
    assert client.get("/", headers=BROWSER).text == "the page"
    assert client.post(ENTER).status_code == 404
