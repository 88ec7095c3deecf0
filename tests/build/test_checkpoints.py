"""Trainings go on where they were stopped, in a folder and at an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from tans.build.checkpoints import checkpoint, forget, tidy
from tans.zoo.building import worked_on
from tans.zoo.zoo import Zoo
from tests.zoo.conftest import stores  # noqa: F401 - a fixture
from tests.zoo.stores import keys, read, write

ADDRESS = "memory://zoos/mine"
KEY = f"{ADDRESS}/build/flags.checkpoint"


def test_in_a_folder_the_file_itself_stays(tmp_path: Path) -> None:
    zoo = Zoo.create(tmp_path / "zoo")
    with checkpoint(zoo, "flags") as kept:
        kept.path.write_bytes(b"an epoch")
        kept.sync()
    with checkpoint(zoo, "flags") as kept:
        assert kept.path.read_bytes() == b"an epoch"
    forget(zoo, "flags", "never begun")
    assert not kept.path.exists()


@pytest.mark.usefixtures("stores")
def test_at_an_address_each_epoch_is_sent_and_another_machine_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worked_on(ADDRESS, create=True) as site:
        with checkpoint(site.zoo, "flags") as kept:
            assert not kept.path.exists()
            kept.sync()
            kept.path.write_bytes(b"an epoch")
            kept.sync()
        assert not kept.path.exists()
        monkeypatch.setenv("TANS_CACHE", str(tmp_path / "elsewhere"))
        with checkpoint(site.zoo, "flags") as kept:
            assert kept.path.read_bytes() == b"an epoch"
        write(KEY, read(KEY)[:-1])
        with checkpoint(site.zoo, "flags") as kept:
            assert not kept.path.exists()  # what is damaged counts as none
        forget(site.zoo, "flags", "never begun")
        assert not [key for key in keys(ADDRESS) if key.endswith(".checkpoint")]
        write(KEY, b"of a worker that died")
        tidy(site.zoo)
        assert not [key for key in keys(ADDRESS) if key.startswith("build/")]
