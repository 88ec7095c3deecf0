"""The command line: a table of commands onto library functions.

    tans ├── check, search, embed, finetune, predict, export    use.py
         ├── serve                                              serve.py
         ├── train, zoo list | show | build | verify | push     zoo.py
         └── tasks, bench                                 of tans-bench, where it is installed

Heavy imports stand inside the commands, so that ``--help`` answers at once. Standard output holds
the result alone; with ``--json`` it is one JSON value. An error is one line on standard error, and
the exit code is 1 (2 for wrong usage, 3 where a part of the images could not be read, 130 when
interrupted, 141 when whoever reads standard output closes it, as of all programs in a pipe, 143 on
SIGTERM).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tans import __version__, interrupts
from tans.cli import console, serve, use, zoo
from tans.errors import InputError, MissingBenchError, TansError
from tans.plugins import plugins

HELP = """Find the best pretrained network, architecture and weights, for labelled images.

With --json, standard output is one JSON value. An error is one line on standard error and exit
code 1."""

WRONG_USAGE, READER_GONE = 2, 141
"""Exit codes; the second is what a shell says of a program that a closed pipe has ended."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""Of Click, which Typer does not name."""
NO_MEMORY = (
    "memory ran out; close other programs, or take fewer images, a smaller network or fewer workers"
)

OF_BENCH = {
    "tasks": "List, fetch and export packaged datasets (tans-bench).",
    "bench": "Compare methods by experiments (tans-bench).",
}
"""Commands that another distribution brings; each says so where that is not installed."""


def _add_plugins(app: typer.Typer) -> None:
    brought = plugins("tans.commands")
    for name, point in brought.items():
        app.add_typer(point.load(), name=name)
    for name in OF_BENCH.keys() - brought.keys():
        app.command(
            name,
            help=OF_BENCH[name],
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_missing(name))


def _missing(name: str) -> Callable[[], None]:
    def command() -> None:
        raise MissingBenchError(f"the command 'tans {name}'")

    return command


app = typer.Typer(
    name="tans",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(use.check)
app.command()(use.search)
app.command()(use.embed)
app.command()(use.finetune)
app.command()(use.predict)
app.command()(use.export)
app.command()(serve.serve)
app.add_typer(zoo.app, name="zoo")
app.command()(zoo.train)
_add_plugins(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a failure that a user can meet ends in one line and exit code 1."""
    console.open_streams()
    with interrupts.terminable():
        try:
            with interrupts.unchanged():
                _check_here()
                code = _run(arguments)
                console.finish()
        except console.ReaderGoneError:
            code = READER_GONE
        except (TansError, OSError) as error:
            console.fail(error)
            code = 1
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            console.fail(MemoryError(NO_MEMORY))
            code = 1
        raise SystemExit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """Exit code of a command; what Typer says of wrong usage would take names for markup."""
    try:
        with warnings.catch_warnings():
            console.tell_warnings()
            return app(arguments, prog_name="tans", standalone_mode=False) or 0
    except typer.Abort:
        console.fail("aborted")
        return 1
    except UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # that has shown the help
            command = error.ctx.command_path if error.ctx else "tans"
            console.fail(f"{error.format_message()} See '{command} --help'.")
        return WRONG_USAGE


def _check_here() -> None:
    """Refuse a working folder that was deleted: libraries of PyTorch end the process in one.

    Raises:
        InputError: it was.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(
            f"the folder that tans runs in is not there any more ({error.strerror}); change to "
            "one that is"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; of a processor's PyTorch says so in words alone."""
    words = ("allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def show_version(wanted: bool) -> None:
    """Print the version and stop, if asked to."""
    if wanted:
        console.say(f"tans {__version__}")
        raise typer.Exit


def set_device(name: str | None) -> None:
    """Let this process, and those that it begins, compute there.

    Raises:
        InputError: there is no such device.
    """
    if name is not None:
        from tans.networks.device import DEVICE, devices

        os.environ[DEVICE] = name
        devices()


@app.callback(help=HELP)
def options(
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME",
            callback=set_device,
            help="Where to compute: `cuda` for all cards, `cuda:1` for one, `mps`, `cpu`; what "
            "TANS_DEVICE names if not given, else the best there is.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
