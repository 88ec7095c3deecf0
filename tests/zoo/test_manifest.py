"""What holds for a whole zoo: read, written, and refused with one clear error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tans.errors import ZooError
from tans.networks.families.elastic.family import ELASTIC
from tans.types import InputSpec, NetworkRef
from tans.zoo.blobs import LocalBlobs
from tans.zoo.manifest import KEY, Base, ZooManifest, read_manifest
from tans.zoo.zoo import Zoo

HASH = "5" * 64
REF = NetworkRef("plain", "12", InputSpec(48, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
INPUT = {"size": 48, "mean": [1, 2, 3], "std": [4, 5, 6]}
BASE = {"ref": {"family": "plain", "name": "12", "input": INPUT}, "weights": HASH}


def written(folder: Path, text: str) -> LocalBlobs:
    (folder / KEY).write_text(text)
    return LocalBlobs(folder)


def test_a_base_comes_back(tmp_path: Path) -> None:
    manifest = ZooManifest(base=Base(REF, HASH))
    blobs = LocalBlobs(tmp_path)
    blobs.put(KEY, manifest.to_bytes())
    found = read_manifest(blobs)
    assert found == manifest
    assert found.base is not None
    assert (found.base.ref, found.base.weights) == (REF, HASH)


def test_it_says_its_schema_and_is_read_by_people(tmp_path: Path) -> None:
    text = ZooManifest(base=Base(REF, HASH)).to_bytes().decode()
    assert json.loads(text) == {"schema": 4, "base": BASE}
    assert len(text.splitlines()) > 5
    assert read_manifest(written(tmp_path, json.dumps({"schema": 4, "base": BASE}))).base


def test_a_zoo_may_have_no_base(tmp_path: Path) -> None:
    assert read_manifest(written(tmp_path, '{"schema": 4, "base": null}')).base is None
    assert json.loads(ZooManifest().to_bytes()) == {"schema": 4, "base": None}


def test_the_second_schema_names_a_space(tmp_path: Path) -> None:
    old = {"schema": 2, "space": "lite0", "resolution": 64, "base": HASH}
    found = read_manifest(written(tmp_path, json.dumps(old)))
    assert found.base == Base(ELASTIC.largest("lite0", 64), HASH)
    assert read_manifest(written(tmp_path, json.dumps(old | {"base": None}))) == ZooManifest()


def _base(**changes: Any) -> Mapping[str, Any]:
    return {"schema": 4, "base": {**BASE, **changes}}


def _ref(**changes: Any) -> Mapping[str, Any]:
    return _base(ref={**BASE["ref"], **changes})  # type: ignore[dict-item]


def _input(**changes: Any) -> Mapping[str, Any]:
    return _ref(input={**INPUT, **changes})


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        {"schema": "4"},
        {"schema": 4, "base": HASH},
        {"schema": 4, "base": {}},
        {"schema": 4, "base": None, "more": 1},
        _base(weights=5),
        _base(more=1),
        _ref(family=None),
        _ref(more=1),
        _ref(input=64),
        _input(size=0),
        _input(size=48.5),
        _input(size="large"),
        _input(mean=[1, 2]),
        _input(mean=[1, 2, -1]),
        _input(std=[1, 2, 0]),
        _input(std=[1, 2, None]),
        {"schema": 2, "space": "lite0"},
        {"schema": 2, "space": "lite0", "resolution": 64},
        {"schema": 2, "space": "none", "resolution": 64, "base": HASH},
        {"schema": 2, "space": "none", "resolution": 64, "base": None},
        {"schema": 2, "space": "lite0", "resolution": 0, "base": HASH},
        {"schema": 2, "space": "lite0", "resolution": 0, "base": None},
        {"schema": 2, "space": "lite0", "resolution": "large", "base": HASH},
        {"schema": 2, "space": "lite0", "resolution": 64, "base": 5},
    ],
    ids=json.dumps,
)
def test_damage_is_one_clear_error(tmp_path: Path, fields: object) -> None:
    written(tmp_path, json.dumps(fields))
    with pytest.raises(
        ZooError, match=r"zoo\.json is damaged \(.+\); run 'tans zoo verify'"
    ) as told:
        Zoo.open(tmp_path)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["", "{", '{"schema": 4, "base": ', "\0"])
def test_what_is_no_json_is_damaged(tmp_path: Path, text: str) -> None:
    written(tmp_path, text)
    with pytest.raises(ZooError, match=r"zoo\.json is damaged"):
        Zoo.open(tmp_path)


@pytest.mark.parametrize("schema", [0, 1, 5])
def test_another_schema_is_named(tmp_path: Path, schema: int) -> None:
    written(tmp_path, json.dumps({"schema": schema}))
    with pytest.raises(
        ZooError, match=f"schema {schema}; this version of tans reads schemas 2 to 4"
    ):
        Zoo.open(tmp_path)


def test_a_folder_without_one_is_no_zoo(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"no zoo in .*; check the path, or make a zoo"):
        Zoo.open(tmp_path)
    with pytest.raises(ZooError, match="reinstall tans"):
        read_manifest(LocalBlobs(tmp_path), remedy="reinstall tans")
