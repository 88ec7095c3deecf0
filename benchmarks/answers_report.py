"""The page of ``answers.py``: tables and figures drawn from its result files alone.

The tables of ``docs/results/answers.md`` stand between markers and are written anew each time; the
text around the markers is written by hand and stays. Roles are never mixed. A run that is not
stored is left out and counted, never taken for zero. Accuracies are compared in points (1/100).
"""

from __future__ import annotations

import json
import math
import operator
import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from common import RESULTS, Ledger, Line
from tans.tasks.sources.registry import get_source
from tans.training import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "results" / "answers.md"
RUNS = Ledger("answers.jsonl")
CHOICES = RESULTS / "answers"

ROLES = ("dev", "sealed")
KINDS = ("siblings", "strangers")
SIBLINGS = ("script-", "icons-", "emoji-", "stamps-animals", "clipart-food")
"""How the names of the tasks begin whose kind of image the zoo holds."""
LENGTHS = (0, 1, 5, 10)
WHOLE = Recipe.epochs
LIMITS = ("1M", "2M", "3M")
MAIN = ("match", "imagenet", "elastic base")
RANDOM_HEAD = "imagenet, random head"
"""The ImageNet network as it is mostly fine-tuned; all others begin from a fitted head."""
HIGHER = ("imagenet 128 px", "imagenet 224 px")
BASELINES = (
    *("imagenet", RANDOM_HEAD, "elastic base", "nearest dataset", "best on average"),
    *("size-ordered", "random", "logme", "probe alone"),
)
RESOLUTION = 64
"""Pixels a side of most of the zoo's networks."""
NEAR = 1.0
"""Points from the oracle that count as reaching it."""
NOISE = 1.05
"""Times that differ by less count as equal."""

NAMES = {
    "imagenet": "ImageNet",
    RANDOM_HEAD: "ImageNet, random head",
    "imagenet 128 px": "ImageNet at 128 px",
    "imagenet 224 px": "ImageNet at 224 px",
    "logme": "LogME",
}
COLOURS = {"match": "#0072B2", "imagenet": "#D55E00", "elastic base": "#009E73"}
MARKERS = {"match": "o", "imagenet": "s", "elastic base": "^"}
WIDTHS = {"match": 3.5, "imagenet": 1.5, "elastic base": 1.5}
"""Of lines, in points: the match shows below the peer that is the same network."""
KIND_COLOURS = {"siblings": "#0072B2", "strangers": "#E69F00"}
KIND_MARKERS = {"siblings": "o", "strangers": "s"}
NONE = "–"  # noqa: RUF001

SKELETON = """\
# Is a user better off with the match?

Every method names one stored network for a task that the zoo has never seen. Each network is then
fine-tuned with the same recipe on the same 300 images, and judged on test images that no choice
has used. *Siblings* are tasks whose kind of image is in the zoo, though their classes and images
are not; *strangers* are all others. Dev tasks served to choose methods and settings; sealed tasks
are run once for a release.

*Match* is what tans proposes at no more multiply-adds than the ImageNet network at 64 pixels needs,
so that epochs compare; *match at any cost* may take ImageNet at up to 224 pixels. ImageNet here is
the whole network, also where the match is smaller. All fine-tunes, the peers' too, begin from a
head fitted to frozen features, except *ImageNet, random head*, which is how
networks are mostly fine-tuned.

## Siblings

<!-- measured: siblings -->
<!-- end: siblings -->

## Strangers

<!-- measured: strangers -->
<!-- end: strangers -->

## The ImageNet network at its best

<!-- measured: resolutions -->
<!-- end: resolutions -->

## Limits

<!-- measured: limits -->
<!-- end: limits -->

## Baselines and regret

<!-- measured: regret -->
<!-- end: regret -->

## Predicted against real

<!-- measured: intervals -->
<!-- end: intervals -->

## What falls short

<!-- measured: targets -->
<!-- end: targets -->

## How to repeat

```sh
python benchmarks/answers.py run --role dev   # goes on where it was stopped
python benchmarks/answers.py report           # this page's tables and figures
```
"""


# What is stored


