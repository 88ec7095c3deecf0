"""What a card does: how fast, how much at once, how long it waits, and whether it learns the same.

All of it is measured on this device, which may be the processor: then what only cards do is left
out. It needs no image but those that it draws, and takes some five minutes on a card.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tans.build.crew import Listener, side_by_side
from tans.build.settings import BuildSettings
from tans.build.supernets import train_supernet, trained_at_once
from tans.meta.data import MetaData
from tans.meta.presets import MetaSettings
from tans.meta.train import meta_train
from tans.networks.device import (
    CPU,
    at_once,
    autocast,
    device,
    name_of,
    on,
    peak_of,
    place,
    several,
    synchronise,
)
from tans.networks.families.elastic.specification import LITE0, ref_of
from tans.networks.families.elastic.supernet import Supernet
from tans.networks.family import build
from tans.networks.network import Network
from tans.networks.probe import linear_head
from tans.search.look import look_at
from tans.tasks.task import Task, TaskCard
from tans.training import FineTuned, Recipe, finetune, probe, sgd
from tans.training.finetuning import Program
from tans.types import InputSpec, NetworkRef, ZooEntry
from tans.zoo.zoo import Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment, Fixed
from tans_bench.runs.results import LINES, Result, Results

RUNS = "gpu"
WAYS = ("float32", "channels last", "16 bits", "both", "both, compiled")
"""Of passing a network; the last two of the memory's order and the number's length together."""
NONE = "–"  # noqa: RUF001
WARM = 3
"""Passes before the clock is read."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    networks: tuple[NetworkRef, ...] = (
        ref_of(LITE0.largest, 64),
        NetworkRef("torchvision", "resnet50", InputSpec(128)),
    )
    """Whose passes are timed."""
    batches: tuple[int, ...] = (32, 256)
    seconds: float = 1.0
    """Of each timing."""
    images: int = 600
    """Of the task that is tuned on, 64 pixels a side."""
    epochs: int = 5
    looks: int = 8
    """Stored networks that are looked at."""
    supernets: int = 4
    """That are trained for a build."""
    features: tuple[int, int] = (2000, 5000)
    """Images and numbers that a head is fitted to."""
    meta_steps: int = 200


@dataclass(frozen=True)
class Measure:
    """Measure this device."""

    sizes: Sizes = field(default_factory=Sizes)
    task: str = ""
    """None in particular."""

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{name_of(device())}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, {"name": name_of(device())}) is not None

    def run(self, bench: Bench) -> Result:
        began, sizes = time.perf_counter(), self.sizes
        task = drawn(sizes.images)
        return {
            "name": name_of(device()),
            "speed": list(speeds(sizes)),
            "looks": looks(bench.zoo, task, sizes.looks),
            "builds": builds(sizes.supernets),
            "tuning": tuning(task, sizes.epochs),
            "fits": fits(*sizes.features),
            "meta": meta_speed(bench.zoo, sizes.meta_steps),
            "seconds": round(time.perf_counter() - began, 1),
        }


