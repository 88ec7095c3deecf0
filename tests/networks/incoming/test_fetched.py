"""Networks of the catalogue that are fetched; the hub is a server on this machine."""

from __future__ import annotations

import time
from dataclasses import replace

import huggingface_hub.constants
import pytest
import timm
import torch

from tans.errors import FetchError, HubError
from tans.licences import normalised
from tans.networks.catalogue import Offer, shipped
from tans.networks.families.timm import TIMM
from tans.networks.incoming import fetched
from tans.networks.incoming.fetched import entry_of, fetch, incoming_of, kept, read_fetched
from tests.stub_hub import COMMIT, StubHub

NAME = "test_resnet.r160_in1k"


@pytest.fixture
def offer() -> Offer:
    return next(each for each in shipped().offers if each.name == NAME)


@pytest.fixture
def network(hub: StubHub) -> torch.nn.Module:
    """What the hub holds."""
    torch.manual_seed(0)
    network = timm.create_model(NAME.partition(".")[0]).eval()
    hub.put(f"timm/{NAME}", network)
    return network


def test_what_is_fetched_is_told_and_kept_and_gives_what_timm_gives(
    hub: StubHub, network: torch.nn.Module, offer: Offer
) -> None:
    told: list[str] = []
    found = fetch(offer, told.append)
    megabytes = f"{found.size / 1e6:.1f} MB"
    assert [line.split(",")[0] for line in told] == [f"fetching {NAME}", f"fetched {NAME}"]
    assert all(megabytes in line for line in told)
    assert found.sha256[:8] in told[-1]
    assert (found.repository, found.commit) == (f"timm/{NAME}", COMMIT)
    incoming = incoming_of(found)
    assert incoming.settled.licence == normalised("Apache-2.0")
    assert incoming.settled.origins == ("imagenet",)
    built = TIMM.build(incoming.ref, 1000).eval()
    built.load_weights(incoming.weights)
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(built(x), network(x))
    assert fetch(offer, told.append) == found == kept(NAME)
    assert len(hub.asked) == 1  # what is here is not fetched again


@pytest.mark.usefixtures("network")
def test_an_entry_says_where_it_lies_and_by_which_hash(offer: Offer) -> None:
    found, entry = fetch(offer), entry_of(NAME)
    assert (entry.id, entry.place) == (f"timm:{NAME}", f"fetched:{NAME}")
    assert entry.weights == found.sha256
    assert (entry.body_params, entry.body_flops) == (offer.params, offer.flops)
    assert read_fetched(NAME, entry.weights).keys()


@pytest.mark.usefixtures("network")
def test_a_file_that_changed_is_not_loaded(offer: Offer) -> None:
    found = fetch(offer)
    content = bytearray(found.path.read_bytes())
    content[-1] ^= 1
    found.path.write_bytes(content)
    with pytest.raises(FetchError, match=r"has SHA-256 .*expected .*delete it, and fetch"):
        read_fetched(NAME, found.sha256)


@pytest.mark.usefixtures("network")
def test_what_comes_damaged_is_told_and_not_kept(hub: StubHub, offer: Offer) -> None:
    for ails, said in (("broken", "came damaged: SHA-256"), ("half", NAME)):
        hub.ails[f"timm/{NAME}"] = ails
        with pytest.raises(FetchError, match=said):
            fetch(offer)
        assert kept(NAME) is None
    hub.ails.clear()
    assert fetch(offer) == kept(NAME)


def test_what_the_hub_lacks_is_told(hub: StubHub, offer: Offer) -> None:
    with pytest.raises(FetchError, match="cannot be fetched: the hub answers 404"):
        fetch(offer)
    (hub.held / "timm" / NAME).mkdir(parents=True)
    with pytest.raises(FetchError, match=r"holds none of model.safetensors, pytorch_model.bin"):
        fetch(offer)
    with pytest.raises(FetchError, match="lies at https://x.y/z.pth, not on the hub"):
        fetch(replace(offer, place="https://x.y/z.pth"))


@pytest.mark.usefixtures("network")
def test_a_hub_out_of_reach_is_told_at_once(
    hub: StubHub, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.ails[f"timm/{NAME}"] = "busy"
    with pytest.raises(HubError, match="the hub answers 503"):
        fetch(offer)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="the hub is out of reach"):
        fetch(offer)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="the hub is out of reach"):
        fetch(offer)
    assert hub.asked == []


@pytest.mark.usefixtures("network")
def test_a_download_ends_when_its_time_is_over(offer: Offer) -> None:
    with pytest.raises(FetchError, match="was not here when the minutes were spent"):
        fetch(offer, until=time.monotonic() - 1)
    assert kept(NAME) is None


def test_a_network_that_was_not_fetched_is_told(hub: StubHub) -> None:
    assert hub.asked == []
    with pytest.raises(FetchError, match="not in the cache .*fetch them with"):
        entry_of(NAME)
    (fetched.cache_dir(fetched.FOLDER) / f"{NAME}.json").write_text('{"schema": 1}')
    with pytest.raises(FetchError, match="damaged .*delete it, and fetch the network again"):
        kept(NAME)