@dataclass(frozen=True)
class Measured:
    """What is stored of one task."""

    name: str
    role: str
    kind: str
    choice: Line
    """What each method takes, and what the search said."""
    runs: Mapping[tuple[str, int, int, bool], Line]
    """By entry id, epochs, seed, and whether the head was fitted before."""

    def of(self, method: str, epochs: int = WHOLE) -> dict[int, Line]:
        """Runs of a method's network, by seed."""
        wanted = *self.network(method), epochs
        keys = sorted(key for key in self.runs if (key[0], key[3], key[1]) == wanted)
        return {key[2]: self.runs[key] for key in keys}

    def network(self, method: str) -> tuple[str | None, bool]:
        """Entry id of a method, and whether its head is fitted before."""
        plain = method == RANDOM_HEAD
        return self.choice["methods"].get("imagenet" if plain else method), not plain

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds at which every network of the zoo's own resolution was run."""
        ran: dict[str, set[int]] = {}
        for (entry, epochs, seed, fitted), run in self.runs.items():
            if (epochs, fitted, run["resolution"]) == (WHOLE, True, RESOLUTION):
                ran.setdefault(entry, set()).add(seed)
        return tuple(sorted(set.intersection(*ran.values()))) if ran else ()

    def points(self, method: str, resolution: int | None = RESOLUTION) -> float | None:
        """Accuracy in points after the whole length, mean over what ``_compared`` gives."""
        runs = self.of(method)
        return mean(100 * runs[seed]["accuracy"] for seed in self._compared(method, resolution))

    def oracle(self, resolution: int | None, seeds: Collection[int]) -> float | None:
        """Best mean over seeds of every network that was run at all of them, in points."""
        found: dict[tuple[str, bool], list[float]] = {}
        for (entry, epochs, seed, fitted), run in self.runs.items():
            if epochs == WHOLE and seed in seeds and resolution in (None, run["resolution"]):
                found.setdefault((entry, fitted), []).append(100 * run["accuracy"])
        means = [statistics.fmean(own) for own in found.values() if len(own) == len(seeds) > 0]
        return max(means, default=None)

    def regret(self, method: str, resolution: int | None = None) -> float | None:
        """Points that a method lies below the oracle."""
        own = self.points(method, resolution)
        best = self.oracle(resolution, self._compared(method, resolution))
        return None if own is None or best is None else best - own

    def _compared(self, method: str, resolution: int | None) -> tuple[int, ...]:
        """The method's seeds; the first alone where higher resolutions are compared."""
        seeds = self.seeds if resolution else (0,)
        return tuple(seed for seed in seeds if seed in self.of(method))


def load() -> list[Measured]:
    """Every task with a file of choices, siblings first."""
    runs: dict[str, dict[tuple[str, int, int, bool], Line]] = {}
    for run in RUNS:
        key = (run["entry"], run["epochs"], run["seed"], run["fit_head"])
        runs.setdefault(run["task"], {}).setdefault(key, run)
    tasks = [
        Measured(
            path.stem,
            get_source(path.stem).role,
            KINDS[not path.stem.startswith(SIBLINGS)],
            json.loads(path.read_text()),
            runs.get(path.stem, {}),
        )
        for path in CHOICES.glob("*.json")
    ]
    return sorted(tasks, key=lambda task: (task.kind, task.name))


# Comparisons: each of one task, None where a run is missing


def pairs(a: Mapping[int, Line], b: Mapping[int, Line]) -> list[tuple[Line, Line]]:
    """Runs of two methods at the seeds that both have."""
    return [(a[seed], b[seed]) for seed in a.keys() & b.keys()]


def gain(a: Mapping[int, Line], b: Mapping[int, Line]) -> float | None:
    """Points by which one method is better than another."""
    return mean([100 * (x["accuracy"] - y["accuracy"]) for x, y in pairs(a, b)])


def error_ratio(a: Mapping[int, Line], b: Mapping[int, Line]) -> float | None:
    """Errors of one method as a multiple of another's; None too where the other makes none."""
    both = pairs(a, b)
    least = sum(1 - y["accuracy"] for _, y in both)
    return sum(1 - x["accuracy"] for x, _ in both) / least if least > 0 else None


