"""Table 2 and the right of Figure 6 c: do near networks do better than far ones?"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tans_bench.runs.comparison import averaged, percent
from tans_bench.runs.drawing import Drawing, Plot, Table, canvas
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.ranks import FARTHEST, NEAREST, Ranked, spearman
from tans_bench.runs.results import Result, Results

TASKS = ("script-greek", "icons-apps", "fashion-mnist", "0ad-terrain", "ufoai-textures")
PLAN = Ranked(TASKS, epochs=1, nearest=50, farthest=50)
PUBLISHED = "0.752, 0.583, 0.322, 0.214 and 0.213"
"""The paper's Table 2: Food, Drawing, Chinese, A. vs P., Colorectal."""

Found = Mapping[str, Mapping[str, Sequence[Result]]]


def draw(plan: Ranked, results: Results) -> Sequence[Drawing]:
    found = {task: p for task, p in plan.read(results).items() if p.keys() >= {NEAREST, FARTHEST}}
    return [_table(found), _figure(found)] if found else []


def _table(found: Found) -> Table:
    rows, gaps, correlations = [], [], []
    for task, places in found.items():
        near, far = places[NEAREST], places[FARTHEST]
        means = [statistics.fmean(run["accuracy"] for run in runs) for runs in (near, far)]
        gaps.append(means[0] - means[1])
        correlations.append(spearman([*near, *far], "similarity"))
        rows.append(
            [
                task,
                str(len(near) + len(far)),
                f"{correlations[-1]:.2f}",
                f"{spearman(near, 'similarity'):.2f}",
                f"{spearman([*near, *far], 'predicted'):.2f}",
                f"{spearman([*near, *far], 'params'):.2f}",
                *(percent(mean) for mean in means),
                percent(gaps[-1]),
            ]
        )
    mean = f"{statistics.fmean(correlations):.2f}"
    rows.append(["mean", "", mean, *[""] * 5, averaged(gaps)])
    caption = (
        "Spearman correlation of what the embeddings say with test accuracy after 1 epoch, over "
        "the 50 nearest and the 50 farthest networks of a task; and their accuracies in %. The "
        f"paper has {PUBLISHED} on its five tasks."
    )
    columns = (
        *("task", "networks", "similarity", "similarity, nearest alone", "predicted", "params"),
        *("nearest (%)", "farthest (%)", "gap"),
    )
    return Table("correlation", caption, columns, rows)


def _figure(found: Found) -> Plot:
    figure = canvas(2.2 * len(found), 2.4)
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (task, places) in zip(axes, found.items(), strict=True):
        for place, colour in ((NEAREST, "#0072B2"), (FARTHEST, "#D55E00")):
            similarity = [run["similarity"] for run in places[place]]
            accuracy = [100 * run["accuracy"] for run in places[place]]
            axis.plot(similarity, accuracy, "o", color=colour, markersize=3, alpha=0.6, label=place)
        axis.set_title(task, fontsize=9)
    axes[0].legend()
    figure.supxlabel("cosine of query and network")
    figure.supylabel("accuracy after 1 epoch (%)")
    return Plot("correlation", "Accuracy of the nearest and the farthest networks.", figure)


EXPERIMENT = Experiment(
    name="correlation",
    title="Distance and accuracy (Table 2, Figure 6 c)",
    question="Are the networks that lie near a query the better ones, and in that order?",
    plan=PLAN,
    drawn=draw,
)
