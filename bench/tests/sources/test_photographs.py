from __future__ import annotations

import pytest

from tans_bench.errors import SourceError
from tans_bench.sources.packages import Package
from tans_bench.sources.photographs import DEFECTS, solar_cells

from .conftest import MakePackage, draw


def _package(make: MakePackage, rows: list[str], drawn: int) -> Package:
    package = make("elpv-dataset")
    folder = package.folder / "elpv_dataset/data"
    for number in range(drawn):
        draw(folder / f"images/cell{number}.png", seed=number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text("\n".join(rows))
    return package


def test_cells_are_labelled_by_their_likelihood_of_a_defect(make_package: MakePackage) -> None:
    likelihoods = ["0.0", "0.3333333333333333", "0.6666666666666666", "1.0"]
    rows = [f"images/cell{i}.png  {value}   mono" for i, value in enumerate(likelihoods)]
    pictures = solar_cells([_package(make_package, rows, drawn=4)])
    assert [DEFECTS[label] for label in pictures.labels] == list(DEFECTS)
    assert pictures.groups == tuple(f"images/cell{i}.png" for i in range(4))


def test_a_cell_whose_picture_is_missing_is_left_out(make_package: MakePackage) -> None:
    rows = ["images/cell0.png 1.0 poly", "images/cell7.png 0.0 poly"]
    pictures = solar_cells([_package(make_package, rows, drawn=1)])
    assert pictures.labels.tolist() == [3]


def test_no_picture_at_all_is_an_error(make_package: MakePackage) -> None:
    with pytest.raises(SourceError, match="no picture"):
        solar_cells([_package(make_package, ["images/cell0.png 1.0 poly"], drawn=0)])