def drawn(count: int, side: int = 64) -> Task:
    """Noise under bars that go across, down or both ways, faint enough to be mistaken."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 200, (count, 3, side, side), generator=generator)
    labels = torch.arange(count) % 3
    images[labels != 1, :, ::8] += 30
    images[labels != 0, :, :, ::8] += 30
    card = TaskCard(source="drawn", version="1", licence="CC0-1.0", made="bars", family="bars")
    return Task.from_arrays("bars", images.byte(), labels, ("across", "down", "both"), card)


def rate(act: Callable[[], object], count: int, seconds: float) -> float:
    """Images a second of an act that passes so many."""
    where = device()
    for _ in range(WARM):
        act()
    synchronise(where)
    began, done = time.perf_counter(), 0
    while (taken := time.perf_counter() - began) < seconds or not done:
        for _ in range(WARM):  # several between two waits, as a training has none
            act()
        synchronise(where)
        done += WARM * count
    return round(done / taken, 1) if taken else 0.0


def speeds(sizes: Sizes) -> Iterator[Result]:
    """Images a second of looking and of training, of each network, size of a batch, and way."""
    for ref, batch, way in product(sizes.networks, sizes.batches, _ways()):
        if way == WAYS[4] and batch != sizes.batches[0]:  # compiling takes its time
            continue
        told = {"network": str(ref), "batch": batch, "way": way}
        try:
            yield {**told, **_speed(ref, batch, way, sizes.seconds)}
        except RuntimeError as error:  # of memory, or of a compiler that is not installed
            yield {**told, "failed": " ".join(str(error).split())[:200]}


def _ways() -> Sequence[str]:
    return WAYS if device().type == "cuda" else WAYS[:2]


def _speed(ref: NetworkRef, batch: int, way: str, seconds: float) -> Result:
    torch.manual_seed(0)
    network, side = build(ref, 10), ref.input.size
    network.replace_head(10, deep=True)
    where = place(network)
    x, y = torch.rand(batch, 3, side, side, device=where), torch.arange(batch, device=where) % 10
    if way not in (WAYS[0], WAYS[2]):
        network.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    short = partial(autocast, where) if way in WAYS[2:] else nullcontext
    passes: Callable[[Tensor], Tensor] = network
    if way == WAYS[4]:
        passes = torch.compile(Program(network.train()), dynamic=False)
    optimiser = sgd(network, Recipe())

    def step() -> None:
        with short():
            loss = F.cross_entropy(passes(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    began = time.perf_counter()
    _, peak = peak_of(step, where)
    first = time.perf_counter() - began
    training = rate(step, batch, seconds)
    network.eval()

    @torch.no_grad()
    def look() -> None:
        with short():
            passes(x)

    return {
        "training": training,
        "looking": rate(look, batch, seconds),
        "first_s": round(first, 2),
        "peak_mb": peak // 2**20,
    }


def looks(zoo: Zoo, task: Task, count: int) -> Result:
    """Seconds of looks one after another and several at once, and how many fit."""
    entries = [e for e in zoo.entries(vectors=False) if e.has_weights][:count]

    def look(entry: ZooEntry) -> float:
        return look_at(task, zoo, entry).accuracy

    look(entries[0])
    _, each = peak_of(partial(look, entries[0]), device())
    one, apart = _timed(lambda: [look(entry) for entry in entries])
    some, together = _timed(lambda: dict(several(look, entries)))
    return {
        "count": len(entries),
        "peak_mb": each // 2**20,
        "at_once": at_once(each, device()),
        "one_by_one_s": round(apart, 2),
        "together_s": round(together, 2),
        "same": one == [some[number] for number in range(len(entries))],
    }


def builds(count: int) -> Result:
    """Seconds of supernets that are trained one after another, and by as many workers as fit."""
    workers = trained_at_once(count, BuildSettings())
    items = list(range(count))
    _, apart = _timed(lambda: side_by_side(_build, items))
    _, together = _timed(lambda: side_by_side(_build, items, workers))
    return {
        "count": count,
        "workers": workers,
        "one_by_one_s": round(apart, 2),
        "together_s": round(together, 2),
    }


def _build(item: int, *, on_progress: Listener | None) -> None:
    """Train a supernet on a few images; a worker also begins, and imports PyTorch."""
    del on_progress
    settings, task = BuildSettings(), drawn(96)
    images, labels = task.split("train", settings.resolution)
    supernet = Supernet(LITE0, len(task.classes), settings.resolution)
    train_supernet(supernet, images, labels, replace(settings.recipe, epochs=2, seed=item))
    synchronise(device())


def tuning(task: Task, epochs: int) -> Result:
    """A fine-tune: its seconds, what it takes, how long the card waits, and what it learns."""
    torch.manual_seed(0)
    network, recipe = build(ref_of(LITE0.largest, 64), 3), Recipe(epochs=epochs)
    run = partial(_tuned, network, task, recipe)
    run()
    (tuned, seconds), peak = peak_of(lambda: _timed(run), device())
    again = run()
    with on(CPU):
        here, slow = _timed(run)
    return {
        "seconds": round(seconds, 2),
        "on_the_processor_s": round(slow, 2),
        "peak_mb": peak // 2**20,
        "waits": _waits(run),
        "accuracy": tuned.test_accuracy,
        "on_the_processor": here.test_accuracy,
        "probe": probe(_headed(network), task),
        "probe_on_the_processor": _there(lambda: probe(_headed(network), task)),
        "same_twice": _same(tuned.network, again.network),
    }


def _tuned(network: Network, task: Task, recipe: Recipe) -> FineTuned:
    return finetune(network, task, recipe=recipe)


def _headed(network: Network) -> Network:
    own = copy.deepcopy(network)
    own.replace_head(3, deep=True)
    return own


def _there(act: Callable[[], float]) -> float:
    with on(CPU):
        return act()


def _same(one: Network, other: Network) -> bool:
    pairs = zip(one.weights().values(), other.weights().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def _waits(act: Callable[[], object]) -> float | None:
    """Share of an act's time in which a card computes nothing; None on the processor."""
    if device().type != "cuda":
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        _, seconds = _timed(act)
    busy = sum(event.self_device_time_total for event in found.key_averages()) / 1e6
    return round(max(0.0, 1 - busy / seconds), 3)


