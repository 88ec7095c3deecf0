"""A page for each experiment, from the stored results alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tans.errors import ResultError
from tans.evaluation.catalogue import EXPERIMENTS
from tans.evaluation.drawing import Drawing
from tans.evaluation.experiment import Experiment, P
from tans.evaluation.results import Results


def write_pages(results: str | Path, to: str | Path, preset: str = "cpu") -> Iterator[Path]:
    """Draw every experiment that has results: a page, and a folder of its tables and figures.

    Args:
        results: folder of the results.
        to: folder of the pages, made when missing.
        preset: that the results were run with.

    Raises:
        ResultError: there are no results, or the pages cannot be written.
    """
    stored = Results(results)
    scaled = [experiment.scaled(preset) for experiment in EXPERIMENTS.values()]
    drawings = [(experiment, experiment.draw(stored)) for experiment in scaled]
    if not any(drawn for _, drawn in drawings):
        raise ResultError(f"no results in {results}; run an experiment with 'tans bench run'")
    for experiment, drawn in drawings:
        if drawn:
            yield _write(experiment, drawn, Path(to))


def _write(experiment: Experiment[P], drawings: Sequence[Drawing], to: Path) -> Path:
    folder, page = to / experiment.name, to / f"{experiment.name}.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        parts = [f"# {experiment.title}", experiment.question]
        for drawing in drawings:
            drawing.save(folder)
            parts.append(drawing.markdown(experiment.name))
        repeat = f"tans bench run {experiment.name}\ntans bench report"
        page.write_text("\n\n".join([*parts, f"```sh\n{repeat}\n```"]) + "\n")
    except OSError as error:
        raise ResultError(f"cannot write {page}: {error}; check its rights") from error
    return page
