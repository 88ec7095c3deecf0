"""Groups of options that commands take as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: a parameter of a dataclass stands for its fields."""
    options: list[Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        kind = parameter.annotation
        if not (isinstance(kind, type) and is_dataclass(kind)):
            options.append(parameter)
            continue
        own = inspect.signature(kind, eval_str=True).parameters
        options += own.values()
        groups[name] = (kind, list(own))

    @wraps(command)
    def run(**given: Any) -> None:
        for name, (kind, own) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in own})
        command(**given)

    # what Typer reads; by name, so that options may stand in any order
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
    )
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run
