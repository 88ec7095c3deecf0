"""A zoo in the paper's space, built from weights in the form that Once-for-All publishes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

from tans import cli
from tans.build import base, engine
from tans.build.engine import build_zoo
from tans.build.settings import BuildSettings
from tans.errors import InputError, ZooError
from tans.networks.families.elastic.specification import OFA_MBV3, ref_of
from tans.tasks.task import Task, TaskCard
from tans.zoo.verify import verify_zoo
from tans.zoo.zoo import IMAGENET, Zoo
from tests.small_zoo import SMALL


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OFAMobileNetV3(
            n_classes=5, ks_list=[3, 5, 7], expand_ratio_list=[3, 4, 6], depth_list=[2, 3, 4]
        )
    file = tmp_path_factory.mktemp("published") / "ofa_mbv3_d234_e346_k357_w1.0"
    torch.save({"state_dict": network.state_dict()}, file)
    return file


@pytest.fixture(scope="module")
def task() -> Task:
    """Noise of any contrast: random networks know no bounds for what is unlike its images."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(-127, 128, (60, 3, 32, 32), generator=generator)
    contrast = torch.rand(60, 1, 1, 1, generator=generator)
    images = (127 + contrast * noise).to(torch.uint8)
    card = TaskCard(source="drawn", version="1", licence="CC0-1.0", made="noise")
    return Task.from_arrays("noise", images, torch.arange(60) % 3, ("a", "b", "c"), card)


@pytest.fixture(scope="module")
def settings(weights: Path) -> BuildSettings:
    return replace(
        SMALL, space="ofa-mbv3", base_weights=str(weights), subnets=2, images_per_task=16
    )


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, task: Task, settings: BuildSettings) -> Zoo:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BASE_SUBNETS", 3)
        return build_zoo(tmp_path_factory.mktemp("zoos") / "ofa", [task], settings)


def test_imported_networks_get_no_base_beside_them(
    tmp_path: Path, task: Task, settings: BuildSettings
) -> None:
    zoo = Zoo.create(tmp_path / "imported")
    card = {"source": "", "version": "", "licence": "MIT", "made": "", "family": "a", "notes": ""}
    zoo.add_task(
        "a",
        classes=("a",),
        card=card,
        thumbnails=None,
        features=None,
        weights=None,
        train_images=0,
        cost_s=0.0,
    )
    with pytest.raises(ZooError, match="holds networks that were imported"):
        base.ensure_base(zoo, [task], settings, None, None)
    assert Zoo.open(zoo.path).base is None


@pytest.mark.long
def test_the_published_network_is_the_base(zoo: Zoo, weights: Path) -> None:
    published = torch.load(weights, weights_only=True)["state_dict"]
    state = zoo.base_state()
    theirs = published["blocks.1.conv.depth_conv.conv.conv.weight"]
    assert torch.allclose(state["stages.0.0.depthwise.conv.weight"], theirs, atol=1e-3)
    theirs = published["blocks.20.conv.depth_conv.conv.5to3_matrix"]
    assert torch.allclose(state["stages.4.3.depthwise.transform3"], theirs, atol=1e-3)
    own = [entry for entry in zoo.entries() if entry.task == IMAGENET]
    assert len(own) == 3 + 1 + len(SMALL.imagenet_resolutions)
    assert {entry.licence for entry in own} == {"MIT"}


@pytest.mark.long
def test_its_subnets_are_trained_measured_and_sound(zoo: Zoo, task: Task) -> None:
    own = [entry for entry in zoo.entries() if entry.task == task.name]
    assert {entry.ref for entry in own} == {
        ref_of(OFA_MBV3.largest, 32),
        ref_of(OFA_MBV3.smallest, 32),
    }
    assert zoo.base_ref == ref_of(OFA_MBV3.largest, 32)
    assert {len(entry.topology or ()) for entry in own} == {45}
    assert all(entry.accuracy is not None for entry in own)
    report = verify_zoo(zoo)
    assert report.ok, report.problems


def test_an_unreadable_file_leaves_no_folder(
    settings: BuildSettings, task: Task, tmp_path: Path
) -> None:
    absent = replace(settings, base_weights=str(tmp_path / "absent"))
    with pytest.raises(InputError, match="absent"):
        build_zoo(tmp_path / "zoo", [task], absent)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--space", "resnet"), "no search space 'resnet'; expected one of lite0, ofa-mbv3"),
        (
            ("--space", "ofa-mbv3"),
            "no base of space 'ofa-mbv3' is shipped; expected --base-weights",
        ),
        (("--space", "ofa-mbv3", "--base-weights", "absent"), "no weights can be read from absent"),
        (("--base-weights", "absent"), "no Once-for-All weights are of space 'lite0'"),
        (("--base-weights", "absent", "--new-base"), "--base-weights and --new-base"),
    ],
)
def test_the_command_says_what_it_wants(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.setattr("tans.workflow.read_tasks", lambda *_: iter(()))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["zoo", "build", str(tmp_path / "zoo"), "--tasks", "drawn", *arguments])
    assert stopped.value.code != 0
    line = capsys.readouterr().err.splitlines()[-1]  # a bar may stand before it
    assert line.startswith(f"error: {expected}")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.long
def test_the_command_hands_on_where_the_base_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo, weights: Path
) -> None:
    given: dict[str, Any] = {}

    def build_zoo(*positional: Any, **rest: Any) -> Zoo:
        given.update(rest, settings=positional[2])
        return zoo

    monkeypatch.setattr(engine, "build_zoo", build_zoo)
    monkeypatch.setattr("tans.workflow.read_tasks", lambda *_: iter(()))
    source = ("--space", "ofa-mbv3", "--base-weights", str(weights))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["zoo", "build", str(tmp_path / "zoo"), "--tasks", "drawn", *source])
    assert not stopped.value.code
    assert given["base_from"] is None
    assert (given["settings"].space, given["settings"].base_weights) == source[1::2]
