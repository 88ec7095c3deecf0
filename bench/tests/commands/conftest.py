"""Commands run in this process, as those of tans are."""

from tests.cli.conftest import run

__all__ = ["run"]
