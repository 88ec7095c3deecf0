"""A page for each experiment, drawn from the stored results alone.

Each table and figure stands between two marks and is written anew each time; the text around them
is written by hand and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tans_bench.errors import ResultError
from tans_bench.experiments.catalogue import EXPERIMENTS
from tans_bench.runs.drawing import Drawing
from tans_bench.runs.experiment import Experiment, P
from tans_bench.runs.results import Results
from tans_bench.runs.versions import Versions, tell


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = page.read_text() if page.exists() else _heading(experiment)
        for drawing in drawings:
            drawing.save(folder)
            mark = f"{type(drawing).__name__.lower()} {drawing.name}"
            text = _put(text, mark, drawing.markdown(experiment.name))
        if made:
            text = _put(text, "versions", tell(made))
        page.write_text(text)
    except OSError as error:
        raise ResultError(f"cannot write {page}: {error}; check its rights") from error
    return page


def _heading(experiment: Experiment[P]) -> str:
    """A page before anything is drawn on it."""
    repeat = f"```sh\ntans bench run {experiment.name}\ntans bench report\n```"
    return f"# {experiment.title}\n\n{experiment.question}\n\n{repeat}\n"


def _put(text: str, mark: str, drawn: str) -> str:
    """The page with a drawing between its marks, which are added at the end where it has none."""
    begin, end = f"<!-- drawn: {mark} -->", f"<!-- end: {mark} -->"
    new = f"{begin}\n{drawn}\n{end}"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return between.sub(lambda _: new, text) if between.search(text) else f"{text}\n{new}\n"
