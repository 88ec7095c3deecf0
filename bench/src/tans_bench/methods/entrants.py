"""Every method of the comparisons by name: tans as a user has it, its variants, and its rivals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace

from tans.errors import InputError
from tans.meta.published import published_retriever
from tans.search import OWN, PAPER, search
from tans.training import PUBLISHED
from tans.workflow.choosing import LOOK
from tans.zoo.zoo import Zoo
from tans_bench.methods.ablations import ABLATIONS, SHARE
from tans_bench.methods.found_zoo import OfFound
from tans_bench.methods.method import Problem, Proposal
from tans_bench.methods.registry import BASELINES, Entrant


def tans(problem: Problem, zoo: Zoo) -> Proposal:
    """The first match of a search as the command line makes it."""
    return _searched(problem, zoo)


def tans_without_look(problem: Problem, zoo: Zoo) -> Proposal:
    """The first match by embeddings alone."""
    return _searched(problem, zoo, look=0)


def tans_as_published(problem: Problem, zoo: Zoo) -> Proposal:
    """What ``--method paper`` finds; its fine-tune begins from a random head."""
    began = time.perf_counter()
    published_retriever(zoo)  # learnt once for all tasks
    once_s = time.perf_counter() - began
    found = _searched(problem, zoo, method=PAPER)
    return replace(found, fit_head=PUBLISHED.fit_head, once_s=once_s)


def _searched(problem: Problem, zoo: Zoo, look: int = LOOK, method: str = OWN) -> Proposal:
    limits = problem.limits
    result = search(
        problem.task,
        zoo,
        max_params=limits.max_params,
        max_flops=limits.max_flops,
        max_latency_ms=limits.max_latency_ms,
        max_minutes=limits.max_minutes,
        look=look,
        method=method,
    )
    entry = zoo.entry(result[0].id)
    details = {
        "match": asdict(result[0]),
        "related": result.related,
        "looks": [asdict(look) for look in result.looks],
        "embedding_s": result.embedding_s,
        "search_s": result.search_s,
        "look_s": result.look_s,
    }
    return Proposal(entry.task, entry.weights, entry.ref, True, details)


METHODS: Mapping[str, Entrant] = {
    "tans": Entrant(tans, "tans", "the first match: embeddings, a second look, a fitted judge"),
    "tans-embeddings": Entrant(
        tans_without_look, "tans, embeddings alone", "the first match without a second look"
    ),
    "paper": Entrant(
        tans_as_published,
        "TANS as the paper has it",
        "published encoders and predictor, limits last, a random head",
    ),
    **ABLATIONS,
    "found-zoo": Entrant(
        OfFound(),
        f"1/{SHARE}, found by MetaD2A",
        "embeddings in a small zoo that MetaD2A found",
        version=2,
    ),
    **BASELINES,
}


def get_method(name: str) -> Entrant:
    """The method of that name.

    Raises:
        InputError: there is none.
    """
    if name not in METHODS:
        raise InputError(f"no method {name!r}; expected one of {', '.join(METHODS)}")
    return METHODS[name]
