from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.errors import InputError
from tans.files import alone
from tans.licences import normalised
from tans_bench.errors import SourceError
from tans_bench.runs.roles import FORMERLY_SEALED
from tans_bench.sources import registry
from tans_bench.sources.packages import Package, Packages
from tans_bench.sources.pictures import Pictures
from tans_bench.sources.registry import fetch, get_source, sources
from tans_bench.sources.source import Source

RESERVED = ("hangul", "thai", "georgian", "devices", "emoji food", "emoji flags", "emoji people")


def test_names_are_unique_and_all_roles_occur() -> None:
    names = [source.name for source in sources()]
    assert len(set(names)) == len(names)
    assert {source.role for source in sources()} == {"train", "dev"}
    assert sum(source.role == "train" for source in sources()) >= 30


def test_no_class_occurs_in_two_tasks() -> None:
    classes = [label for source in sources() for label in source.classes]
    assert len(set(classes)) == len(classes)


def test_tasks_have_two_to_twenty_classes_and_a_licence() -> None:
    for source in sources():
        assert 2 <= len(source.classes) <= 20, source.name
        assert normalised(source.licence) == source.licence, source.name
        assert source.made, source.name


def test_scripts_and_emoji_reserved_for_judging_are_in_no_other_task() -> None:
    for source in (source for source in sources() if source.name not in FORMERLY_SEALED):
        assert not any(label.startswith(RESERVED) for label in source.classes), source.name


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'nothing' is not a packaged source.*script-latin"):
        get_source("nothing")


def _source(draws: list[int]) -> Source:
    def draw(_packages: object) -> Pictures:
        draws.append(1)
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator)
        labels = torch.arange(2).repeat(20)
        return Pictures(images, labels, tuple(str(index // 4) for index in range(40)))

    return Source("toy", "dev", "noise", "MIT", (), ("toy a", "toy b"), draw, "drawn at random")


def test_a_task_is_made_once_and_split_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws: list[int] = []
    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "SOURCES", (_source(draws),))
    made, loaded = fetch("toy"), fetch("toy")
    assert draws == [1]
    assert torch.equal(made.pixels.at(8), loaded.pixels.at(8))
    assert loaded.card.licence == "MIT"
    assert loaded.groups is not None
    splits = {
        (group, int(split)) for group, split in zip(loaded.groups, loaded.splits, strict=True)
    }
    assert len(splits) == len(set(loaded.groups))


def test_a_task_is_made_by_one_process_while_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _source([])

    def draw(packages: Sequence[Package]) -> Pictures:
        with pytest.raises(BlockingIOError), alone(tmp_path / "tasks" / "toy", refuse):
            pass
        return source.draw(packages)

    def refuse() -> None:
        raise BlockingIOError

    monkeypatch.setenv("TANS_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "SOURCES", (replace(source, draw=draw),))
    assert fetch("toy").name == "toy"


def test_a_damaged_package_is_a_source_error(tmp_path: Path) -> None:
    def fail(_packages: object) -> Pictures:
        raise KeyError("missing")

    source = replace(_source([]), draw=fail)
    with pytest.raises(SourceError, match="toy cannot be made"):
        source.make(Packages(tmp_path))
