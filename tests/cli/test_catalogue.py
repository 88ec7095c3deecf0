"""Commands on networks that are not here yet; the hub is a server on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import timm

from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks import catalogue as offered
from tans.networks.catalogue import Catalogue, read_catalogue
from tans.networks.family import describe
from tans.networks.incoming import fetched
from tans.search import catalogue
from tans.types import NetworkRef
from tans.zoo.zoo import Zoo
from tests.cli.conftest import Run, assert_fails
from tests.stub_hub import StubHub

NAME = "test_resnet.r160_in1k"
ID = f"timm:{NAME}"


@pytest.fixture
def full(hub: StubHub, monkeypatch: pytest.MonkeyPatch) -> StubHub:
    """A hub with the one network that the catalogue has."""
    own = [offer for offer in offered.shipped().offers if offer.name == NAME]
    for place in (catalogue, fetched):
        monkeypatch.setattr(place, "shipped", lambda: Catalogue("1", tuple(own)))

    def measured(refs: Sequence[NetworkRef]) -> list[float]:
        return [describe(ref).body_flops / 1e8 for ref in refs]

    monkeypatch.setattr("tans.costs.latency.measure_ms", measured)
    monkeypatch.setattr(catalogue, "TOYS", "no toys")
    hub.put(f"timm/{NAME}", timm.create_model("test_resnet"))
    return hub


@pytest.fixture
def largest(judged_zoo: Zoo) -> Zoo:
    """A zoo whose judge takes the network of most pixels."""
    weights = tuple(1.0 if column == "resolution" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), weights, bias=0.0, strength=1.0, margin=0.5).save(
        judged_zoo.retrieval
    )
    return judged_zoo


@pytest.mark.long
def test_a_search_fetches_and_says_how_to_go_on(
    run: Run, dataset: Path, largest: Zoo, tmp_path: Path, full: StubHub
) -> None:
    zoo = ("--zoo", largest.path)
    answer = run("search", dataset, "--catalogue", "--look", 1, *zoo)
    assert answer.code == 0
    assert f"fetching {NAME}, 1.9 MB" in answer.err
    assert f"{ID}: " in answer.err
    assert ID in answer.out
    assert f"--network {ID} --zoo" in answer.out
    assert f"tans zoo add {ID} --zoo {largest.path}" in answer.out.replace("\n", " ")
    found = run("search", dataset, "--catalogue", "--look", 1, *zoo, "--json").json
    assert found["matches"][0]["id"] == ID
    assert found["tried"][0]["sha256"]
    tuned = run("finetune", dataset, "-o", tmp_path / "tuned", "--network", ID, *zoo, "--epochs", 1)
    assert tuned.code == 0
    assert (tmp_path / "tuned" / "report.html").is_file()
    image = next(dataset.rglob("*.png"))
    assert run("predict", tmp_path / "tuned", image).code == 0
    assert run("zoo", "add", ID, *zoo).code == 0  # out of the cache
    assert len(full.asked) == 1


def test_what_was_not_fetched_cannot_be_tuned(
    run: Run, dataset: Path, full: StubHub, judged_zoo: Zoo, tmp_path: Path
) -> None:
    zoo = ("--zoo", judged_zoo.path)
    for name, said in (
        (ID, "not in the cache"),
        (f"{ID}@96", "fetch them with 'tans search DATA --catalogue'"),
        ("timm:../nonsense", "the catalogue has no network '../nonsense'"),
    ):
        answer = run("finetune", dataset, "-o", tmp_path / "tuned", "--network", name, *zoo)
        assert_fails(answer, said)
    assert full.asked == []
    answer = run("search", dataset, "--catalogue", "--look", 0, *zoo)
    assert_fails(answer, "judged by a look; expected 1 or more")


def test_the_catalogue_is_made_anew(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm, "list_pretrained", lambda: [NAME])
    answer = run("zoo", "catalogue", tmp_path / "made.csv")
    assert answer.code == 0
    assert f"1 networks of timm {timm.__version__}, 0 of them not counted" in answer.out
    assert [offer.name for offer in read_catalogue(tmp_path / "made.csv").offers] == [NAME]
    (tmp_path / "other.csv").write_text("a,b\n")
    assert_fails(run("zoo", "catalogue", tmp_path / "other.csv"), "is no catalogue of networks")