def time_ratio(a: Mapping[int, Line], b: Mapping[int, Line]) -> float | None:
    """Seconds of one method as a multiple of another's."""
    both = pairs(a, b)
    return sum(x["seconds"] for x, _ in both) / sum(y["seconds"] for _, y in both) if both else None


def gain_at_equal_seconds(task: Measured, a: str, b: str) -> float | None:
    """Points by which method a is better within the seconds that b takes at the whole length."""
    gains = []
    for seed, run in task.of(b).items():
        accuracy = _within(task, a, seed, run["seconds"])
        if accuracy is not None:
            gains.append(100 * (accuracy - run["accuracy"]))
    return mean(gains)


def _within(task: Measured, method: str, seed: int, seconds: float) -> float | None:
    """Accuracy within a time, between two lengths linear in the logarithm of seconds."""
    wanted = *task.network(method), seed
    own = [r for (id, _, s, fitted), r in task.runs.items() if (id, fitted, s) == wanted]
    own.sort(key=lambda run: run["seconds"])
    times = [math.log(run["seconds"]) for run in own]
    if not own or math.log(seconds * NOISE) < times[0]:
        return None
    return float(np.interp(math.log(seconds), times, [run["accuracy"] for run in own]))


def gain_over_better(task: Measured) -> float | None:
    """Points of the match over the better of ImageNet and the elastic base."""
    gains = [gain(task.of("match"), task.of(peer)) for peer in ("imagenet", "elastic base")]
    return None if None in gains else min(known(gains))


