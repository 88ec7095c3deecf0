"""The competing methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tans_bench.methods import fbnet, nsganet, onceforall, reference, scores
from tans_bench.methods.darts import drnas, pcdarts
from tans_bench.methods.metad2a import method as metad2a
from tans_bench.methods.method import Deviation, Method


@dataclass(frozen=True)
class Entrant:
    """A method in a comparison."""

    method: Method
    title: str
    """As tables and figures show it."""
    about: str
    """One line on how it chooses."""
    version: int = 1
    """Part of a result's name: what an older version of the method chose never stands for it."""
    deviations: tuple[Deviation, ...] = ()
    """From its paper, of a rival."""


BASELINES: Mapping[str, Entrant] = {
    "imagenet": Entrant(
        reference.imagenet,
        "ImageNet",
        "the ImageNet network as published, fine-tuned",
        deviations=reference.DEVIATIONS,
    ),
    "imagenet-random-head": Entrant(
        reference.imagenet_random_head,
        "ImageNet, random head",
        "the ImageNet network as it is mostly fine-tuned, from a random head",
    ),
    "elastic-base": Entrant(
        reference.elastic_base,
        "elastic base",
        "the largest subnet of the distilled ImageNet network within the limits",
    ),
    "from-scratch": Entrant(
        reference.from_scratch, "from scratch", "the same architecture with untrained weights"
    ),
    "random": Entrant(reference.at_random, "random", "any stored network within the limits"),
    "largest": Entrant(
        reference.largest, "largest", "a stored network of the most parameters within the limits"
    ),
    "nearest-dataset": Entrant(
        reference.nearest_dataset,
        "nearest dataset",
        "the largest network of the source with the nearest mean image feature",
    ),
    "best-on-average": Entrant(
        reference.best_on_average,
        "best on average",
        "the largest network of the source with the best probes on the zoo's own tasks",
    ),
    "logme": Entrant(scores.by_logme, "LogME", "the source with the highest LogME"),
    "probe": Entrant(
        scores.by_probe, "probe alone", "the source with the best linear probe of all sources"
    ),
    "ofa": Entrant(
        onceforall.OnceForAll(),
        "OFA",
        "evolves a subnet of the elastic base by a predictor fitted to the zoo's networks",
        deviations=onceforall.DEVIATIONS,
    ),
    "ofa-random": Entrant(
        onceforall.OnceForAll(at_random=True),
        "OFA, random choice",
        "the same evolution, chance in place of the predictor",
        deviations=onceforall.RANDOM_DEVIATIONS,
    ),
    "nsganetv2": Entrant(
        nsganet.NsgaNetV2(),
        "NSGANetV2",
        "evolves subnets of the base by a surrogate of what they reach on the task's images",
        version=2,
        deviations=nsganet.DEVIATIONS,
    ),
    "metad2a": Entrant(
        metad2a.MetaD2A(),
        "MetaD2A",
        "the best predicted of the architectures generated for the task",
        version=2,
        deviations=metad2a.DEVIATIONS,
    ),
    "fbnet": Entrant(
        fbnet.FBNet(),
        "FBNet",
        "learns a subnet's layers by Gumbel-softmax on the task's images and measured latency",
        deviations=fbnet.DEVIATIONS,
    ),
    "fbnet-a": Entrant(
        fbnet.fbnet_a,
        "FBNet-A",
        "the subnet of the elastic base that is nearest to the network of FBNet's paper",
        version=2,
        deviations=fbnet.FIXED_DEVIATIONS,
    ),
    "pc-darts": Entrant(
        pcdarts.PcDarts(),
        "PC-DARTS",
        "cells searched on the task's images with partial channels, untrained",
        version=2,
        deviations=pcdarts.DEVIATIONS,
    ),
    "drnas": Entrant(
        drnas.DrNas(),
        "DrNAS",
        "cells searched on the task's images with Dirichlet weights, untrained",
        version=2,
        deviations=drnas.DEVIATIONS,
    ),
}
RIVALS = (
    *("imagenet", "ofa", "ofa-random", "nsganetv2", "metad2a"),
    *("fbnet", "fbnet-a", "pc-darts", "drnas"),
)
"""What the paper compares with, and what belongs beside it; each tells where it deviates."""
