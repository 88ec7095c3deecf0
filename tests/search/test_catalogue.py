"""Networks of the catalogue in a search; the hub is a server on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from tans.errors import InputError, LimitError, ZooError
from tans.licences import UNSTATED
from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.networks import catalogue as offered
from tans.networks.catalogue import Catalogue, Offer, shipped
from tans.networks.family import describe
from tans.networks.incoming import fetched
from tans.networks.incoming.fetched import fetch, kept
from tans.networks.published import get_published, read_published
from tans.search import SearchResult, Terms, catalogue, search, search_catalogue
from tans.search.catalogue import Choice, choices, images_of, in_turn, is_told, usable
from tans.types import Constraints, NetworkRef
from tans.workflow import search_beyond
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo
from tests.small_zoo import drawn_task
from tests.stub_hub import StubHub

QUERY = drawn_task("green", "three", seed=3)
TAG = "r160_in1k"
RESNET, CONVNEXT, VIT, BYOB = (f"test_{n}.{TAG}" for n in ("resnet", "convnext", "vit", "byobnet"))
SLOWEST = "nfnet"

Search = Callable[..., SearchResult]


@pytest.fixture(scope="module")
def judging(small_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zoo that judges by the probe alone."""
    folder = tmp_path_factory.mktemp("judging") / "zoo"
    shutil.copytree(small_zoo.path, folder)
    by_probe = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    Calibrator((0.0,) * len(COLUMNS), by_probe, bias=0.0, strength=1.0, margin=0.5).save(
        Zoo.open(folder).retrieval
    )
    return folder


@pytest.fixture(scope="module")
def stored(judging: Path) -> SearchResult:
    """What the zoo's own search gives."""
    return search(QUERY, Zoo.open(judging), look=1, top=1000)


@pytest.fixture
def zoo(judging: Path) -> Zoo:
    """It knows of no network that another test fetched."""
    return Zoo.open(judging)


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Offer]:
    """What the catalogue has: four networks of different kinds, looked at on few images."""
    monkeypatch.setattr(catalogue, "RUNGS", (8, 12, 16))
    found = {o.name: o for o in shipped().offers if o.name in (RESNET, CONVNEXT, VIT, BYOB)}
    _show(monkeypatch, found.values())
    return found


def _show(monkeypatch: pytest.MonkeyPatch, offers: Any) -> None:
    shown = Catalogue(offered.shipped().timm, tuple(offers))
    for place in (catalogue, fetched):
        monkeypatch.setattr(place, "shipped", lambda: shown)


@pytest.fixture
def full(hub: StubHub, offers: dict[str, Offer]) -> StubHub:
    """A hub that holds all that the catalogue has."""
    for name, offer in offers.items():
        torch.manual_seed(0)
        hub.put(f"timm/{name}", timm.create_model(offer.architecture))
    return hub


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that timm tests itself with do for tests here."""
    monkeypatch.setattr(catalogue, "TOYS", "no toys")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks take a nanosecond for ten multiply-adds, and a ``SLOWEST`` one ten times that."""

    def measured(refs: Sequence[NetworkRef]) -> list[float]:
        return [describe(ref).body_flops / 1e7 * (10 if SLOWEST in ref.name else 1) for ref in refs]

    monkeypatch.setattr("tans.costs.latency.measure_ms", measured)


@pytest.fixture
def beyond(zoo: Zoo, stored: SearchResult) -> Search:
    """Searches the catalogue after the zoo."""

    def beyond(terms: Terms | None = None, tell: Any = None) -> SearchResult:
        terms = replace(terms or Terms(), top=1000)
        return search_catalogue(QUERY, zoo, stored, terms, tell)

    return beyond


@pytest.mark.long
def test_networks_that_were_fetched_stand_in_one_list_with_those_of_the_zoo(
    full: StubHub, zoo: Zoo, beyond: Search, offers: dict[str, Offer]
) -> None:
    told: list[str] = []
    found = beyond(tell=told.append)
    assert {tried.look.id for tried in found.tried} == {f"timm:{name}" for name in offers}
    assert found.tried[-1].look.id in {match.id for match in found}
    assert any(not match.id.startswith("timm:") for match in found)
    predicted = [match.predicted_accuracy for match in found]
    assert predicted == sorted(predicted, reverse=True)
    looks = {tried.look.id: tried.look for tried in found.tried}
    for match in (match for match in found if match.id in looks):
        entry = zoo.entry(match.id)
        assert match.licences == Licensing.of(zoo).chain(entry)
        assert match.licences.commercial
        # the calibrator takes the probe at its word
        assert match.predicted_accuracy == pytest.approx(looks[match.id].accuracy)
        assert match.low is not None
        assert match.high is not None
        assert match.low <= match.predicted_accuracy <= match.high
        assert -1.001 <= match.similarity <= 1.001
        assert match.params == describe(entry.ref).costs(3, deep=True).params
    for tried in found.tried:
        name = tried.look.id.removeprefix("timm:")
        stored = kept(name)
        assert stored is not None
        assert tried.sha256 == stored.sha256
        assert f"fetching {name}, {tried.megabytes:.1f} MB" in told
        assert any(line.startswith(f"fetched {name}, ") for line in told)
    assert found.notes == ()
    assert len(full.asked) == len(offers)


