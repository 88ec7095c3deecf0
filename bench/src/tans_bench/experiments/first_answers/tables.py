"""Tables of accuracy, regret and predictions, each of the tasks of one first role."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

from tans_bench.experiments.first_answers.measured import (
    ELASTIC_BASE,
    IMAGENET,
    RANDOM_HEAD,
    SIZES,
    TANS,
    WHOLE,
    Contender,
    Measured,
    kinds,
    known,
    mean,
    of_kind,
)
from tans_bench.runs.comparison import averaged
from tans_bench.runs.drawing import Table
from tans_bench.runs.results import Result

LENGTHS = (0, 1, WHOLE, 10)
"""Epochs; 0 is the fitted head alone."""
LONG = 50
"""Epochs of the ImageNet network, which tans should reach within the whole length."""
RESOLUTION = 64
"""Pixels a side of most of the zoo's networks."""
NEAR = 1.0
"""Points from the oracle that count as reaching it."""
NONE = "–"  # noqa: RUF001
AT_ITS_BEST = (
    *(TANS, RANDOM_HEAD, IMAGENET, Contender("imagenet", "130M-flops")),
    *(Contender("imagenet", "", 0), Contender("imagenet", "", 1), IMAGENET.at(LONG)),
)


def comparison(name: str, kind: str, tasks: Sequence[Measured]) -> Table:
    """The main methods at every length."""
    main = (TANS, IMAGENET, ELASTIC_BASE)
    caption = (
        "Test accuracy in %, with several seeds the mean and its 95 % interval. Errors and seconds "
        f"after {length(WHOLE)}, as a multiple of the ImageNet network's."
    )
    columns = ("task", "network", "trained on", "px", "params (M)", *map(length, LENGTHS))
    rows = [_compared(task, each) for task in of_kind(tasks, kind) for each in main]
    return Table(name, caption, (*columns, "errors", "seconds"), rows)


def _compared(task: Measured, contender: Contender) -> list[str]:
    classes = {cell.runs[0]["classes"] for cell in task.cells.values()}
    about = f"**{task.name}**" + "".join(f", {count} classes" for count in classes)
    return [
        about if contender == TANS else "",
        contender.title,
        *_facts(task.of(contender)),
        *(_spread(task.of(contender.at(epochs))) for epochs in LENGTHS),
        number(task.errors(contender, IMAGENET), 2),
        number(task.time(contender, IMAGENET), 2),
    ]


def at_its_best(name: str, tasks: Sequence[Measured]) -> Table:
    """The ImageNet network with other heads, resolutions and lengths, beside tans."""
    caption = (
        "Test accuracy in %; in brackets the seconds as a multiple of those of the ImageNet "
        f"network at {RESOLUTION} px after {length(WHOLE)}."
    )
    columns = (f"{each.title}, {length(each.epochs)}" for each in AT_ITS_BEST)
    rows = [[f"**{task.name}**", *(_beside(task, each) for each in AT_ITS_BEST)] for task in tasks]
    return Table(name, caption, ("task", *columns), rows)


def _beside(task: Measured, contender: Contender) -> str:
    accuracy, ratio = task.accuracy(contender), task.time(contender, IMAGENET)
    return NONE if accuracy is None else f"{number(accuracy)} ({number(ratio)})"


def within_limits(name: str, tasks: Sequence[Measured]) -> Table:
    """tans under limits of size, beside slices of the elastic base."""
    caption = (
        f"After {length(WHOLE)}; gains in points over the elastic base's largest slice within the "
        "same limit, seconds as a multiple of the slice's. A dash at equal seconds: tans has no "
        "run that takes as little time."
    )
    columns = (
        *("task", "limit", "trained on", "px", "params (M)", "accuracy", "slice's params (M)"),
        *("slice's accuracy", "gain", "seconds", "gain at equal seconds"),
    )
    return Table(name, caption, columns, [_limited(task, size) for task in tasks for size in SIZES])


def _limited(task: Measured, size: str) -> list[str]:
    own, peer = (replace(each, limits=size) for each in (TANS, ELASTIC_BASE))
    return [
        f"**{task.name}**, {task.kind[:-1]}" if size == SIZES[0] else "",
        size,
        *(*_facts(task.of(own)), _spread(task.of(own))),
        *(_facts(task.of(peer))[-1], _spread(task.of(peer))),
        number(task.gain(own, peer), sign="+"),
        number(task.time(own, peer), 2),
        number(task.gain_in_time(own, peer), sign="+"),
    ]


