"""Time a step of the ``paper`` preset, and judge its retrieval on the zoo.

Synthetic tensors have the shapes of the paper's zoo: 140 tasks x 100 networks, 45 topology and
1536 functional numbers a network, 1280 features for each of 240 images a task.

Beside it runs OUR RECONSTRUCTION of the published loop's way of working, written here from a
description of it and not from its code: in every step a Python loop over the tasks reads one
task's features from disk, draws its images, encodes query and network one by one, and every
step ends with an evaluation that does the same for the held-out images. The published loop
itself took 0.33 s a step on the development machine (2 cores, no GPU), evaluation included.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tans.meta.data import MetaData
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.losses import hinge
from tans.meta.predictor import squared_error
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.retriever import build
from tans.meta.train import Step, meta_train
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import Result, Results

PUBLISHED_SECONDS = 0.33
TASKS, NETWORKS, IMAGES, FEATURES, CLASSES = 140, 100, 240, 1280, 20
WIDTHS = {"topology": 45, "functional": 1536}
SPEEDS = {
    "seconds_a_step_all_included": "this library",
    "published_loop_seconds_a_step": "published loop",
    "our_reconstruction_seconds_a_step": "our reconstruction of it",
    "our_reconstruction_seconds_a_step_without_evaluation": "our reconstruction, no evaluation",
}
RANKS = ("r1", "r5", "r10", "mean_rank", "median_rank")


@dataclass(frozen=True)
class Published:
    """Train as published, on synthetic tensors and on the zoo."""

    steps: int = PRESETS["paper"].steps
    loop_steps: int = 20
    """Of the reconstruction."""
    name: str = "paper_preset"
    task: str = ""
    """None in particular."""

    def done(self, bench: Bench) -> bool:
        return bench.results.read(self.name) is not None

    def run(self, bench: Bench) -> Result:
        paper = PRESETS["paper"]
        # a short run evaluates at least once, so that its step time never leaves evaluation out
        often = min(paper.evaluate_every, self.steps)
        settings = replace(paper, steps=self.steps, evaluate_every=often)
        return {
            "settings": asdict(settings),
            "machine": _machine(),
            "speed": _speed(settings, self.loop_steps),
            "retrieval": _retrieval(bench.zoo, settings),
        }


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "processor": platform.processor() or platform.machine(),
    }


def synthetic(seed: int = 0) -> MetaData:
    """Random tensors of the paper's shapes, with a pattern of each task's own in them."""
    generator = torch.Generator().manual_seed(seed)
    tasks = torch.arange(TASKS).repeat_interleave(NETWORKS)
    images = torch.arange(TASKS).repeat_interleave(IMAGES)
    pattern = torch.randn(TASKS, FEATURES, generator=generator)
    answer = torch.randn(TASKS, WIDTHS["functional"], generator=generator)
    noise = torch.randn(len(images), FEATURES, generator=generator)
    functional = torch.randn(len(tasks), WIDTHS["functional"], generator=generator)
    none = torch.zeros(0, dtype=torch.long)
    return MetaData(
        tasks=tuple(f"task{i}" for i in range(TASKS)),
        families=tuple(f"family{i}" for i in range(TASKS)),
        features=(pattern[images] + 3 * noise).relu(),
        labels=torch.arange(len(images)) % CLASSES,
        image_tasks=images,
        held_out=torch.arange(len(images)) % 5 == 0,
        entries=tuple(f"network{i}" for i in range(len(tasks))),
        entry_tasks=tasks,
        accuracy=torch.rand(len(tasks), generator=generator),
        parts={
            "topology": torch.randint(0, 7, (len(tasks), 45), generator=generator).float(),
            "functional": answer[tasks] + functional,
        },
        transfer_entries=none,
        transfer_tasks=none,
        transfer_accuracy=torch.zeros(0),
        probe_means=torch.full((TASKS, TASKS), torch.nan),
    )


def _speed(settings: MetaSettings, loop_steps: int) -> dict[str, float]:
    first, whole = _trained(settings)
    with_evaluation, without = _reconstruction(synthetic(), settings, loop_steps)
    speed = {
        "steps": settings.steps,
        "seconds_a_step_all_included": whole / settings.steps,
        "seconds_before_first_step": first,
        "seconds_a_step_after_the_first": (whole - first) / max(1, settings.steps - 1),
        "seconds_for_10000_steps": first + (whole - first) / settings.steps * 10_000,
        "published_loop_seconds_a_step": PUBLISHED_SECONDS,
        "our_reconstruction_seconds_a_step": with_evaluation,
        "our_reconstruction_seconds_a_step_without_evaluation": without,
    }
    for name in ("published_loop_seconds_a_step", "our_reconstruction_seconds_a_step"):
        speed[f"ratio_{name}"] = speed[name] * 10_000 / speed["seconds_for_10000_steps"]
    return speed


def _trained(settings: MetaSettings) -> tuple[float, float]:
    """Seconds before the first step of a training, and of all of it."""
    data, first = synthetic(), list[float]()
    began = time.perf_counter()

    def on_step(step: Step) -> None:
        del step
        first[:] = first or [time.perf_counter() - began]

    meta_train(data, settings, on_step)
    return first[0], time.perf_counter() - began


def _reconstruction(data: MetaData, settings: MetaSettings, steps: int) -> tuple[float, float]:
    """Seconds a step of our reconstruction of the published loop, with and without evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _write_tasks(data, Path(folder))
        step, judge = _published_way(settings, paths)
        step()
        training = _seconds(step, steps)
        judging = _seconds(judge, max(1, steps // 4))
    return training + judging, training


def _write_tasks(data: MetaData, folder: Path) -> list[Path]:
    paths = []
    for task in range(TASKS):
        rows = data.image_tasks == task
        own = data.entry_tasks == task
        tensors = {name: part[own].contiguous() for name, part in data.parts.items()}
        tensors["train"] = data.features[rows & ~data.held_out]
        tensors["test"] = data.features[rows & data.held_out]
        tensors["accuracy"] = data.accuracy[own]
        paths.append(folder / f"{task}.safetensors")
        save_file(tensors, paths[-1])
    return paths


def _published_way(
    settings: MetaSettings, paths: list[Path]
) -> tuple[Callable[[], None], Callable[[], float]]:
    member = build(settings, FEATURES, WIDTHS)
    query, model, predictor = member.query, member.model, member.predictor
    weights = [p for m in (query, model, predictor) for p in m.parameters()]
    optimiser = torch.optim.Adam(weights, lr=settings.learning_rate, foreach=False)

    def encode(path: Path, split: str) -> tuple[torch.Tensor, ...]:
        stored = load_file(path)
        images = stored[split]
        drawn = images[torch.randperm(len(images))[: settings.query_images]]
        network = int(torch.randint(NETWORKS, ()))
        parts = {name: stored[name][network : network + 1] for name in WIDTHS}
        # every image through the linear map, then the mean, as the paper writes it
        pooled = torch.nn.functional.normalize(query.project(drawn).mean(0), dim=0)
        return pooled, model(parts)[0], stored["accuracy"][network]

    def step() -> None:
        queries, models, accuracy = map(
            torch.stack, zip(*(encode(path, "train") for path in paths), strict=True)
        )
        loss = hinge(queries @ models.T, settings.margin)
        loss = loss + squared_error(predictor(queries, models), accuracy)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def judge() -> float:
        queries, models, _ = map(
            torch.stack, zip(*(encode(path, "test") for path in paths), strict=True)
        )
        right = 0
        for i, scores in enumerate(queries @ models.T):
            right += int(i in scores.argsort(descending=True)[:10])
        return right / len(paths)

    return step, judge


def _seconds(run: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def _retrieval(zoo: Zoo, settings: MetaSettings) -> dict[str, Any]:
    data = MetaData.from_zoo(zoo)
    began = time.perf_counter()
    found = evaluate_retrieval(meta_train(data, settings), data)
    return {
        "zoo": zoo.path.name,
        "tasks": len(data.tasks),
        "networks": len(data.entries),
        "data_hash": data.digest(),
        "settings": asdict(settings),
        "seconds": time.perf_counter() - began,
        "ranks": asdict(found),
    }


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # one result
    stored = results.read(EXPERIMENT.name)
    if stored is None:
        return []
    found = stored.get("retrieval")
    return [_speeds(stored["speed"]), *([_ranks(found)] if found else [])]


def _speeds(speed: Result) -> Table:
    own = speed["seconds_a_step_all_included"]
    rows = [
        [title, f"{speed[key]:.4f}", f"{speed[key] / own:.1f}"] for key, title in SPEEDS.items()
    ]
    caption = (
        f"Seconds of a step, {TASKS} tasks of {NETWORKS} networks, over {speed['steps']} steps; "
        "and as a multiple of this library's."
    )
    return Table("speed", caption, ("loop", "a step (s)", "times"), rows)


def _ranks(found: Result) -> Table:
    ranks = {name: each for name, each in found["ranks"].items() if isinstance(each, dict)}
    rows = [
        [
            name,
            *(f"{100 * each[key]:.2f}" for key in RANKS[:3]),
            *(f"{each[key]:.2f}" for key in RANKS[3:]),
        ]
        for name, each in ranks.items()
    ]
    caption = (
        f"Ranks of what belongs to a held-out query, {found['networks']} networks of "
        f"{found['tasks']} tasks, after {found['settings']['steps']} steps."
    )
    columns = ("retrieved", "R@1", "R@5", "R@10", "mean rank", "median rank")
    return Table("ranks", caption, columns, rows)


EXPERIMENT = Experiment(
    name="paper_preset",
    title="Speed and retrieval of the published settings",
    question="How long does a step of meta-training as published take, and what does it retrieve?",
    plan=Fixed((Published(),)),
    drawn=draw,
)