@pytest.mark.long
@pytest.mark.usefixtures("full")
def test_what_was_found_can_be_loaded_and_is_in_no_zoo(zoo: Zoo, beyond: Search) -> None:
    before = len(zoo.entries())
    best = next(match for match in beyond() if match.id.startswith("timm:"))
    network = zoo.load(best.id, classes=3)
    assert network.input.size == best.resolution
    assert len(zoo.entries()) == before
    assert not Zoo.open(zoo.path).fetched


@pytest.mark.usefixtures("full")
@pytest.mark.long
def test_more_images_are_for_the_better_half(beyond: Search) -> None:
    found = beyond()
    assert [tried.images for tried in found.tried] == [8, 8, 12, 16]
    judged = [match.id for match in found if match.id.startswith("timm:")]
    assert judged == [found.tried[-1].look.id]


@pytest.mark.long
@pytest.mark.usefixtures("full")
def test_limits_and_licences_are_kept_before_anything_is_fetched(
    hub: StubHub, beyond: Search, offers: dict[str, Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = max(offers.values(), key=lambda offer: offer.params)
    found = beyond(Terms(Constraints(max_params=heavy.params - 1)))
    assert f"timm/{heavy.name}" not in hub.asked
    assert 0 < len(found.tried) < len(offers)
    licences = dict(zip(offers, ("CC-BY-NC-4.0", UNSTATED, "MIT", "LicenseRef-mine"), strict=True))
    _show(monkeypatch, [replace(o, licence=licences[o.name]) for o in offers.values()])
    tried = {t.look.id.removeprefix("timm:") for t in beyond(Terms(commercial=True)).tried}
    assert tried == {name for name, licence in licences.items() if licence == "MIT"}
    tried = {t.look.id.removeprefix("timm:") for t in beyond().tried}
    assert tried == licences.keys() - {n for n, licence in licences.items() if licence == UNSTATED}


@pytest.mark.long
@pytest.mark.usefixtures("full")
def test_a_network_too_slow_at_its_size_is_taken_at_half_of_it_if_it_can(
    beyond: Search, offers: dict[str, Offer]
) -> None:
    limit = offers[RESNET].flops / 2 / 1e7
    found = beyond(Terms(Constraints(max_flops=offers[RESNET].flops / 2)))
    sizes = {tried.look.id: tried.look.resolution for tried in found.tried}
    assert sizes[f"timm:{RESNET}@96"] == 96
    assert sizes[f"timm:{CONVNEXT}"] == 160
    ours = [match for match in found if match.id.startswith("timm:")]
    assert all(match.flops <= offers[RESNET].flops / 2 for match in ours)
    fast = beyond(Terms(Constraints(max_latency_ms=limit)))
    ours = [match for match in fast if match.id.startswith("timm:")]
    assert ours
    assert all(0 < (match.latency_ms or 0) <= limit for match in ours)


@pytest.mark.usefixtures("hub")
def test_what_one_kind_of_architecture_takes_is_learnt(
    beyond: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = next(
        o for o in offered.shipped().offers if SLOWEST in o.name and o.name.startswith("test")
    )
    _show(monkeypatch, [slow])
    found = beyond(Terms(Constraints(max_latency_ms=2 * slow.flops / 1e7)))
    assert found.tried == ()


@pytest.mark.long
def test_without_a_hub_the_search_goes_on_with_what_is_here(
    full: StubHub, beyond: Search, offers: dict[str, Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(offers[CONVNEXT])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = beyond()
    assert [tried.look.id for tried in found.tried] == [f"timm:{CONVNEXT}"]
    (note,) = found.notes
    assert note.startswith("the hub is out of reach (")
    for name in offers.keys() - {CONVNEXT}:
        assert name in note
    assert note.endswith("and the search goes on with what is in the cache and in the zoo")
    assert len(full.asked) == 1


@pytest.mark.long
def test_what_fails_is_told_and_others_are_tried(
    full: StubHub, beyond: Search, offers: dict[str, Offer]
) -> None:
    full.ails[f"timm/{RESNET}"] = "broken"
    full.ails[f"timm/{VIT}"] = "half"
    shutil.rmtree(full.held / "timm" / BYOB)
    found = beyond()
    assert [tried.look.id for tried in found.tried] == [f"timm:{CONVNEXT}"]
    assert len(found.notes) == len(offers) - 1
    for name, said in ((RESNET, "came damaged"), (VIT, "cannot be fetched"), (BYOB, "answers 404")):
        assert any(name in note and said in note for note in found.notes)


@pytest.mark.usefixtures("full")
def test_the_minutes_count_downloads_and_looks(
    beyond: Search, offers: dict[str, Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]

    def told(line: str) -> None:
        passed[0] += 400 if line.startswith("fetching") else 0

    monkeypatch.setattr(catalogue.time, "monotonic", lambda: passed[0])
    found = beyond(tell=told)
    # the second download ends after the ten minutes; the better of both gets the whole look
    assert 0 < len(found.tried) < len(offers)
    assert found.tried[-1].images == 16
    assert any("10 minutes for the catalogue were spent" in note for note in found.notes)


@pytest.mark.long
@pytest.mark.usefixtures("full")
def test_where_nothing_stored_fits_the_catalogue_may_have_something(
    zoo: Zoo, offers: dict[str, Offer]
) -> None:
    fits = min(offers.values(), key=lambda offer: offer.costs(3).params)
    params = fits.costs(3).params
    found = search_beyond(QUERY, zoo, Terms(Constraints(max_params=params)), look=1)
    assert [match.id for match in found] == [f"timm:{fits.name}"]
    assert "zoo: no network here fits" in found.notes[-1]
    with pytest.raises(LimitError, match="no network here fits max_params"):
        search_beyond(QUERY, zoo, Terms(Constraints(max_params=params - 1)), look=1)
    with pytest.raises(InputError, match="judged by a look; expected 1 or more"):
        search_beyond(QUERY, zoo, Terms(), look=0)


@pytest.mark.slow
def test_networks_that_their_authors_trained(
    hub: StubHub, beyond: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that packages carry, as the hub has them under other names."""
    names = {
        name: next(o for o in offered.shipped().offers if o.architecture == name)
        for name in ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "mobilenetv2_100")
    }
    _show(monkeypatch, names.values())
    for name, offer in names.items():
        network = timm.create_model(name)
        network.load_state_dict(read_published(get_published(name)))
        hub.put(f"timm/{offer.name}", network)
    found = beyond(Terms(Constraints(max_flops=150e6)))
    tried = {each.look.id: each.look for each in found.tried}
    assert tried.keys() == {
        f"timm:{names[name].name}@128" for name in ("tf_efficientnet_lite0", "mobilenetv2_100")
    }
    assert all(look.accuracy > 0.9 for look in tried.values())


def test_a_zoo_without_a_calibrator_is_refused(small_zoo: Zoo) -> None:
    found = search(QUERY, small_zoo)
    with pytest.raises(ZooError, match="has no calibrator, which judges networks"):
        search_catalogue(QUERY, small_zoo, found, Terms())


def test_of_a_tag_it_is_known_how_many_images_were_learnt_from() -> None:
    def offer(tag: str, classes: int = 0) -> Offer:
        return Offer(f"net.{tag}", "net", "hf-hub:timm/net", "MIT", (224,), False, classes)

    for tag, images in (
        ("fb_in22k_ft_in1k", 14e6),
        ("ra2_in1k", 1.28e6),
        ("laion2b_ft_in12k_in1k", 2e9),
        ("openai_ft_in1k", 400e6),
        ("metaclip_2pt5b", 2.5e9),
        ("sw_in12k", 12e6),
        ("mae", 1.28e6),
    ):
        assert images_of(offer(tag)) == images
    assert not is_told(offer("mae"))
    assert not is_told(offer("mim_in22k"))
    assert is_told(offer("mim_in22k_ft_in1k", classes=1000))
    assert is_told(offer("lvd142m"))
    assert is_told(offer("miil", classes=1000))


NAMES = st.sampled_from([f"{kind}_{k}" for kind in "abc" for k in range(4)])


@given(st.lists(st.tuples(NAMES, st.integers(1, 9)), max_size=12), st.integers(1, 5))
def test_a_shortlist_is_of_different_kinds_first(drawn: list[tuple[str, int]], count: int) -> None:
    ranked = [
        Choice(Offer(f"{name}.{k}", name[0], "hf-hub:t/n", "MIT", (9,), False, 9), 9, size)
        for k, (name, size) in enumerate(drawn)
    ]
    given = list(in_turn(ranked, lambda _: True, count))
    architectures = [choice.offer.architecture for choice in given]
    assert len(set(architectures)) == len(given) == min(count, len({n for n, _ in drawn}))
    kinds = [choice.offer.kind for choice in given]
    first = kinds[: len({name[0] for name, _ in drawn})]
    assert len(set(first)) == len(first)
    if ranked:
        assert given[0] == ranked[0]


def test_what_cannot_be_counted_fetched_or_told_is_no_choice() -> None:
    good = next(offer for offer in shipped().offers if offer.name == RESNET)
    assert usable(good, commercial=True)
    for change in (
        {"params": 0},
        {"place": "https://x.y/z.pth"},
        {"licence": UNSTATED},
        {"name": "test_resnet.mae", "classes": 0},
    ):
        assert not usable(replace(good, **change), commercial=False)  # type: ignore[arg-type]
    assert not usable(replace(good, licence="CC-BY-NC-4.0"), commercial=True)
    assert choices([good], QUERY, Constraints(), lambda _: False) == []