def regrets(name: str, kind: str, tasks: Sequence[Measured]) -> Table:
    """Every method beside the oracle."""
    chosen = of_kind(tasks, kind)
    counts = [len({(run["network"], run["fit_head"]) for run in task.runs}) for task in chosen]
    caption = (
        f"{kind.capitalize()}, after {length(WHOLE)}. The oracle is the best of all networks that "
        f"were fine-tuned on a task, at least {min(filter(None, counts), default=0)}. Means are "
        "over the tasks that were run."
    )
    pixels = f"at {RESOLUTION} px", "at any px"
    columns = ("method", "tasks", "not run", "accuracy (%)", *(f"regret {px}" for px in pixels))
    rows = [_oracle(chosen, resolution) for resolution in (RESOLUTION, None)]
    rows += [_regret(chosen, contender) for contender in by_regret(chosen)]
    return Table(name, caption, (*columns, *(f"within {NEAR:g} point {px}" for px in pixels)), rows)


def _oracle(tasks: Sequence[Measured], resolution: int | None) -> list[str]:
    best = known(task.oracle(resolution) for task in tasks)
    title = f"*oracle at {resolution or 'any'} px*"
    return [title, str(len(best)), str(len(tasks) - len(best)), number(mean(best)), *[""] * 4]


def _regret(tasks: Sequence[Measured], contender: Contender) -> list[str]:
    own = known(task.accuracy(contender) for task in tasks)
    regrets = [known(t.regret(contender, each) for t in tasks) for each in (RESOLUTION, None)]
    return [
        f"**{contender.title}**" if contender == TANS else contender.title,
        *(str(len(own)), str(len(tasks) - len(own)), number(mean(own))),
        *(number(mean(values)) for values in regrets),
        *(f"{sum(v <= NEAR for v in values)} of {len(values)}" for values in regrets),
    ]


def by_regret(tasks: Sequence[Measured]) -> list[Contender]:
    """Methods by mean regret, those with a limit of size last, then those without a run."""

    def key(contender: Contender) -> tuple[bool, float]:
        found = mean(task.regret(contender) for task in tasks)
        return contender.sized, math.inf if found is None else found

    return sorted(dict.fromkeys(each.at(WHOLE) for t in tasks for each in t.cells), key=key)


@dataclass(frozen=True)
class Prediction:
    """What the search said of its match, and what came; accuracies in points."""

    predicted: float
    low: float
    high: float
    real: float

    @classmethod
    def of(cls, task: Measured) -> Prediction | None:
        """On a task; None where the match was not run, or came without an interval."""
        real = task.accuracy(TANS)
        match = {} if real is None else task.cells[TANS].choice["details"]["match"]
        if real is None or match["low"] is None or match["high"] is None:
            return None
        ends = 100 * match["low"], 100 * match["high"]
        return cls(100 * match["predicted_accuracy"], *ends, real)

    @property
    def held(self) -> bool:
        """Whether the interval did."""
        return self.low <= self.real <= self.high


def predictions(name: str, tasks: Sequence[Measured]) -> Table:
    """What the search said of each match, and what came."""
    caption = (
        f"Accuracy of the match in %, real: mean over seeds after {length(WHOLE)}. The interval is "
        "meant to hold it for nine tasks in ten."
    )
    columns = ("task", "kind", "trained on", "called related", "predicted", "low", "high", "real")
    rows = [_predicted(task, found) for task in tasks if (found := Prediction.of(task))]
    return Table(name, caption, (*columns, "held"), rows)


def _predicted(task: Measured, found: Prediction) -> list[str]:
    choice = task.cells[TANS].choice
    related = {True: "yes", False: "no", None: NONE}[choice["details"]["related"]]
    about = [task.name, task.kind[:-1], choice["source"], related]
    return [*about, *map(number, astuple(found)), "yes" if found.held else "**no**"]


def held(name: str, tasks: Sequence[Measured]) -> Table:
    """How often the interval held, how wide it was, and how far the prediction was off."""
    caption = "Intervals that held, their mean width, and how far predictions are off, in points."
    columns = ("tasks", "held", "held (%)", "width", "off", "not measured")
    rows = [[kind, *_held(of_kind(tasks, kind))] for kind in kinds(tasks)]
    return Table(name, caption, columns, rows)


def _held(tasks: Sequence[Measured]) -> list[str]:
    found = [each for task in tasks if (each := Prediction.of(task))]
    return [
        f"{sum(each.held for each in found)} of {len(found)}",
        number(mean(100.0 * each.held for each in found), 0),
        number(mean(each.high - each.low for each in found)),
        number(mean(abs(each.real - each.predicted) for each in found)),
        str(len(tasks) - len(found)),
    ]


def length(epochs: int) -> str:
    """Of a fine-tune, in words."""
    return f"{epochs} epoch{'s' * (epochs > 1)}" if epochs else "head alone"


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """A number as text, a dash where there is none."""
    return NONE if value is None else f"{value:{sign}.{digits}f}"


def _spread(runs: Sequence[Result]) -> str:
    """Mean accuracy over seeds, with its interval where there are several."""
    return averaged([run["accuracy"] for run in runs]) if runs else NONE


def _facts(runs: Sequence[Result]) -> list[str]:
    """Source, resolution and size in millions of a network."""
    facts = [[r["source"], str(r["resolution"]), f"{r['params'] / 1e6:.2f}"] for r in runs]
    return facts[0] if facts else [NONE] * 3
