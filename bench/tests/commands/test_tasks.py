"""Export of a dataset and import of a service's results, as a user meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tans import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two classes of 12 little images."""
    for name, shade in (("dark", 20), ("light", 200)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(12):
            picture = Image.new("RGB", (20, 20), (shade + k,) * 3)
            picture.save(tmp_path / "data" / name / f"{k}.png")
    return tmp_path / "data"


def test_export_of_a_folder(run: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, warned = run("tasks", "export", dataset, "--format", "azure", "-o", out)
    assert code == 0
    assert "24 pictures of one colour" in warned
    assert "Azure Custom Vision: 20 in training, 4 in test" in said
    assert len(list((out / "training").rglob("*.png"))) == 20
    where = ("--format", "vertex", "--gcs", "gs://b/p", "-o", out)
    code, _, warned = run("tasks", "export", dataset, *where, "--images", 8, "--force")
    assert code == 0
    assert "Vertex AI asks for: dark (4), light (4)" in warned
    assert (out / "import.csv").read_text().startswith("training,gs://b/p/training/dark/")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing", "--format", "azure"), "'nothing' is neither a path nor a packaged dataset"),
        (("nothing", "--format", "vertex"), "gs://bucket/prefix"),
        (("nothing", "--format", "aws"), "no format 'aws'"),
    ],
)
def test_export_with_bad_arguments(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, said, warned = run("tasks", "export", *arguments, "-o", tmp_path / "out")
    assert (code, said) == (1, "")
    assert warned.startswith("error: ")
    assert len(warned.splitlines()) == 1
    assert words in warned
    assert not (tmp_path / "out").exists()


def test_import(run: Run, tmp_path: Path) -> None:
    table, results = tmp_path / "mine.csv", tmp_path / "results"
    table.write_text("task,service,accuracy,training_minutes\nsolar-cells,Azure,71%,9\n")
    code, said, warned = run("bench", "import", table, "--results", results)
    assert (code, warned) == (0, "")
    assert f"tans bench report --results {results}" in said
    assert [path.name for path in results.rglob("*.json")] == ["azure-n300.json"]
    table.write_text("task,service,accuracy,training_minutes\nsolar-cells,Azure,71,9\n")
    code, said, warned = run("bench", "import", table, "--results", tmp_path / "new")
    assert (code, said) == (1, "")
    assert "line 2: the accuracy is '71'" in warned
    assert not (tmp_path / "new").exists()
