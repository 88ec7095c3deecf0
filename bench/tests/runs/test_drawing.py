"""Tables and figures as files."""

from __future__ import annotations

import csv
from pathlib import Path

from tans_bench.runs.drawing import Plot, Table, canvas


def test_a_table_is_markdown_and_csv(tmp_path: Path) -> None:
    table = Table("t", "Caption.", ("method", "accuracy"), [["tans", "**87.1 ± 1**"], ["x", "3"]])
    table.save(tmp_path)
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[1] == "| --- | ---: |"
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ["tans", "87.1 ± 1"]
    assert "t.csv" in table.markdown("folder")


def test_a_figure_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        figure = canvas(2, 1)
        figure.subplots().plot([0, 1])
        Plot(name, "A line.", figure).save(tmp_path)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
