from __future__ import annotations

from dataclasses import replace

from tans.licences import UNSTATED, LicenceChain
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo


def test_a_chain_names_weights_base_and_images(small_zoo: Zoo) -> None:
    licensing = Licensing.of(small_zoo)
    own = small_zoo.entries(task="red")[0]
    base = next(entry for entry in small_zoo.entries() if entry.weights == small_zoo.base)
    assert licensing.chain(own) == LicenceChain("CC0-1.0", base=base.licence, data="CC0-1.0")
    assert licensing.chain(base) == LicenceChain(base.licence)  # ImageNet's images are not told of
    assert licensing == Licensing.of(small_zoo, small_zoo.columns())


def test_a_network_of_another_family_has_no_base_and_all_its_images(small_zoo: Zoo) -> None:
    licensing = replace(Licensing.of(small_zoo), images={"red": "MIT", "blue": UNSTATED})
    own = small_zoo.entries(task="red")[0]
    foreign = replace(own, ref=replace(own.ref, family="timm"), origins=("red", "blue"))
    assert licensing.chain(foreign) == LicenceChain("CC0-1.0", data=UNSTATED)
    assert not licensing.chain(foreign).commercial
    assert licensing.chain(replace(foreign, origins=("imagenet", "red"))).data == "MIT"
