"""Table 1 and Figures 2 and 5, as the main comparison and that of all rivals draw them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.ticker import NullFormatter

from tans_bench.methods.entrants import get_method
from tans_bench.runs.drawing import Plot, canvas

SHORT, LONG = 10, 50
"""Epochs, as in the paper."""
TENFOLD = 10 * SHORT
"""Epochs of what begins without weights, ten times the shortest, as in the paper."""
YARDSTICK = "imagenet", LONG
"""Method and epochs that speed-ups and gains are against, as in the paper."""
AS_PUBLISHED = ("paper",)
"""Fine-tuned by the paper's recipe, all others by one."""
PUBLISHED = {
    ("imagenet", LONG): ("1.00x", "94.20 ± 0.70"),
    ("tans", SHORT): ("", "95.17 ± 2.20"),
    ("tans", LONG): ("1.28x", "96.28 ± 0.30"),
    ("paper", SHORT): ("", "95.17 ± 2.20"),
    ("paper", LONG): ("1.28x", "96.28 ± 0.30"),
    ("ofa", LONG): ("0.74x", "93.89 ± 0.84"),
    ("metad2a", LONG): ("0.74x", "95.24 ± 1.14"),
    ("fbnet-a", LONG): ("0.88x", "93.00 ± 1.95"),
    ("pc-darts", TENFOLD): ("0.04x", "79.22 ± 1.69"),
    ("drnas", TENFOLD): ("0.04x", "84.06 ± 0.97"),
}
"""Speed-up and accuracy in the paper's Table 1: other tasks, whole datasets, MobileNetV3. Its
PC-DARTS and DrNAS are trained for 500 epochs."""
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Whole times that Figure 2 marks, as far as its points reach."""
FORMS = ("o-", "^--", "D:")
"""Marks and lines of Figure 2."""
PANELS = 4
"""Of learning curves, in a row at most."""
COLOURS = {
    **{"ofa": "#E69F00", "nsganetv2": "#009E73", "fbnet": "#CC79A7", "metad2a": "#56B4E9"},
    **{"imagenet": "#D55E00", "paper": "#000000", "tans": "#0072B2"},
}
"""Methods whose learning curves are drawn; the last lie on top."""

Points = Sequence[tuple[float, float]]
"""Whole time, the yardstick's being 1, and points over the yardstick, for each length."""
History = Sequence[Mapping[str, float]]
"""What a fine-tune's result tells of each epoch."""


def against_time(lines: Iterable[tuple[str, bool, Points]], over: str, more: str = "") -> Plot:
    """Figure 2: mean accuracy against the whole time.

    Args:
        lines: of each method, its title, whether it was imported, and its points.
        over: what the points are means of, for the caption.
        more: what else the caption says.
    """
    figure = canvas(6, 3.6)
    axis = figure.subplots()
    longest = TICKS[0]
    for place, (title, imported, points) in enumerate(lines):
        if points:
            times, gains = zip(*points, strict=True)
            longest = max(longest, *times)
            # ten colours for each form, so that no two methods look alike
            form = "s" if imported else FORMS[place // 10 % len(FORMS)]
            axis.plot(times, gains, form, color=f"C{place % 10}", label=title, markersize=5)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    ticks = [tick for tick in TICKS if tick <= max(2, longest)]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(f"seconds of search and training (ImageNet's {LONG} epochs = 1)")
    axis.set_ylabel(f"points over ImageNet's {LONG} epochs")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "Accuracy against the whole time, search included, both relative to ImageNet's "
        f"{LONG} epochs: {over}."
    )
    return Plot("time", caption + more, figure)


def curves(histories: Mapping[str, Mapping[str, Sequence[History]]], over: str) -> Plot:
    """Figure 5: validation accuracy after each epoch of the long fine-tunes.

    Args:
        histories: by task and method, one for each run; the mean over runs is drawn.
        over: what is drawn of the runs, for the caption.
    """
    width = min(PANELS, len(histories)) or 1
    lines = -(-len(histories) // PANELS) or 1
    figure = canvas(2.4 * PANELS if lines > 1 else 4 * width, 1.9 * lines if lines > 1 else 3)
    axes = figure.subplots(lines, width, squeeze=False).flatten()
    for axis in axes[len(histories) :]:
        axis.set_visible(False)
    for axis, (task, found) in zip(axes, histories.items(), strict=False):
        for method, colour in COLOURS.items():
            if method in found:
                epochs = [line["epoch"] for line in found[method][0]]
                values = [
                    100 * statistics.fmean(line["val_accuracy"] for line in epoch)
                    for epoch in zip(*found[method], strict=True)
                ]
                axis.plot(epochs, values, color=colour, label=get_method(method).title)
        axis.set_title(task, fontsize=9)
    handles = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=PANELS)
    figure.supxlabel("epochs")
    figure.supylabel("validation accuracy (%)")
    caption = (
        f"Learning curves over {LONG} epochs, {over}. The paper draws test accuracy; here the test "
        "images are looked at once, at the end, so these are of the validation images."
    )
    return Plot("curves", caption, figure)
