"""Published weights give the same outputs here as in the package that their authors publish."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from ofa.utils.flops_counter import profile
from torch import Tensor

from tans.errors import InputError
from tans.networks.families.elastic.imagenet import imagenet_network
from tans.networks.families.elastic.onceforall import (
    DEVIATION,
    MEAN,
    convert,
    once_for_all,
    read_weights,
    with_our_images,
)
from tans.networks.families.elastic.specification import OFA_MBV3, OFA_MBV3_WIDE, Specification
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.network import prepare
from tans.types import Architecture, InputSpec

CLASSES = 7
X = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
WIDTHS = {OFA_MBV3.name: 1.0, OFA_MBV3_WIDE.name: 1.2}
both = pytest.mark.parametrize("space", [OFA_MBV3, OFA_MBV3_WIDE], ids=lambda s: s.name)


@pytest.fixture(scope="module")
def published() -> Callable[[Specification], OFAMobileNetV3]:
    """Random networks of the package, with statistics and kernel transforms that matter."""
    networks = {name: make_published(width) for name, width in WIDTHS.items()}
    return lambda space: networks[space.name]


def make_published(width: float) -> OFAMobileNetV3:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = OFAMobileNetV3(
            n_classes=CLASSES,
            dropout_rate=0,
            width_mult=width,
            ks_list=[3, 5, 7],
            expand_ratio_list=[3, 4, 6],
            depth_list=[2, 3, 4],
        )
        network.set_bn_param(momentum=1.0, eps=1e-5)
        network.train()(torch.randn(8, 3, 48, 48))  # else an image leaves no trace in the scores
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(torch.rand_like(tensor) + 0.7)
            elif "bn." in name and name.endswith("weight"):
                tensor.mul_(torch.rand_like(tensor) + 0.5)
            elif name.endswith(("running_mean", "bn.bias", "_matrix")):
                tensor.add_(0.1 * torch.randn_like(tensor))
    return network.eval()


def activate(network: OFAMobileNetV3, architecture: Architecture) -> None:
    """Set the subnet; slots of layers that do not exist take any choice."""
    slots = [
        stage[k] if k < len(stage) else (3, 3) for stage in architecture.stages for k in range(4)
    ]
    kernels, expands = (list(choices) for choices in zip(*slots, strict=True))
    network.set_active_subnet(kernels, expands, [len(stage) for stage in architecture.stages])


def architectures(space: Specification, count: int) -> list[Architecture]:
    rng = random.Random(0)
    return [space.largest, space.smallest, *(space.sample(rng) for _ in range(count - 2))]


@both
@torch.no_grad()
@pytest.mark.long
def test_subnets_give_the_same_outputs(
    space: Specification, published: Callable[[Specification], OFAMobileNetV3]
) -> None:
    theirs = published(space)
    supernet = Supernet(space, CLASSES, size=48)
    supernet.full.load_weights(convert(theirs.state_dict(), space))
    supernet.eval()
    for architecture in architectures(space, 10):
        activate(theirs, architecture)
        standalone = theirs.get_active_subnet(preserve_weight=True).eval()
        expected = standalone(X)
        assert (expected[0] - expected[1]).abs().max() > 3e-4
        for ours in (supernet(X, architecture), supernet.extract(architecture)(X), theirs(X)):
            assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-5)


@both
def test_subnets_cost_the_same(
    space: Specification, published: Callable[[Specification], OFAMobileNetV3]
) -> None:
    for architecture in architectures(space, 4):
        activate(published(space), architecture)
        flops, params = profile(published(space).get_active_subnet(), (1, 3, 64, 64))
        costs = space.costs(architecture, CLASSES, 64)
        assert (costs.params, costs.flops) == (params, flops)


@both
def test_a_topology_has_45_numbers_and_masks_layers_that_do_not_exist(space: Specification) -> None:
    vector = space.topology(space.smallest)
    assert len(vector) == space.topology_size == 45
    assert vector[:20] == (3, 3, 0, 0) * 5
    assert vector[20:40] == (3, 3, 0, 0) * 5
    assert vector[40:] == (2,) * 5


@pytest.fixture
def file(tmp_path: Path, published: Callable[[Specification], OFAMobileNetV3]) -> Path:
    """As the published files are: older names, and more than the tensors."""
    state = {
        name.replace(".conv.", ".mobile_inverted_conv.", 1)
        if name.startswith("blocks.")
        else name: t
        for name, t in published(OFA_MBV3).state_dict().items()
    }
    torch.save({"state_dict": state, "epoch": 4, "best_acc": 76.0}, tmp_path / "weights")
    return tmp_path / "weights"


@torch.no_grad()
def test_a_file_and_a_url_give_the_same_supernet(
    file: Path,
    published: Callable[[Specification], OFAMobileNetV3],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    activate(published(OFA_MBV3), OFA_MBV3.largest)
    expected = published(OFA_MBV3)(X)
    read = once_for_all(file, "ofa-mbv3", folded=False)
    assert not read.training
    assert torch.allclose(read(X, OFA_MBV3.largest), expected, atol=1e-4)
    url = file.as_uri()
    once_for_all(url, "ofa-mbv3")
    file.unlink()
    kept = once_for_all(url, "ofa-mbv3", folded=False)
    assert torch.equal(kept(X, OFA_MBV3.largest), read(X, OFA_MBV3.largest))


@torch.no_grad()
def test_folding_takes_images_as_they_are_normalised_here(
    file: Path, published: Callable[[Specification], OFAMobileNetV3]
) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=generator)
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    theirs = (images / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    expected = published(OFA_MBV3).first_conv(theirs)  # (2, 16, 16, 16)
    stem = once_for_all(file, "ofa-mbv3").full.body.stem(prepare(images, InputSpec(32)))
    # at stride 2 only the first row and column see the padding
    assert torch.allclose(stem[:, :, 1:, 1:], expected[:, :, 1:, 1:], atol=1e-4)
    assert not torch.allclose(stem, expected, atol=1e-2)


@torch.no_grad()
def test_folding_is_exact_where_both_normalise_to_zero(file: Path) -> None:
    """An image of their mean colour is zeros there, so that padding is no edge."""
    state = convert(read_weights(file), OFA_MBV3)
    here = with_our_images(state)
    colour = (torch.tensor(MEAN) * 255 - 127) / 128
    response = torch.einsum("oihw,i->o", here["stem.conv.weight"], colour)  # (16,)
    assert torch.allclose(
        response - here["stem.norm.running_mean"], -state["stem.norm.running_mean"], atol=1e-5
    )


def test_new_statistics_leave_the_folded_network_what_it_was(file: Path) -> None:
    """The shift is in the mean, not in the batch-norm's bias, which no new statistics undo."""
    state = convert(read_weights(file), OFA_MBV3)
    changed = {k for k, t in with_our_images(state).items() if not torch.equal(t, state[k])}
    assert changed == {"stem.conv.weight", "stem.norm.running_mean"}


