from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tans.errors import InputError, ZooError
from tans.meta import retriever as retriever_module
from tans.meta.presets import MetaSettings
from tans.meta.retriever import MANIFEST, Retriever
from tans.meta.train import meta_train
from tans.zoo.blobs import as_blobs
from tans.zoo.columns import ids_digest
from tans.zoo.seals import Seals
from tests.meta.synthetic import QUICK, make_data

RICH = replace(
    QUICK,
    hidden=6,
    pooling="classes",
    normalisation="separate",
    parts=("similarities", "topology"),
    interaction=True,
    components=5,
    members=2,
    steps=5,
)
ATTENTIVE = replace(QUICK, pooling="attention", attention_queries=2, steps=5)


@pytest.mark.parametrize("settings", [replace(QUICK, steps=5), RICH, ATTENTIVE])
def test_what_is_loaded_embeds_as_what_was_saved(settings: MetaSettings, tmp_path: Path) -> None:
    data = make_data()
    before = meta_train(data, settings)
    before.save(tmp_path / "deep" / "model")
    after = Retriever.load(tmp_path / "deep" / "model")
    rows = data.image_tasks == 2
    queries = [r.encode_query(data.features[rows], data.labels[rows]) for r in (before, after)]
    assert torch.equal(*queries)
    assert torch.equal(before.encode_models(data.parts), after.encode_models(data.parts))
    assert torch.equal(before.matrix, after.matrix)
    predictions = [r.predict(queries[0], r.matrix) for r in (before, after)]
    assert torch.equal(*predictions)
    assert (after.settings, after.networks) == (settings, ids_digest(data.entries))
    assert after.data_hash == data.digest()


def test_the_stored_matrix_is_the_embedding_of_the_networks() -> None:
    data = make_data()
    retriever = meta_train(data, RICH)
    torch.testing.assert_close(retriever.matrix, retriever.encode_models(data.parts))
    torch.testing.assert_close(retriever.matrix.norm(dim=1), torch.ones(len(data.entries)))


def test_an_ensemble_averages_cosines_and_predictions() -> None:
    data = make_data()
    both = meta_train(data, RICH)
    rows = data.image_tasks == 1
    query = both.encode_query(data.features[rows], data.labels[rows])
    assert query.shape == (both.width,) == (2 * RICH.dim,)
    assert query.norm().item() == pytest.approx(1, abs=1e-5)
    single = [replace(both, members=(member,)) for member in both.members]
    queries = [r.encode_query(data.features[rows], data.labels[rows]) for r in single]
    models = [r.encode_models(data.parts) for r in single]
    cosines = torch.stack([m @ q for m, q in zip(models, queries, strict=True)])
    assert (cosines[0] - cosines[1]).abs().max() > 0.01
    torch.testing.assert_close(both.matrix @ query, cosines.mean(0))
    predicted = [r.predict(q, m) for r, q, m in zip(single, queries, models, strict=True)]
    torch.testing.assert_close(both.predict(query, both.matrix), torch.stack(predicted).mean(0))


def test_saving_again_leaves_one_model_and_no_rest(tmp_path: Path) -> None:
    data = make_data()
    for seed in (1, 2):
        retriever = meta_train(data, replace(QUICK, steps=2, seed=seed))
        retriever.save(tmp_path)
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 3
    assert torch.equal(Retriever.load(tmp_path).matrix, retriever.matrix)


def test_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="no retriever"):
        Retriever.load(tmp_path)
    meta_train(make_data(), replace(QUICK, steps=2)).save(tmp_path)
    manifest = tmp_path / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text + " ")
    with pytest.raises(ZooError, match="not as it was written"):
        Retriever.load(tmp_path)
    shutil.rmtree(tmp_path / "seals")  # as a zoo of somebody else may have none
    manifest.write_text(text.replace('"schema": 3', '"schema": 99'))
    with pytest.raises(ZooError, match="schema 99"):
        Retriever.load(tmp_path)
    manifest.write_text(text[:-20])
    with pytest.raises(ZooError, match="cannot read"):
        Retriever.load(tmp_path)
    manifest.write_text(json.dumps({**json.loads(text), "networks": "one"}))
    with pytest.raises(ZooError, match="networks"):
        Retriever.load(tmp_path)
    manifest.write_text(json.dumps({**json.loads(text), "parts": {"topology": 4}}))
    with pytest.raises(ZooError, match="damaged"):
        Retriever.load(tmp_path)
    manifest.write_text(text)
    (weights,) = tmp_path.glob("weights-*")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ZooError, match="has changed"):
        Retriever.load(tmp_path)


def test_bad_input_is_told() -> None:
    retriever = meta_train(make_data(), replace(QUICK, steps=2))
    with pytest.raises(InputError, match=r"\(3,\)"):
        retriever.predict(torch.zeros(3), retriever.matrix)
    with pytest.raises(InputError, match="functional"):
        retriever.encode_models({"topology": torch.zeros(2, 3)})


def test_a_retriever_of_before_parts_could_be_hidden_loads(tmp_path: Path) -> None:
    data = make_data()
    before = meta_train(data, RICH)
    before.save(tmp_path)
    seals, fields = Seals(as_blobs(tmp_path)), json.loads((tmp_path / MANIFEST).read_text())
    del fields["settings"]["part_dropout"]
    seals.put(MANIFEST, json.dumps(fields).encode())
    after = Retriever.load(tmp_path)
    assert after.settings == before.settings
    assert torch.equal(after.encode_models(data.parts), before.encode_models(data.parts))


def test_a_large_file_is_looked_through_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retriever_module, "LARGE", 1)
    meta_train(make_data(), replace(QUICK, steps=5)).save(tmp_path / "model")
    Retriever.load(tmp_path / "model")
    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "file_digest", None)
        Retriever.load(tmp_path / "model")
    (models,) = (tmp_path / "model").glob("models-*")
    content = bytearray(models.read_bytes())
    content[-1] ^= 1
    models.write_bytes(content)
    with pytest.raises(ZooError, match="has changed since it was written"):
        Retriever.load(tmp_path / "model")


def test_an_older_retriever_names_its_networks(tmp_path: Path) -> None:
    """As version 2 did, one by one."""
    data = make_data()
    meta_train(data, replace(QUICK, steps=5)).save(tmp_path)
    seals = Seals(as_blobs(tmp_path))
    fields = json.loads(seals.get("retriever.json"))
    del fields["networks"]
    older = {**fields, "schema": 2, "entries": list(data.entries)}
    seals.put("retriever.json", json.dumps(older).encode())
    assert Retriever.load(tmp_path).networks == ids_digest(data.entries)
