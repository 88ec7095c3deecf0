"""The study of networks that meta-training never saw: what is added, looked for, and drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bench.tests.conftest import unseen

from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings
from tans.meta.train import meta_train
from tans.zoo.columns import ids_digest
from tans.zoo.rows import PAIRS
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.results import Result, Results
from tans_bench.studies import universal
from tans_bench.studies.universal import FAMILIES, NETWORKS, Known, Learn, Tune, Universal

BRIEF = MetaSettings(
    parts=("structure", "similarities"),
    normalisation="separate",
    part_dropout=0.3,
    steps=5,
    query_images=20,
    query_least=20,
    evaluate_every=0,
)


def line(network: str, task: str, value: float) -> Result:
    probes = dict.fromkeys(universal.TARGETS, value)
    similarities = torch.linspace(-value, value, PAIRS).tolist()
    return {
        "network": network,
        "task": task,
        "accuracy": value,
        "seconds": 1.0,
        "probes": probes,
        "similarities": similarities,
    }


@pytest.fixture
def added() -> list[Result]:
    """Two networks of one family and one of another, on tasks of the small zoo."""
    return [
        line(NETWORKS[0], "colours-1", 0.5),
        line(NETWORKS[1], "colours-2", 0.6),
        line("mobilenetv2_100", "colours-2", 0.7),
    ]


@pytest.fixture
def known(measured_zoo: Zoo, added: list[Result]) -> Known:
    data = MetaData.from_zoo(measured_zoo)
    names = [name for name, own in zip(data.tasks, data.has_images, strict=True) if own]
    lines = [{**each, "task": names[place % 2]} for place, each in enumerate(added)]
    rows = data.image_tasks == data.queried[0]
    queries = dict.fromkeys(universal.TARGETS, (data.features[rows], data.labels[rows]))
    truth = torch.rand(len(data.tasks) + len(lines), len(universal.TARGETS))
    return Known(data, lines, queries, truth)


@pytest.mark.long
def test_what_is_added_stands_beside_the_zoo_and_lacks_a_topology(known: Known) -> None:
    whole, lite = known.seeing(list(FAMILIES)), known.seeing(["Lite"])
    count = len(known.data.entries)
    assert (len(whole.entries) - count, len(lite.entries) - count) == (3, 2)
    assert whole.parts["topology"][count:].isnan().all()
    assert whole.parts["structure"].isfinite().all()
    assert whole.parts["similarities"][count:].isfinite().all()
    assert [whole.tasks[task] for task in whole.entry_tasks[count:].tolist()] == [
        each["task"] for each in known.added
    ]


@pytest.mark.long
def test_a_retriever_that_saw_none_of_them_is_judged_by_all(known: Known) -> None:
    retriever = meta_train(known.data, BRIEF)
    whole = known.seeing(list(FAMILIES))
    retriever = replace(
        retriever, networks=ids_digest(whole.entries), matrix=retriever.encode_models(whole.parts)
    )
    found = universal.judge(retriever, known)
    assert 0 <= found["known"]["r1"] <= 1
    alone = universal.judge(retriever, known, known.added[0]["task"])
    assert alone["found"]["Lite"]["networks"] == 1
    left_out = known.seeing(list(FAMILIES), known.added[0]["task"])
    assert len(left_out.entries) < len(whole.entries)
    for family, count in (("Lite", 2), ("MobileNetV2", 1)):
        own = found["found"][family]
        assert own["networks"] == count
        assert 1 <= own["query"] <= len(known.data.judged)
        assert 1 <= own["of_task"] <= own["network"] <= len(whole.entries)
    for which, least in (("all", 4), ("added", 3)):
        chosen = found["chosen"][which]
        assert chosen["candidates"] >= least
        assert 0 <= chosen["regret_of_five"] <= chosen["regret"]


@pytest.mark.long
def test_each_training_is_a_line_that_is_found_again_and_drawn(
    measured_zoo: Zoo, known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(Results(tmp_path), measured_zoo, unseen)
    for each in known.added:
        bench.results.write(Tune(each["network"], each["task"]).name, each)
    assert Tune(known.added[0]["network"], known.added[0]["task"]).done(bench)
    monkeypatch.setattr(universal, "VARIANTS", {"structure, answers": BRIEF})
    monkeypatch.setattr(Known, "of", lambda _: known)
    assert universal.draw(Universal(), bench.results) == []
    jobs = [Learn("structure, answers", seen, 777) for seen in ("none", "Lite")]
    for job in jobs:
        bench.results.write(job.name, job.run(bench))
        assert job.done(bench)
    assert not replace(jobs[0], seed=778).done(bench)
    _, ranks, choices = universal.draw(Universal(), bench.results)
    assert [row[:2] for row in ranks.rows] == [[job.variant, job.seen] for job in jobs]
    assert choices.rows[-1][0] == "random choice"
    json.dumps(bench.results.lines(universal.LEARNT))


def test_trainings_come_when_all_networks_are_there(measured_zoo: Zoo, tmp_path: Path) -> None:
    bench = Bench(Results(tmp_path), measured_zoo, unseen)
    plan = Universal(pairs=(("mobilenetv2_100", "digits"),), seeds=(1, 2), seeds_again=(1,))
    assert plan.jobs(bench) == [Tune("mobilenetv2_100", "digits")]
    bench.results.write(
        "universal.jsonl/x", {"network": "mobilenetv2_100", "task": "digits", "similarities": []}
    )
    jobs = plan.jobs(bench)
    first, again = 1 + 2 * len(universal.VARIANTS), len(universal.AGAIN)
    left_out = again * len(universal.SOURCES)
    assert len(set(jobs)) == len(jobs) == 1 + first + 3 * again + left_out


@pytest.mark.slow
def test_a_published_network_is_tuned_embedded_and_probed(
    measured_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(Results(tmp_path), measured_zoo, unseen)
    monkeypatch.setattr(universal, "RECIPE", replace(universal.RECIPE, epochs=1))
    monkeypatch.setattr(universal, "TARGETS", universal.TARGETS[:1])
    found = Tune("mobilenetv2_100", "digits").run(bench)
    assert 0 <= found["accuracy"] <= 1
    assert len(found["similarities"]) == PAIRS
    assert found["probes"].keys() == {universal.TARGETS[0]}