def change(file: Path, edit: Callable[[dict[str, Tensor]], object]) -> Path:
    state = torch.load(file, weights_only=True)["state_dict"]
    edit(state)
    torch.save({"state_dict": state}, file)
    return file


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            lambda s: s.pop("first_conv.bn.bias"),
            "1 tensors are missing, such as first_conv.bn.bias",
        ),
        (lambda s: s.update(more=torch.zeros(1)), "1 tensors are too many, such as more"),
        (
            lambda s: s.update({"first_conv.bn.bias": torch.zeros(3)}),
            r"first_conv.bn.bias is \(3,\), expected \(16,\); expected ofa_mbv3_d234_e346_k357",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    file: Path, edit: Callable[[dict[str, Tensor]], object], expected: str
) -> None:
    with pytest.raises(InputError, match=f"the weights do not fit 'ofa-mbv3': {expected}"):
        once_for_all(change(file, edit), "ofa-mbv3")


def test_files_that_count_no_batches_are_read(file: Path) -> None:
    def drop(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if name.endswith("num_batches_tracked")]:
            del state[name]

    assert once_for_all(change(file, drop), "ofa-mbv3").full.body.stem.norm.num_batches_tracked == 0


def test_another_width_is_told(file: Path) -> None:
    with pytest.raises(InputError, match=r"first_conv.conv.weight is .*of space 'ofa-mbv3'"):
        once_for_all(file, "ofa-mbv3-1.2")


@pytest.mark.parametrize("space", ["lite0", "nowhere"])
def test_a_space_without_published_weights_is_refused(file: Path, space: str) -> None:
    with pytest.raises(InputError, match="expected one of .*ofa-mbv3, ofa-mbv3-1.2"):
        once_for_all(file, space)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x80\x02}q\x00."])
def test_what_is_no_state_dict_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "page").write_bytes(content)
    for source in (tmp_path / "page", (tmp_path / "page").as_uri()):
        with pytest.raises(InputError, match="expected ofa_mbv3_d234_e346_k357_w1.0 or"):
            read_weights(source)


@pytest.mark.parametrize("held", [[1, 2], {"state_dict": {"a": 1}}, {}])
def test_what_holds_no_tensors_is_refused(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "held")
    with pytest.raises(InputError, match="holds no state dict"):
        read_weights(tmp_path / "held")


@pytest.mark.parametrize("source", ["absent", "nowhere://weights", "file:///absent"])
def test_what_is_not_there_is_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=f"no weights can be read from {source}"):
        read_weights(source)


def test_no_package_carries_weights_of_this_space() -> None:
    with pytest.raises(InputError, match="--base-weights"):
        imagenet_network("ofa-mbv3")
