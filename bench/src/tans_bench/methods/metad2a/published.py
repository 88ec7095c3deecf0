"""What NAS-Bench-201 measured of its cells, for MetaD2A to learn from and to be judged by.

Two forms are read. ``NAS-Bench-201-v1_1-*.pth``, or a part of it, as far as it holds containers and
numbers, which needs several times its size in memory; if it names classes, it is refused. And JSON,

    {"|nor_conv_3x3~0|+|none~0|...|": {"cifar10": {"validation": 91.2, "test": 93.9, "mflops": 79}}}

with accuracies in per cent, which whoever trusts a file can write of it by the benchmark's own
package. Any other form, such as numpy's of objects, would have to be unpickled.

Reference: Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search, ICLR 2020.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tans.errors import InputError, visible
from tans.files import read_file
from tans.meta.metrics import spearman
from tans.networks.features import image_features
from tans.tasks.task import Task
from tans.zoo.zoo import Zoo
from tans_bench.methods.metad2a.graphs import cell_graphs
from tans_bench.methods.metad2a.learning import MetaD2ASettings, kept
from tans_bench.methods.metad2a.pairs import Pair, Pairs
from tans_bench.saved import read_saved
from tans_bench.spaces.nasbench201 import NAS_BENCH_201

WHERE: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "cifar10": (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "cifar100": (("cifar100", "x-valid"), ("cifar100", "x-test")),
    "ImageNet16-120": (("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}
"""By dataset, what is validated and what is tested: its name in the benchmark, and the images'."""
SCHEDULE = "full"
"""Of the benchmark's two, the one of 200 epochs."""
IMAGES_EACH, MOST_IMAGES = 20, 1000
"""Images of a class that a dataset is described by, and in all."""
MOST_JSON = 2**28


def read_benchmark(path: Path) -> list[Pair]:
    """Cells, with their accuracies on each dataset, means over runs.

    Raises:
        InputError: the file cannot be read, or says what cannot be; the message names the cell.
    """
    if path.suffix.lower() == ".json":
        found = _json(path)
    else:
        found = read_saved(path)
        if isinstance(found, Mapping) and isinstance(found.get("arch2infos"), Mapping):
            found = dict(_summarised(path, found["arch2infos"]))
    if not isinstance(found, Mapping) or not found:
        raise InputError(
            f"{path} holds no cells; expected NAS-Bench-201-v1_1-*.pth, or JSON with accuracies of "
            "each cell"
        )
    return [pair for cell, measured in found.items() for pair in _pairs(path, cell, measured)]


def benchmark_pairs(
    measured: Sequence[Pair], tasks: Sequence[Task], zoo: Zoo, cells: int = 500, seed: int = 0
) -> Pairs:
    """Cells of the benchmark on datasets whose images are there, described as a zoo's tasks are.

    Args:
        measured: as ``read_benchmark`` gives them.
        tasks: named as datasets of the benchmark are, such as ``cifar10``.
        zoo: whose base makes the features of images.
        cells: drawn at random of each dataset, at most.

    Raises:
        InputError: the benchmark measured nothing on a task.
        ZooError: the zoo has no base.
    """
    network = zoo.query_network()
    datasets, kept_pairs = {}, []
    for task in tasks:
        own = [pair for pair in measured if pair.task == task.name]
        if len(own) < 2:
            known = ", ".join(dict.fromkeys(pair.task for pair in measured))
            raise InputError(
                f"{len(own)} cells were measured on {task.name}; expected two or more: the "
                f"benchmark is of {known}"
            )
        wanted = min(IMAGES_EACH * len(task.classes), MOST_IMAGES)
        images, labels = task.sample(wanted, zoo.resolution)
        datasets[task.name] = (image_features(network, images), labels)
        kept_pairs += random.Random(seed).sample(own, min(cells, len(own)))
    return Pairs(cell_graphs(), datasets, kept_pairs)