def known(values: Iterable[float | None]) -> list[float]:
    """Those that were measured."""
    return [value for value in values if value is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that were measured; None where none was."""
    measured = known(values)
    return statistics.fmean(measured) if measured else None


# Targets


@dataclass(frozen=True)
class Target:
    """A bound on a figure's mean over tasks."""

    wording: str
    kind: str
    """Siblings, strangers, or all."""
    figure: Callable[[Measured], float | None]
    rule: str
    bound: float

    def meets(self, value: float) -> bool:
        """Whether a figure, or the mean of some, is within the bound."""
        rules = {"at most": operator.le, "at least": operator.ge, "more than": operator.gt}
        return rules[self.rule](value, self.bound)

    def row(self, tasks: Sequence[Measured]) -> list[str]:
        """Bound, what was found, whether it is met and by how much."""
        values = [self.figure(task) for task in of_kind(tasks, self.kind)]
        found, measured = mean(values), known(values)
        missing = len(values) - len(measured)
        meeting = f"{sum(map(self.meets, measured))} of {len(measured)}"
        cells = [self.kind, self.wording, f"{self.rule} {self.bound:g}"]
        return [*cells, with_error(measured), self.verdict(found, missing), meeting, str(missing)]

    def verdict(self, found: float | None, missing: int) -> str:
        """Yes or no, and by how much; open while tasks are missing, which may be the bad ones."""
        if found is None:
            return "not measured"
        answer = "yes" if self.meets(found) else "no"
        text = f"{answer}, by {abs(found - self.bound):.2f}"
        if missing:
            return f"open (so far {text})"
        return text if self.meets(found) else f"**{text}**"


def targets(tasks: Sequence[Measured]) -> list[Target]:
    """What the match should reach; the strongest baseline is found among these tasks."""
    strongest = strongest_baseline(tasks)
    return [
        *(
            Target(
                f"errors as a share of ImageNet's, {plural(epochs)}",
                "siblings",
                partial(errors_at, epochs),
                *("at most", 0.5),
            )
            for epochs in LENGTHS
        ),
        Target(
            f"errors as a share of ImageNet's from a random head, {plural(WHOLE)}",
            "siblings",
            lambda t: error_ratio(t.of("match"), t.of(RANDOM_HEAD)),
            *("at most", 0.5),
        ),
        Target(
            "points after 5 epochs over ImageNet after 50",
            "siblings",
            lambda t: gain(t.of("match", 5), t.of("imagenet", 50)),
            *("at least", 0),
        ),
        Target("points over the elastic base", "siblings", over("elastic base"), "at least", 1),
        Target(
            "points over the better of ImageNet and the elastic base",
            *("strangers", gain_over_better, "at least", -NEAR),
        ),
        *(target for limit in LIMITS for target in limit_targets(limit)),
        Target(
            f"points over the strongest baseline ({label(strongest)})",
            "all",
            over(strongest),
            *("more than", 0),
        ),
        Target(
            f"regret to the oracle at {RESOLUTION} px",
            "all",
            lambda t: t.regret("match", RESOLUTION),
            *("at most", 2),
        ),
        Target(
            "regret to the oracle at any resolution, first seed",
            "all",
            lambda t: t.regret("match"),
            *("at most", 2),
        ),
    ]


def errors_at(epochs: int, task: Measured) -> float | None:
    """Errors of the match as a multiple of ImageNet's."""
    return error_ratio(task.of("match", epochs), task.of("imagenet", epochs))


def limit_targets(limit: str) -> list[Target]:
    """The match beside the ImageNet slice of a size, at equal epochs and at equal seconds."""
    own, peer = f"match {limit}", f"elastic base {limit}"
    start = f"points over the elastic base's slice within {limit} parameters"
    seconds = partial(gain_at_equal_seconds, a=own, b=peer)
    return [
        Target(f"{start}, equal epochs", "all", over(peer, own), "more than", 0),
        Target(f"{start}, equal seconds", "all", seconds, "more than", 0),
    ]


def over(peer: str, method: str = "match") -> Callable[[Measured], float | None]:
    """Points of a method over a peer at the whole length."""
    return lambda task: gain(task.of(method), task.of(peer))


def strongest_baseline(tasks: Sequence[Measured]) -> str:
    """The baseline that leaves the match the least gain, on the tasks that both have."""

    def least(name: str) -> float:
        found = mean(map(over(name), tasks))
        return math.inf if found is None else found

    return min(BASELINES, key=least)


# Sections of the page: the tasks of one role to Markdown, drawing figures on the way


def comparison(kind: str, tasks: Sequence[Measured]) -> str:
    """The main methods at every length."""
    chosen = of_kind(tasks, kind)
    if not chosen:
        return ""
    head = ["task", "network", "trained on", "px", "params (M)", *map(plural, LENGTHS)]
    rows = [comparison_row(task, method) for task in chosen for method in MAIN]
    return join(
        "Test accuracy in %, mean over the seeds that were run ± half their range. Errors and "
        f"seconds after {plural(WHOLE)}, as a multiple of the ImageNet network's.",
        table([*head, "errors", "seconds"], rows),
        show(
            draw_seconds(chosen),
            f"seconds-{tasks[0].role}-{kind}",
            f"Accuracy against seconds, {kind}",
        ),
    )


def comparison_row(task: Measured, method: str) -> list[str]:
    own, whole = task.of(method), task.of("imagenet")
    classes = f"**{task.name}**, {task.choice['classes']} classes" if method == MAIN[0] else ""
    return [
        classes,
        label(method),
        *facts(own),
        *(spread(task.of(method, epochs)) for epochs in LENGTHS),
        number(error_ratio(own, whole), 2),
        number(time_ratio(own, whole), 2),
    ]


def resolutions(tasks: Sequence[Measured]) -> str:
    """The ImageNet network with other heads, resolutions and lengths, beside the match."""
    shown = [("match", WHOLE), (RANDOM_HEAD, WHOLE), ("imagenet", WHOLE)]
    shown += [(HIGHER[0], WHOLE), (HIGHER[1], 0), (HIGHER[1], 1)]
    shown += [("imagenet", 50)]
    head = ["task", *(f"{label(name)}, {plural(n)}" for name, n in shown)]
    rows = [[f"**{task.name}**", *(beside(task, *one) for one in shown)] for task in tasks]
    return join(
        "Test accuracy in %, first seed; in brackets the seconds as a multiple of those of the "
        f"ImageNet network at {RESOLUTION} px after {plural(WHOLE)}.",
        table(head, rows),
    )


def beside(task: Measured, method: str, epochs: int) -> str:
    """Accuracy of a run and its seconds beside the ImageNet network's."""
    run, peer = task.of(method, epochs).get(0), task.of("imagenet").get(0)
    if run is None or peer is None:
        return NONE
    return f"{100 * run['accuracy']:.1f} ({run['seconds'] / peer['seconds']:.1f})"


def limits(tasks: Sequence[Measured]) -> str:
    """The match under limits of size, beside slices of the elastic base."""
    head = ["task", "limit", "match", "px", "params (M)", "accuracy", "slice's params (M)"]
    head += ["slice's accuracy", "gain", "seconds", "gain at equal seconds"]
    rows = [limit_row(task, limit) for task in tasks for limit in LIMITS]
    return join(
        f"After {plural(WHOLE)}; gains in points over the elastic base's largest slice within "
        "the same limit, seconds as a multiple of the slice's. A dash at equal seconds: the match "
        "has no run that takes as little time.",
        table(head, rows),
    )


def limit_row(task: Measured, limit: str) -> list[str]:
    own, peer = task.of(f"match {limit}"), task.of(f"elastic base {limit}")
    return [
        f"**{task.name}**, {task.kind[:-1]}" if limit == LIMITS[0] else "",
        limit,
        *facts(own),
        spread(own),
        facts(peer)[-1],
        spread(peer),
        number(gain(own, peer), signed=True),
        number(time_ratio(own, peer), 2),
        number(gain_at_equal_seconds(task, f"match {limit}", f"elastic base {limit}"), signed=True),
    ]


def regret(tasks: Sequence[Measured]) -> str:
    """Every method beside the oracle."""
    runs = [sum(key[1:3] == (WHOLE, 0) for key in task.runs) for task in tasks if task.runs]
    seeds = [len(task.seeds) for task in tasks if task.runs]
    return join(
        f"After {plural(WHOLE)}. The oracle is the best on the *test* images of all networks that "
        f"were fine-tuned on a task (at least {min(runs, default=0)}), which no user has. At "
        f"{RESOLUTION} px all are means over the seeds that were run ({between(seeds)} a task), at "
        "any px the first seed, where luck helps the oracle more; a network at a higher "
        f"resolution can be better than the oracle at {RESOLUTION} px. Means are over the tasks "
        "that were run.",
        *(regret_table(tasks, kind) for kind in kinds(tasks)),
        show(draw_regret(tasks), f"regret-{tasks[0].role}", "Regret of each method"),
    )


def regret_table(tasks: Sequence[Measured], kind: str) -> str:
    chosen = of_kind(tasks, kind)
    head = [f"{kind}: method", "tasks", "not run", "accuracy (%)", f"regret at {RESOLUTION} px"]
    head += ["regret at any px", f"within {NEAR:g} point at {RESOLUTION} px"]
    head += [f"within {NEAR:g} point at any px"]
    rows = [oracle_row(chosen, RESOLUTION), oracle_row(chosen, None)]
    rows += [regret_row(chosen, method) for method in by_regret(chosen)]
    return table(head, rows)


def oracle_row(tasks: Sequence[Measured], resolution: int | None) -> list[str]:
    best = [task.oracle(resolution, task.seeds if resolution else (0,)) for task in tasks]
    name = f"*oracle at {resolution or 'any'} px*"
    run = len(known(best))
    return [name, str(run), str(len(tasks) - run), number(mean(best)), *[""] * 4]


def regret_row(tasks: Sequence[Measured], method: str) -> list[str]:
    accuracies = known(task.points(method) for task in tasks)
    regrets = [known(t.regret(method, r) for t in tasks) for r in (RESOLUTION, None)]
    return [
        f"**{method}**" if method == "match" else label(method),
        str(len(accuracies)),
        str(len(tasks) - len(accuracies)),
        number(mean(accuracies)),
        *(number(mean(values)) for values in regrets),
        *(f"{sum(v <= NEAR for v in values)} of {len(values)}" for values in regrets),
    ]


def by_regret(tasks: Sequence[Measured]) -> list[str]:
    """Methods by mean regret, those with a limit of size last, then those without a run."""
    names = dict.fromkeys(name for task in tasks for name in task.choice["methods"])
    names[RANDOM_HEAD] = None

    def key(name: str) -> tuple[bool, float]:
        found = mean(task.regret(name) for task in tasks)
        return name.endswith(LIMITS), math.inf if found is None else found

    return sorted(names, key=key)


def intervals(tasks: Sequence[Measured]) -> str:
    """What the search said of its match, and what came."""
    head = ["task", "kind", "trained on", "called related", "predicted", "low", "high", "real"]
    rows = [interval_row(task) for task in tasks]
    return join(
        f"Accuracy of the match in %, real: mean over seeds after {plural(WHOLE)}. The interval "
        "is meant to hold it for nine tasks in ten.",
        table([*head, "held"], rows),
        *(held(tasks, kind) for kind in kinds(tasks)),
        show(
            draw_intervals(tasks), f"predicted-{tasks[0].role}", "Predicted against real accuracy"
        ),
    )


def said(task: Measured) -> tuple[float, float | None, float | None]:
    """Predicted accuracy of the match and the ends of its interval, in points."""
    match = task.choice["result"]["matches"][0]
    ends = [None if match[end] is None else 100 * match[end] for end in ("low", "high")]
    return 100 * match["predicted_accuracy"], ends[0], ends[1]


def real(task: Measured) -> float | None:
    """Accuracy of the match in points, mean over seeds."""
    return mean(100 * run["accuracy"] for run in task.of("match").values())


def inside(task: Measured) -> bool | None:
    """Whether the interval held the accuracy; None where either is missing."""
    _, low, high = said(task)
    came = real(task)
    return None if low is None or high is None or came is None else low <= came <= high


def interval_row(task: Measured) -> list[str]:
    source = label(task.choice["result"]["matches"][0]["task"])
    answer = {True: "yes", False: "**no**", None: NONE}
    related = {True: "yes", False: "no", None: NONE}[task.choice["result"].get("related")]
    numbers = [*map(number, said(task)), number(real(task))]
    return [task.name, task.kind[:-1], source, related, *numbers, answer[inside(task)]]


def held(tasks: Sequence[Measured], kind: str) -> str:
    """How often the interval held, how wide it was, and how far the prediction was off."""
    chosen = [task for task in of_kind(tasks, kind) if inside(task) is not None]
    if not chosen:
        return ""
    count = sum(inside(task) is True for task in chosen)
    predictions = [(*said(task), real(task)) for task in chosen]
    width = mean(high - low for _, low, high, _ in predictions)  # type: ignore[operator]
    off = mean(abs(came - expected) for expected, *_, came in predictions)  # type: ignore[operator]
    return (
        f"- {kind}: the interval held on {count} of {len(chosen)} tasks "
        f"({100 * count / len(chosen):.0f} %), is {number(width)} points wide on average, and the "
        f"prediction is off by {number(off)}"
    )


def target_section(tasks: Sequence[Measured]) -> str:
    """What the match should reach, and whether it does."""
    head = ["tasks", "of the match", "target", "found", "met", "tasks that meet it", "not measured"]
    return join(
        "Found: mean over tasks ± its standard error; all seeds that both networks have, "
        f"{plural(WHOLE)} unless it says otherwise.",
        table(head, [t.row(tasks) for t in targets(tasks) if of_kind(tasks, t.kind)]),
    )


SECTIONS: Mapping[str, Callable[[Sequence[Measured]], str]] = {
    **{kind: partial(comparison, kind) for kind in KINDS},
    "resolutions": resolutions,
    "limits": limits,
    "regret": regret,
    "intervals": intervals,
    "targets": target_section,
}


def write() -> None:
    """Write the tables into the page and draw its figures."""
    tasks = load()
    page = PAGE.read_text() if PAGE.exists() else SKELETON
    for name, section in SECTIONS.items():
        parts = []
        for role in ROLES:
            own = [task for task in tasks if task.role == role]
            if own and (text := section(own)):
                parts.append(f"### {role.capitalize()} tasks\n\n{text}")
        page = fill(page, name, join(*parts) or "Nothing is measured yet.")
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    new = PAGE.with_suffix(".new")
    new.write_text(page)
    new.replace(PAGE)


def fill(page: str, name: str, text: str) -> str:
    """Put a text between a section's markers; a page without them stays as it is."""
    start, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    between = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not between.search(page):
        print(f"{PAGE.name} has no place for {name}; put {start} and {end} where it belongs")
    return between.sub(lambda _: f"{start}\n{text}\n{end}", page)


# Words and numbers


def kinds(tasks: Sequence[Measured]) -> list[str]:
    """The kinds that occur, and all of them where they are several."""
    found = [kind for kind in KINDS if of_kind(tasks, kind)]
    return [*found, "all"] if len(found) > 1 else found


def of_kind(tasks: Sequence[Measured], kind: str) -> list[Measured]:
    return [task for task in tasks if kind in ("all", task.kind)]


def label(method: str) -> str:
    return NAMES.get(method, method)


def plural(epochs: int) -> str:
    return f"{epochs} epoch{'s' * (epochs > 1)}" if epochs else "head alone"


def between(counts: Sequence[int]) -> str:
    """Least and most as text."""
    ends = sorted({min(counts, default=0), max(counts, default=0)})
    return " to ".join(map(str, ends))


def number(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """A number as text, a dash where there is none."""
    return NONE if value is None else f"{value:{'+' * signed}.{digits}f}"


def spread(runs: Mapping[int, Line]) -> str:
    """Mean accuracy in points over seeds, with half the range where there are several."""
    points = [100 * run["accuracy"] for run in runs.values()]
    half = f" ± {(max(points) - min(points)) / 2:.1f}" if len(points) > 1 else ""
    return number(mean(points)) + half


def with_error(values: Sequence[float]) -> str:
    """Mean over tasks, with its standard error where there are several."""
    several = len(values) > 1
    error = f" ± {statistics.stdev(values) / math.sqrt(len(values)):.2f}" if several else ""
    return number(mean(values), 2) + error


def facts(runs: Mapping[int, Line]) -> list[str]:
    """Source, resolution and size in millions of a method's network."""
    run = next(iter(runs.values()), None)
    if run is None:
        return [NONE] * 3
    return [label(run["source"]), str(run["resolution"]), f"{run['params'] / 1e6:.2f}"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def join(*parts: str) -> str:
    """Paragraphs; lines of one list stay together."""
    text = "\n\n".join(part for part in parts if part)
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", text)


# Figures


def show(figure: Figure | None, name: str, alternative: str) -> str:
    """Store a figure beside the page; Markdown that shows it."""
    if figure is None:
        return ""
    path = PAGE.parent / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return f"![{alternative}](figures/{path.name})"


def draw_seconds(tasks: Sequence[Measured]) -> Figure | None:
    """Accuracy against seconds of fine-tuning, a panel for each task."""
    run = [task for task in tasks if any(task.of(m, n) for m in MAIN for n in LENGTHS)]
    if not run:
        return None
    columns = 2 if len(run) == 4 else min(3, len(run))
    rows = math.ceil(len(run) / columns)
    size = (max(3.4 * columns, 4.6), 2.7 * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, task in zip(panels, run, strict=False):
        draw_curves(axis, task)
    for axis in panels[len(run) :]:
        axis.remove()
    lines = [_key(COLOURS[m], MARKERS[m], label(m), "-", WIDTHS[m]) for m in MAIN]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(MAIN), frameon=False)
    figure.supxlabel("seconds of fine-tuning", fontsize=10)
    figure.supylabel("test accuracy (%)", fontsize=10)
    return figure


def draw_curves(axis: Axes, task: Measured) -> None:
    for method in MAIN:
        cells = [list(own.values()) for n in LENGTHS if (own := task.of(method, n))]
        seconds = [statistics.fmean(run["seconds"] for run in runs) for runs in cells]
        points = [[100 * run["accuracy"] for run in runs] for runs in cells]
        means = [statistics.fmean(own) for own in points]
        colour, width = COLOURS[method], WIDTHS[method]
        axis.plot(seconds, means, MARKERS[method], color=colour, markersize=width + 3)
        axis.plot(seconds, means, color=colour, linewidth=width)
        axis.vlines(seconds, [*map(min, points)], [*map(max, points)], colour, linewidth=1)
    axis.set_title(f"{task.name} ({task.choice['classes']} classes)", fontsize=10)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _plain(axis)


def draw_intervals(tasks: Sequence[Measured]) -> Figure:
    """A row for each task: the interval, the prediction in it, and what came."""
    figure = Figure(figsize=(7.5, 0.42 * len(tasks) + 1.6), layout="constrained")
    axis = figure.subplots()
    for row, task in enumerate(tasks):
        predicted, low, high = said(task)
        if low is not None and high is not None:
            axis.plot([low, high], [row, row], color="#BBBBBB", lw=7, solid_capstyle="butt")
        axis.plot(predicted, row, "|", color="#222222", markersize=12, markeredgewidth=2)
        if (came := real(task)) is not None:
            marker, colour = KIND_MARKERS[task.kind], KIND_COLOURS[task.kind]
            axis.plot(came, row, marker, color=colour, markeredgecolor="white", markersize=8)
    axis.set_yticks(range(len(tasks)), [task.name for task in tasks])
    axis.set(xlabel="accuracy of the match (%)", xlim=(0, 102), ylim=(len(tasks) - 0.4, -0.6))
    handles = [_key("#BBBBBB", "", "interval", line="-", width=7)]
    handles += [_key("#222222", "|", "predicted"), *_kind_keys(tasks, "real, {}")]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    _plain(axis)
    return figure


def draw_regret(tasks: Sequence[Measured]) -> Figure | None:
    """Mean regret of each method without a limit as a bar, each task as a point."""
    methods = [m for m in by_regret(tasks) if not m.endswith(LIMITS)]
    methods = [m for m in methods if known(task.regret(m) for task in tasks)]
    if not methods:
        return None
    figure = Figure(figsize=(9.5, 0.42 * len(methods) + 1.6), layout="constrained")
    for axis, resolution in zip(
        figure.subplots(1, 2, sharey=True), (RESOLUTION, None), strict=True
    ):
        draw_regrets(axis, tasks, methods, resolution)
        axis.set_xlabel(f"points below the oracle at {resolution or 'any'} px")
    handles = [_key("#CCCCCC", "", "mean", line="-", width=7), *_kind_keys(tasks, "{}")]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    return figure


def draw_regrets(
    axis: Axes, tasks: Sequence[Measured], methods: Sequence[str], resolution: int | None
) -> None:
    for row, method in enumerate(methods):
        average = mean(task.regret(method, resolution) for task in tasks)
        axis.barh(row, average or 0.0, color="#CCCCCC", height=0.7)
        for kind, shift in zip(KINDS, (-0.14, 0.14), strict=True):
            points = known(task.regret(method, resolution) for task in of_kind(tasks, kind))
            if not points:  # nothing drawn, unclipped, has no place in a layout
                continue
            rows, colour = [row + shift] * len(points), KIND_COLOURS[kind]
            dots = axis.plot(points, rows, KIND_MARKERS[kind], color=colour, markersize=6)
            dots[0].set(markeredgecolor="white", clip_on=False, zorder=3)
    axis.set_yticks(range(len(methods)), [label(method) for method in methods])
    axis.set_ylim(len(methods) - 0.4, -0.6)
    axis.axvline(0, color="#222222", lw=0.8)
    _plain(axis)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)


def _key(colour: str, marker: str, text: str, line: str = "", width: float = 1.5) -> Line2D:
    key = Line2D([], [], color=colour, marker=marker, label=text, linewidth=width)
    key.set(linestyle=line or "none", markersize=7 if marker != "|" else 12, markeredgewidth=1.5)
    return key


def _kind_keys(tasks: Sequence[Measured], wording: str) -> list[Line2D]:
    """Legend of the kinds that occur."""
    found = [kind for kind in KINDS if of_kind(tasks, kind)]
    return [_key(KIND_COLOURS[k], KIND_MARKERS[k], wording.format(k)) for k in found]
