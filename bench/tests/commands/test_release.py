"""The whole way of a release by the command line: import, train, ask, search, fine-tune."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from bench.tests.release.published import DATASETS, NETWORKS, write_release
from PIL import Image

from tans.meta.presets import PRESETS
from tests.cli.conftest import Run


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's preset with fewer steps."""
    monkeypatch.setitem(PRESETS, "paper", replace(PRESETS["paper"], steps=150, evaluate_every=50))


@pytest.mark.usefixtures("short")
@pytest.mark.long
def test_a_release_is_imported_trained_and_finds_its_own_datasets(
    run: Run, release: Path, tmp_path: Path
) -> None:
    zoo = tmp_path / "zoo"
    made = run("bench", "release", "import", release, zoo)
    assert made.code == 0
    assert f"{len(DATASETS) * NETWORKS} networks, 0 of them with weights" in made.out
    assert "taken as per cent" in made.err
    trained = run("train", "--preset", "paper", "--zoo", zoo, "--json")
    assert trained.json["retrieval"]["tasks"]["r1"] == 1.0
    asked = run("bench", "release", "ask", release / "p_m_train.pt", "--zoo", zoo, "--json").json
    assert asked["retrieval"]["tasks"]["r1"] == 1.0
    assert asked["retrieval"]["tasks_chance"]["r1"] == pytest.approx(1 / 6)
    new = run("bench", "release", "ask", release / "meta_test_honey.pt", "--zoo", zoo, "--json")
    assert {match["task"] for match in new.json["matches"]} == {"bees"}
    own = run(
        *("bench", "release", "ask", release / "p_m_train.pt", "--dataset", "stars"),
        *("--zoo", zoo, "--top", 3, "--max-params", "20M"),
    )
    assert own.out.count("stars-") == 3
    assert "chance" in run("bench", "release", "ask", release / "p_m_train.pt", "--zoo", zoo).out


@pytest.mark.long
@pytest.mark.usefixtures("short")
def test_images_are_searched_for_with_query_weights_alone(
    run: Run, release: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    for name, shade in (("dark", 20), ("light", 200)):
        (pictures / name).mkdir(parents=True)
        for k in range(8):
            image = Image.new("RGB", (40, 40), (shade + k,) * 3)
            image.save(pictures / name / f"{k}.png")
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    without, zoo = tmp_path / "without", tmp_path / "zoo"
    for path, given in ((without, ()), (zoo, ("--query-weights", tmp_path / "resnet18.pth"))):
        assert run("bench", "release", "import", release, path, *given).code == 0
        assert run("train", "--preset", "paper", "--zoo", path).code == 0
    refused = run("search", pictures, "--zoo", without)
    assert refused.code == 1
    assert "import it again with --query-weights" in refused.err
    found = run("search", pictures, "--zoo", zoo, "--json").json["matches"]
    assert len(found) == 10
    tuned = run("finetune", pictures, "--zoo", zoo, "-o", tmp_path / "tuned")
    assert tuned.code == 1
    assert "weights of this network were not given" in tuned.err
    assert ".pt of the TANS release" in tuned.err
    assert not (tmp_path / "tuned").exists()
    shown = run("zoo", "show", found[0]["id"], "--zoo", zoo)
    assert "missing:supernets/" in shown.out
    assert (
        f"{len(DATASETS) * NETWORKS} networks have no weights"
        in run("zoo", "verify", "--zoo", zoo).out
    )


def test_what_is_wrong_is_one_error(run: Run, release: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo"
    (tmp_path / "cut.pt").write_bytes((release / "p_m_train.pt").read_bytes()[:-100])
    train = release / "p_m_train.pt"
    for arguments, expected in (
        (("import", tmp_path, zoo), "p_mod_zoo.pt cannot be read"),
        (("ask", tmp_path / "cut.pt"), "cut.pt is damaged"),
        (("ask", train, "--dataset", "star"), "has no dataset 'star'"),
        (("ask", train, "--max-params", "3M"), "expected --dataset"),
        (("ask", release / "meta_test_honey.pt", "--dataset", "a"), "leave --dataset out"),
    ):
        answer = run("bench", "release", *arguments)
        assert answer.code == 1
        assert expected in answer.err
        assert "Traceback" not in answer.err
    assert not zoo.exists()