def fits(images: int, numbers: int) -> Result:
    """Seconds of fitting a head to features, which tans does on the processor, here and there."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, numbers, generator=generator)
    labels, blocks = torch.arange(images) % 10, (numbers // 2, numbers - numbers // 2)
    _, here = _timed(lambda: linear_head(features, labels, 10, blocks=blocks))
    found = {"on_the_processor_s": round(here, 2)}
    if device().type == "cuda":
        x, y = features.to(device()), labels.to(device())
        linear_head(x[:50], y[:50], 10, blocks=blocks)  # warm
        found["on_the_card_s"] = round(_timed(lambda: linear_head(x, y, 10, blocks=blocks))[1], 2)
    return found


def meta_speed(zoo: Zoo, steps: int) -> Result:
    """Steps a second of meta-training."""
    data, settings = MetaData.from_zoo(zoo), MetaSettings(steps=steps, evaluate_every=0)
    train = partial(meta_train, data, settings)
    _, seconds = _timed(train)
    with on(CPU):
        _, slow = _timed(train)
    return {"steps_per_s": round(steps / seconds, 1), "on_the_processor": round(steps / slow, 1)}


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    synchronise(device())
    began = time.perf_counter()
    done = act()
    synchronise(device())
    return done, time.perf_counter() - began


# Drawing


def draw(plan: Fixed, results: Results) -> Sequence[Drawing]:
    del plan  # whatever is stored
    newest = {line["name"]: line for line in results.lines(RUNS)}
    if not newest:
        return []
    return [_speed_table(newest), _rest_table(newest)]


def _speed_table(lines: Mapping[str, Result]) -> Table:
    rows = [
        [
            *(name, each["network"], str(each["batch"]), each["way"]),
            *(f"{each[key]:,.0f}" for key in ("looking", "training")),
            *(f"{each['first_s']:.2f}", f"{each['peak_mb']:,}"),
        ]
        for name, line in lines.items()
        for each in line["speed"]
        if "failed" not in each
    ]
    caption = (
        "Images a second that are looked at and trained on, under a deep head. The first step "
        "holds all that is done once, such as compiling; memory is what a step takes at most."
    )
    columns = (
        *("device", "network", "batch", "way", "looking", "training"),
        *("first step (s)", "memory (MB)"),
    )
    return Table("speed", caption, columns, rows)


def _rest_table(lines: Mapping[str, Result]) -> Table:
    told = {name: _told(line) for name, line in lines.items()}
    labels = next(iter(told.values()))
    rows = [[label, *(each[label] for each in told.values())] for label in labels]
    caption = (
        "Looks, builds and a fine-tune of the largest elastic network, each as tans does it; the "
        "card waits while no kernel runs."
    )
    return Table("together", caption, ("measured", *told), rows)


def _told(line: Result) -> dict[str, str]:
    looks, builds, tuned, fits = (line[key] for key in ("looks", "builds", "tuning", "fits"))
    waits = NONE if tuned["waits"] is None else f"{100 * tuned['waits']:.0f} %"
    return {
        "PyTorch": str(line["torch"]),
        f"{looks['count']} looks one by one (s)": f"{looks['one_by_one_s']:.2f}",
        "looks together (s)": f"{looks['together_s']:.2f}",
        "looks at once, at most": str(looks["at_once"]),
        "memory of a look (MB)": f"{looks['peak_mb']:,}",
        "looks agree": "yes" if looks["same"] else "no",
        f"{builds['count']} supernets one by one (s)": f"{builds['one_by_one_s']:.2f}",
        "supernets together (s)": f"{builds['together_s']:.2f}",
        "workers": str(builds["workers"]),
        "fine-tune (s)": f"{tuned['seconds']:.2f}",
        "fine-tune on the processor (s)": f"{tuned['on_the_processor_s']:.2f}",
        "memory of a fine-tune (MB)": f"{tuned['peak_mb']:,}",
        "time that the card waits": waits,
        "test accuracy": f"{tuned['accuracy']:.3f}",
        "test accuracy on the processor": f"{tuned['on_the_processor']:.3f}",
        "probe": f"{tuned['probe']:.3f}",
        "probe on the processor": f"{tuned['probe_on_the_processor']:.3f}",
        "the same weights twice": "yes" if tuned["same_twice"] else "no",
        "head fitted on the processor (s)": f"{fits['on_the_processor_s']:.2f}",
        "head fitted on the card (s)": str(fits.get("on_the_card_s", NONE)),
        "steps of meta-training a second": f"{line['meta']['steps_per_s']:.0f}",
        "those on the processor": f"{line['meta']['on_the_processor']:.0f}",
        "all of this (s)": f"{line['seconds']:.0f}",
    }


EXPERIMENT = Experiment(
    name="gpu",
    title="What a card does",
    question=(
        "How fast does a card train and look, in which way, how much does it do at once, how long "
        "does it wait, and does it learn what the processor learns?"
    ),
    plan=Fixed((Measure(),)),
    drawn=draw,
)
