"""Figure 6 a and b: accuracy within limits on parameters and on multiply-adds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tans.types import Constraints
from tans_bench.methods.entrants import get_method
from tans_bench.recipes import EPOCHS
from tans_bench.runs.comparison import Cell, averaged, cells, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Arm, Comparison, Experiment
from tans_bench.runs.jobs import LIMITS
from tans_bench.runs.results import Results
from tans_bench.runs.roles import FIRST_DEV

PARAMS = ("1M", "2M", "3M")
FLOPS = ("10M-flops", "20M-flops", "30M-flops")
YARDSTICK = "elastic-base"
"""ImageNet's own subnet of the size."""
METHODS = ("tans", YARDSTICK, "ofa", "nearest-dataset", "random")
PLAN = Comparison((Arm(METHODS, FIRST_DEV, (EPOCHS,), limits=(*PARAMS, *FLOPS)),))


def draw(plan: Comparison, results: Results) -> Sequence[Drawing]:
    stored = cells(plan.arms, results)
    methods = {method for arm in plan.arms for method in arm.methods}
    ran: dict[tuple[str, str], set[str]] = {}
    for cell in stored:
        ran.setdefault((cell.task, cell.limits), set()).add(cell.method)
    # so that all means within a limit are over the same tasks
    found = [cell for cell in stored if ran[cell.task, cell.limits] == methods]
    return [_table(found), _figure(found)] if found else []


def _of(found: Sequence[Cell], method: str, limits: str) -> dict[str, Cell]:
    """By task."""
    return {c.task: c for c in found if (c.method, c.limits) == (method, limits)}


def _table(found: Sequence[Cell]) -> Table:
    rows = []
    pairs = dict.fromkeys((cell.method, cell.limits) for cell in found)
    for method, limits in sorted(pairs, key=lambda pair: (*PARAMS, *FLOPS).index(pair[1])):
        own, yardstick = _of(found, method, limits), _of(found, YARDSTICK, limits)
        gains = [c.accuracy - yardstick[task].accuracy for task, c in own.items()]
        rows.append(
            [
                _written(LIMITS[limits], limits),
                get_method(method).title,
                str(len(own)),
                f"{statistics.fmean(c.choice['params'] / 1e6 for c in own.values()):.2f}",
                f"{statistics.fmean(c.choice['flops'] / 1e6 for c in own.values()):.1f}",
                percent(statistics.fmean(cell.accuracy for cell in own.values())),
                averaged(gains),
            ]
        )
    caption = (
        f"Test accuracy in % after {EPOCHS} epochs, and points over ImageNet's own subnet "
        "within the same limit, with the 95 % interval of the mean over tasks."
    )
    columns = ("limit", "method", "tasks", "params (M)", "FLOPs (M)", "accuracy", "gain")
    return Table("limits", caption, columns, rows)


def _written(limits: Constraints, name: str) -> str:
    if name in PARAMS and limits.max_params is not None:
        return f"{limits.max_params / 1e6:g} million parameters"
    return f"{(limits.max_flops or 0) / 1e6:g} million FLOPs"


def _figure(found: Sequence[Cell]) -> Plot:
    figure = canvas(7, 3)
    for axis, names, label in zip(
        figure.subplots(1, 2, sharey=True),
        (PARAMS, FLOPS),
        ("parameters, at most (M)", "FLOPs, at most (M)"),
        strict=True,
    ):
        for place, method in enumerate(dict.fromkeys(cell.method for cell in found)):
            means = {name: _of(found, method, name) for name in names}
            shown = {name: own for name, own in means.items() if own}
            values = [
                100 * statistics.fmean(c.accuracy for c in own.values()) for own in shown.values()
            ]
            title = get_method(method).title
            axis.plot(list(shown), values, "o-", color=f"C{place}", label=title, markersize=4)
        axis.set_xticks(range(len(names)), [name.split("M")[0] for name in names])
        axis.set_xlabel(label)
    handles, titles = axis.get_legend_handles_labels()
    figure.legend(handles, titles, loc="outside upper center", ncols=len(handles))
    figure.supylabel("accuracy (%), mean over tasks")
    return Plot("limits", "Accuracy within limits.", figure)


EXPERIMENT = Experiment(
    name="limits",
    title="Accuracy within limits (Figure 6 a and b)",
    question="Is the network that tans finds within a limit better than ImageNet's of that size?",
    plan=PLAN,
    drawn=draw,
)
