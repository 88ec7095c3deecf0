"""A page for each experiment, drawn from the stored results alone.

Each table and figure stands between two marks and is written anew each time; the text around them
is written by hand and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tans_bench.errors import ResultError
from tans_bench.experiments.catalogue import EXPERIMENTS
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, P
from tans_bench.runs.results import Results
from tans_bench.runs.versions import Versions, tell

BETWEEN = re.compile(r"\n<!-- drawn: (?P<mark>[^>]+) -->\n.*?<!-- end: (?P=mark) -->\n", re.DOTALL)
"""What is drawn on a page, with the blank line before it."""


def write_pages(results: str | Path, to: str | Path, preset: str = "cpu") -> Iterator[Path]:
    """Draw every experiment that has results: a page, and a folder of its tables and figures.

    Args:
        results: folder of the results.
        to: folder of the pages, made when missing.
        preset: that the results were run with.

    Raises:
        ResultError: there are no results, or a page cannot be written.
    """
    scaled = [experiment.scaled(preset) for experiment in EXPERIMENTS.values()]
    drawings = [(each, *_draw(each, Results(results))) for each in scaled]
    if not any(drawn for _, drawn, _ in drawings):
        raise ResultError(f"no results in {results}; run an experiment with 'tans bench run'")
    for experiment, drawn, made in drawings:
        if drawn:
            yield _write(experiment, drawn, made, Path(to))


def _draw(
    experiment: Experiment[P], results: Results
) -> tuple[Sequence[Drawing], Sequence[Versions]]:
    """What is drawn, and the versions of what was read for it."""
    return experiment.draw(results), list(results.made.values())


def _write(
    experiment: Experiment[P], drawings: Sequence[Drawing], made: Sequence[Versions], to: Path
) -> Path:
    folder, page = to / experiment.name, to / f"{experiment.name}.md"
    drawn = {_mark(drawing): drawing.markdown(experiment.name) for drawing in drawings}
    if made:
        drawn["versions"] = tell(made)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = page.read_text() if page.exists() else _heading(experiment)
        for mark in _marks(text) - drawn.keys():
            for old in folder.glob(f"{mark.split()[-1]}.*"):
                old.unlink()
        for drawing in drawings:
            drawing.save(folder)
        page.write_text(_with(text, drawn))
    except OSError as error:
        raise ResultError(f"cannot write {page}: {error}; check its rights") from error
    return page


def _heading(experiment: Experiment[P]) -> str:
    """A page before anything is drawn on it."""
    repeat = f"```sh\ntans bench run {experiment.name}\ntans bench report\n```"
    return f"# {experiment.title}\n\n{experiment.question}\n\n{repeat}\n"


def _mark(drawing: Drawing) -> str:
    return f"{type(drawing).__name__.lower()} {drawing.name}"


def _marks(text: str) -> set[str]:
    """Of what is drawn on a page."""
    return {found["mark"] for found in BETWEEN.finditer(text)}


def _with(text: str, drawn: Mapping[str, str]) -> str:
    """The page with what is drawn between its marks, at the end where it has none yet.

    What stands between other marks is of results that are no more, and is taken out.
    """

    def anew(old: re.Match[str]) -> str:
        mark = old["mark"]
        return _between(mark, drawn[mark]) if mark in drawn else ""

    there = _marks(text)
    new = [_between(mark, what) for mark, what in drawn.items() if mark not in there]
    return BETWEEN.sub(anew, text) + "".join(new)


def _between(mark: str, drawn: str) -> str:
    return f"\n<!-- drawn: {mark} -->\n{drawn}\n<!-- end: {mark} -->\n"