def ranks(pairs: Pairs, settings: MetaD2ASettings) -> dict[str, dict[str, float]]:
    """How scores order each dataset's cells, learnt on the other datasets alone.

    Returns:
        By dataset, rank correlations with test accuracies (validation's where none is known): of
        the scores, ``metad2a``, and beside them of multiply-adds, ``size``, and of validation
        accuracies, ``validation``.

    Raises:
        InputError: there is one dataset alone.
    """
    if len(pairs.datasets) < 2:
        raise InputError(
            f"{len(pairs.datasets)} dataset was given; expected two or more, as each is judged by "
            "what was learnt on the others: give CIFAR-10 and CIFAR-100"
        )
    found = {}
    for name, dataset in pairs.datasets.items():
        learnt, own = kept(pairs.without([name]), settings), pairs.of(name)
        tested = [p.accuracy if p.test_accuracy is None else p.test_accuracy for p in own]
        types = learnt.graphs.types([pair.architecture for pair in own])
        scores = {
            "metad2a": learnt.predict(dataset, types),
            "size": torch.tensor([float(pair.flops) for pair in own]),
            "validation": torch.tensor([pair.accuracy for pair in own]),
        }
        truth = torch.tensor(tested)[:, None]
        found[name] = {
            which: spearman(values[:, None], truth).item() for which, values in scores.items()
        }
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(read_file(path, MOST_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}; expected JSON") from error


def _summarised(
    path: Path, infos: Mapping[Any, Any]
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Cells of the published form as the other form has them."""
    for number, info in infos.items():
        try:
            schedule = info[SCHEDULE]
            results = schedule["all_results"]
            cell = str(schedule["arch_str"])
            yield (
                cell,
                {name: summary for name in WHERE if (summary := _summary(results, *WHERE[name]))},
            )
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{path}, cell {number!s:.20}: no {SCHEDULE!r} results can be read "
                f"({type(error).__name__} {error!s:.60}); expected the benchmark's version 1.1"
            ) from error


def _summary(
    results: Mapping[Any, Any], validated: tuple[str, str], tested: tuple[str, str]
) -> dict[str, float]:
    """Mean accuracies of one dataset; empty where it was not measured."""
    validation, test = _accuracies(results, *validated), _accuracies(results, *tested)
    if not validation:
        return {}
    mflops = statistics.fmean(r["flop"] for (name, _), r in results.items() if name == validated[0])
    summary = {"validation": statistics.fmean(validation), "mflops": mflops}
    return summary | ({"test": statistics.fmean(test)} if test else {})


def _accuracies(results: Mapping[Any, Any], dataset: str, images: str) -> list[float]:
    """Of each run, after the last epoch."""
    own = [result for (name, _), result in results.items() if name == dataset]
    return [float(r["eval_acc1es"][f"{images}@{int(r['epochs']) - 1}"]) for r in own]


def _pairs(path: Path, cell: Any, measured: Any) -> Iterator[Pair]:
    place = f"{path}, cell {visible(str(cell)[:80])!r}"
    try:
        architecture = NAS_BENCH_201.from_listing(str(cell))
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if not isinstance(measured, Mapping):
        raise InputError(f"{place}: expected accuracies by dataset, as in {tuple(WHERE)}")
    for name, values in measured.items():
        known = values if isinstance(values, Mapping) else {}
        test = known.get("test")
        yield Pair(
            str(name),
            architecture,
            _share(place, name, "validation", known.get("validation")),
            round(1e6 * _number(place, name, "mflops", known.get("mflops"), math.inf)),
            None if test is None else _share(place, name, "test", test),
        )


def _share(place: str, dataset: Any, field: str, value: Any) -> float:
    return _number(place, dataset, field, value, 100.0) / 100


def _number(place: str, dataset: Any, field: str, value: Any, most: float) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= number <= most or math.isinf(number):
        expected = "per cent, from 0 to 100" if most < math.inf else "a number, not below 0"
        raise InputError(
            f"{place}, {visible(str(dataset)[:40])}, {field}: it is {visible(repr(value)[:40])}; "
            f"expected {expected}"
        )
    return float(number)
