"""The page of what each rival is here, and where it is not run as its paper has it.

python -m tans_bench.experiments.deviations > bench/docs/rivals.md
"""

from __future__ import annotations

import sys

from tans_bench.methods.registry import BASELINES, RIVALS
from tans_bench.runs.drawing import Table

HEAD = """# Rivals, and where they deviate from their papers

What the paper of TANS compares with, and NSGANetV2. `tans bench run rivals` runs all of them with
tans on two tasks, each seed with a search of its own, at a size that two cores can pay for: [what
they reach](results/rivals.md). `--preset gpu` gives searches their published budgets, whose results
are named apart (`-full`): none was run, as no card was at hand. A change of a method raises its
version, which is part of the name of its results, so that what an older version chose stands for
nothing.
"""


def page() -> str:
    """All of it, in Markdown."""
    chosen = {name: BASELINES[name] for name in RIVALS}
    methods = [
        [entrant.title, f"`{name}`", str(entrant.version), entrant.about]
        for name, entrant in chosen.items()
    ]
    rows = [
        [entrant.title, one.what, one.paper, one.here, one.why]
        for entrant in chosen.values()
        for one in entrant.deviations
    ]
    first = Table("methods", "", ("rival", "name", "version", "how it chooses"), methods)
    second = Table("deviations", "", ("rival", "what", "paper", "here", "why"), rows)
    return f"{HEAD}\n{first.grid()}\n\n## Deviations\n\n{second.grid()}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
