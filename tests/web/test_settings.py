from __future__ import annotations

from pathlib import Path

import pytest

from tans.errors import InputError
from tans.web.settings import Limits, Settings

TOKEN = "a secret of many letters".replace(" ", "-")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1", "[::1]"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert Settings(Path(), host).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_others_are_let_in_with_a_token_alone(host: str) -> None:
    with pytest.raises(InputError, match=r"no token was given.*--token"):
        Settings(Path(), host)
    assert not Settings(Path(), host, token=TOKEN).loopback


@pytest.mark.parametrize("token", ["", "short", "a secret with blanks in it", "ü" * 20])
def test_a_token_that_is_easily_guessed_or_no_header_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="expected 16 or more"):
        Settings(Path(), token=token)


def test_a_limit_that_allows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="files is 0; expected a positive number"):
        Limits(files=0)


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="port is 70000"):
        Settings(Path(), port=70_000)
