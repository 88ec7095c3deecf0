"""Time a step of the ``paper`` preset, and judge its retrieval on a real zoo.

    python bench/studies/paper_preset.py                     # step time on synthetic tensors
    python bench/studies/paper_preset.py --zoo PATH          # and R@1/5/10, ranks on a zoo

Synthetic tensors have the shapes of the paper's zoo: 140 tasks x 100 networks, 45 topology and
1536 functional numbers a network, 1280 features for each of 240 images a task.

Beside it runs OUR RECONSTRUCTION of the published loop's way of working, written here from a
description of it and not from its code: in every step a Python loop over the tasks reads one
task's features from disk, draws its images, encodes query and network one by one, and every
step ends with an evaluation that does the same for the held-out images. The published loop
itself took 0.33 s a step on the development machine (2 cores, no GPU), evaluation included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
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

PUBLISHED_SECONDS = 0.33
RESULT = Path(__file__).parents[1] / "results" / "paper_preset.json"
TASKS, NETWORKS, IMAGES, FEATURES, CLASSES = 140, 100, 240, 1280, 20
WIDTHS = {"topology": 45, "functional": 1536}


def main() -> None:
    """Measure, print, and write one JSON file."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    paper = PRESETS["paper"]
    # a short run evaluates at least once, so that its step time never leaves evaluation out
    often = min(paper.evaluate_every, arguments.steps)
    settings = replace(paper, steps=arguments.steps, evaluate_every=often)
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "settings": asdict(settings),
        "machine": _machine(arguments.threads),
        "speed": _speed(settings, arguments.loop_steps),
    }
    if arguments.zoo is not None:
        result["retrieval"] = _retrieval(arguments.zoo)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.output.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    temporary.replace(arguments.output)
    print(f"written to {arguments.output}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000, help="steps of the preset")
    parser.add_argument("--loop-steps", type=int, default=20, help="steps of the reconstruction")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--zoo", type=Path, help="judge retrieval on this zoo, 10,000 steps")
    parser.add_argument("--output", type=Path, default=RESULT)
    return parser.parse_args()


def _machine(threads: int) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "threads": threads,
        "load_before": os.getloadavg()[0],
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
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
    )


def _speed(settings: MetaSettings, loop_steps: int) -> dict[str, float]:
    data = synthetic()
    start = time.perf_counter()
    first: list[float] = []
    last: list[Step] = []

    def on_step(step: Step) -> None:
        first[:] = first or [time.perf_counter() - start]
        last[:] = [step]
        if step.retrieval is not None:
            print(f"step {step.step}: loss {step.loss:.3f}, R@1 {step.retrieval.tasks.r1:.2f}")

    meta_train(data, settings, on_step)
    whole = time.perf_counter() - start
    with_evaluation, without = _reconstruction(data, settings, loop_steps)
    ours = whole / settings.steps
    speed = {
        "steps": settings.steps,
        "seconds_a_step_all_included": ours,
        "seconds_before_first_step": first[0],
        "seconds_a_step_after_the_first": (whole - first[0]) / max(1, settings.steps - 1),
        "seconds_for_10000_steps": first[0] + (whole - first[0]) / settings.steps * 10_000,
        "published_loop_seconds_a_step": PUBLISHED_SECONDS,
        "our_reconstruction_seconds_a_step": with_evaluation,
        "our_reconstruction_seconds_a_step_without_evaluation": without,
    }
    for name in ("published_loop_seconds_a_step", "our_reconstruction_seconds_a_step"):
        speed[f"ratio_{name}"] = speed[name] * 10_000 / speed["seconds_for_10000_steps"]
    for name, value in speed.items():
        print(f"{name:>60} {value:.5g}")
    return speed


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


def _retrieval(path: Path) -> dict[str, Any]:
    from tans.zoo.zoo import Zoo

    settings = PRESETS["paper"]
    data = MetaData.from_zoo(Zoo.open(path))
    start = time.perf_counter()
    found = evaluate_retrieval(meta_train(data, settings), data)
    seconds = time.perf_counter() - start
    print(f"{found.queries} held-out queries, {len(data.entries)} networks, {seconds:.0f} s")
    print(f"{'':>16} {'R@1':>6} {'R@5':>6} {'R@10':>6} {'mean':>8} {'median':>8}")
    for name, ranking in asdict(found).items():
        if isinstance(ranking, dict):
            shares = [f"{100 * ranking[key]:6.2f}" for key in ("r1", "r5", "r10")]
            ranks = [f"{ranking[key]:8.2f}" for key in ("mean_rank", "median_rank")]
            print(f"{name:>16}", *shares, *ranks)
    return {
        "zoo": path.name,
        "tasks": len(data.tasks),
        "networks": len(data.entries),
        "data_hash": data.digest(),
        "settings": asdict(settings),
        "seconds": seconds,
        "ranks": asdict(found),
    }


if __name__ == "__main__":
    main()
