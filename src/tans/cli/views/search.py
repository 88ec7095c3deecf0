"""What a search found, and what is to be said of it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tans.cli import console

if TYPE_CHECKING:
    from tans.meta.train import Step
    from tans.search import Query, SearchResult
    from tans.tasks.task import Task
    from tans.types import Match
    from tans.zoo.zoo import Zoo

    Cell = Callable[[int, Match], str]

LICENCE_WIDTH = 20
"""Letters of a licence in a table; JSON and `tans zoo show` have the whole."""


def learn_method(zoo: Zoo, method: str) -> None:
    """Have what a method needs of a zoo, with a bar where it is learnt first."""
    from tans.search import PAPER

    if method != PAPER:
        return
    from tans.meta.published import SETTINGS
    from tans.workflow import published_retriever

    with ExitStack() as shown:
        bars: list[Callable[[float, float, str], None]] = []

        def advance(step: Step) -> None:
            if not bars:
                label = "Learning the paper's retrieval of this zoo, once"
                bars.append(shown.enter_context(console.progress(label)))
            bars[0](step.step, SETTINGS.steps, f"loss {step.loss:.3f}")

        published_retriever(zoo, advance)


def describe_search(result: SearchResult, task: Task | Query) -> dict[str, Any]:
    """Matches as JSON has them, with what was understood of the data; null of a query."""
    from tans.search import Query
    from tans.tasks.check import summary

    return {**describe_found(result), "data": None if isinstance(task, Query) else summary(task)}


def describe_found(result: SearchResult) -> dict[str, Any]:
    """All but the query, which is numbers for a machine."""
    told = asdict(replace(result, query=None))
    del told["query"]
    return told


def show_matches(result: SearchResult, name: str) -> None:
    columns = dict(_columns(result))
    rows = [[cell(k, match) for cell in columns.values()] for k, match in enumerate(result, 1)]
    console.show_table(f"Networks for {name}, best first", list(columns), rows)
    console.say(_times(result))
    if result.latency_error is not None:
        console.say(
            f"Latency is predicted for this device, {console.percent(result.latency_error)} off "
            "on average."
        )
    console.say(_meaning(result))
    say_shortened(result)
    say_forbidden(result)
    say_related(result)


def _meaning(result: SearchResult) -> str:
    """What is predicted."""
    from tans.search import OWN

    if result.method != OWN:
        return (
            "Predicted: by the paper's predictor, which learnt from how networks do on tasks of "
            "their own; it ranks, and promises too much."
        )
    brackets = "; in brackets the interval that holds it for nine tasks in ten"
    return (
        f"Predicted: accuracy after a fine-tune of {result.epochs} epochs on these images"
        f"{brackets if result[0].low is not None else ''}."
    )


def say_fetched(best: Match, zoo: str | None) -> None:
    """Say where a network of the catalogue lies, and how a zoo of one's own comes to have it."""
    network = best.id.rpartition("@")[0] or best.id
    if network.startswith("timm:"):
        where = "my_zoo" if zoo is None else shlex.quote(str(zoo))
        console.say(
            f"{network} is kept in the cache; a zoo of your own takes it with: tans zoo add "
            f"{shlex.quote(network)} --zoo {where}"
        )


def say_forbidden(result: SearchResult) -> None:
    """Say how many networks were left out for their licences."""
    if result.forbidden:
        console.say(
            f"{result.forbidden:,} networks are left out: a licence of what they came from forbids "
            "commercial use, or is not known."
        )


def say_shortened(result: SearchResult) -> None:
    """Say so when the minutes do for a shorter fine-tune only."""
    if result.shortened is not None:
        console.say(
            f"No network can be fine-tuned for {result.epochs} epochs in so many minutes: they are "
            f"counted for {result.shortened}, after which accuracy is mostly a few points lower."
        )


def say_related(result: SearchResult) -> None:
    """Say so when the zoo has nothing to offer but ImageNet."""
    if result.related is False:
        console.say(
            "Nothing in this zoo is related to your data, so an ImageNet network is proposed."
        )


def _columns(result: SearchResult) -> Iterator[tuple[str, Cell]]:
    """Columns of the table of matches that have something to say."""
    yield "", lambda rank, _: str(rank)
    yield "network", lambda _, match: match.id
    yield "trained on", lambda _, match: match.task
    yield ">params", lambda _, match: console.millions(match.params)
    yield ">MFLOPs", lambda _, match: f"{match.flops / 1e6:.1f}"
    if len({match.resolution for match in result}) > 1:
        yield ">pixels", lambda _, match: str(match.resolution)
    if result[0].latency_ms is not None:
        yield ">latency", lambda _, match: f"{match.latency_ms:.1f} ms"
    if result[0].minutes is not None:
        yield ">minutes", lambda _, match: f"{match.minutes:.1f}"
    yield ">predicted", lambda _, match: _predicted(match)
    if result[0].low is None:  # a second look says more than how alike the embeddings are
        yield ">similarity", lambda _, match: f"{match.similarity:.2f}"
    yield "licence", lambda _, match: _shortened(str(match.licences))


def _predicted(match: Match) -> str:
    """As in ``87.1 % (80-92)``."""
    share = console.percent(match.predicted_accuracy)
    if match.low is None or match.high is None:
        return share
    return f"{share} ({100 * match.low:.0f}-{100 * match.high:.0f})"


def _shortened(licence: str) -> str:
    return textwrap.shorten(licence, LICENCE_WIDTH, placeholder=" …", break_on_hyphens=False)


def _times(result: SearchResult) -> str:
    steps = [f"searched in {result.search_s * 1e3:.1f} ms"]
    if result.embedding_s:
        steps.insert(0, f"embedded the images in {result.embedding_s:.2f} s")
    if result.looks:
        steps.append(f"looked again at {len(result.looks)} sources in {result.look_s:.1f} s")
    times = ", ".join(steps)
    return f"{times[0].upper()}{times[1:]}."
