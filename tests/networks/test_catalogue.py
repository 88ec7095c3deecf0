"""The catalogue of timm's pretrained networks: its file, and what is counted for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError
from tans.licences import UNSTATED, normalised
from tans.networks.catalogue import (
    HUB,
    Catalogue,
    Offer,
    made_anew,
    read_catalogue,
    said_by_timm,
    shipped,
)
from tans.networks.incoming.fetched import ID

SAMPLE = (
    "test_byobnet.r160_in1k",
    "test_vit.r160_in1k",
    "resnet18.a1_in1k",
    "mobilenetv3_small_050.lamb_in1k",
)


@pytest.mark.long
def test_what_is_counted_anew_is_what_stands_in_the_file(tmp_path: Path) -> None:
    made = made_anew(tmp_path / "catalogue.csv", SAMPLE)
    known = {offer.name: offer for offer in shipped().offers}
    assert [offer.name for offer in made.offers] == sorted(SAMPLE)
    assert made.timm == shipped().timm
    for offer in made.offers:
        assert offer == known[offer.name]
    assert read_catalogue(tmp_path / "catalogue.csv") == made


def test_the_file_is_of_all_pretrained_networks_of_its_timm() -> None:
    catalogue = shipped()
    assert len(catalogue.to_bytes()) < 500_000
    names = [offer.name for offer in catalogue.offers]
    assert len(names) == len(set(names))
    if timm.__version__ == catalogue.timm:
        assert names == sorted(timm.list_pretrained())
    counted = [offer for offer in catalogue.offers if not offer.lacking]
    assert len(counted) > 0.9 * len(names)
    for offer in counted:
        assert min(offer.width, offer.head_width, offer.params, offer.flops) > 0
        assert offer.licence == UNSTATED or normalised(offer.licence) == offer.licence
        assert offer.place.startswith((HUB, "https://"))
    assert all(offer.flops == 0 for offer in catalogue.offers if offer.lacking)


def test_metadata_of_timm_is_taken_over() -> None:
    vit = said_by_timm("vit_base_patch16_224.augreg_in21k_ft_in1k")
    assert (vit.kind, vit.architecture) == ("vision_transformer", "vit_base_patch16_224")
    assert vit.place == "hf-hub:timm/vit_base_patch16_224.augreg_in21k_ft_in1k"
    assert (vit.sizes, vit.fixed, vit.classes) == ((224,), True, 1000)
    assert said_by_timm("resnet18.a1_in1k").sizes == (224, 288)
    assert said_by_timm("convnext_tiny.fb_in1k").licence == "Apache-2.0"
    with pytest.raises(InputError, match="has no pretrained network 'resnet18.none'"):
        said_by_timm("resnet18.none")


def test_a_count_that_was_stopped_goes_on(tmp_path: Path) -> None:
    place, seen = tmp_path / "catalogue.csv", list[str]()

    def stop(done: int, total: int, name: str) -> None:
        assert (done, total) == (1, 2)
        seen.append(name)
        raise KeyboardInterrupt

    made_anew(place, SAMPLE[:1])
    with pytest.raises(KeyboardInterrupt):
        made_anew(place, SAMPLE[:2], stop)
    assert seen == [SAMPLE[1]]
    assert read_catalogue(place).offers[0].name == SAMPLE[0]


def test_what_cannot_be_counted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("tans.networks.catalogue.TIMM.describe", fail)
    (offer,) = made_anew(tmp_path / "catalogue.csv", SAMPLE[:1]).offers
    assert (offer.flops, offer.lacking) == (0, "MemoryError")


@pytest.mark.parametrize(
    "content", [b"", b"name\n", b"# timm 1\nname,kind\na,b\n", b"# timm 1\n\xff", b"\0" * 9]
)
def test_a_file_of_something_else_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "other.csv"
    place.write_bytes(content)
    with pytest.raises(InputError, match="is no catalogue of networks"):
        made_anew(place, SAMPLE[:1])
    assert place.read_bytes() == content
    with pytest.raises(InputError, match="no catalogue of networks can be read from"):
        read_catalogue(tmp_path / "none.csv")


TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Zl", "Cc"])
)
NUMBERS = st.integers(0, 10**13)
OFFERS = st.builds(
    Offer,
    name=TEXT.filter(bool),
    kind=TEXT,
    place=TEXT,
    licence=TEXT,
    sizes=st.lists(st.integers(1, 999), min_size=1, max_size=2).map(tuple),
    fixed=st.booleans(),
    classes=NUMBERS,
    width=NUMBERS,
    head_width=NUMBERS,
    params=NUMBERS,
    flops=NUMBERS,
    lacking=TEXT,
)


@given(st.lists(OFFERS, max_size=4))
def test_what_is_written_is_read_again(offers: list[Offer]) -> None:
    catalogue = Catalogue("1.0", tuple(offers))
    assert Catalogue.parse(catalogue.to_bytes(), "x") == catalogue


def test_ids_name_the_network_as_zoo_add_does() -> None:
    assert ID == "timm:"
