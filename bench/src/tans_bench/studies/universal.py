"""Are networks found that meta-training never saw, of families that it never saw?

Published networks beside the elastic ones, as in the paper's appendix: each is fine-tuned on tasks
of the zoo, and embedded as ``tans zoo add`` embeds it. Retrievers that saw none of them, those of
one family, or all, then say which task each network is for, and which suits an unseen task.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from tans.build.measure import embedded
from tans.errors import InputError
from tans.meta.data import MetaData, structures
from tans.meta.evaluate import evaluate_retrieval
from tans.meta.metrics import regret, spearman
from tans.meta.presets import PRESETS, MetaSettings
from tans.meta.retriever import Retriever
from tans.meta.train import meta_train
from tans.networks.device import device
from tans.networks.family import resized
from tans.networks.features import image_features
from tans.networks.published import PUBLISHED, get_published, read_published
from tans.tasks.task import Task
from tans.training import Recipe, finetune, probe
from tans.types import NetworkRef
from tans.zoo.columns import ids_digest
from tans.zoo.weights import assemble
from tans.zoo.zoo import QUERY_IMAGES, Zoo
from tans_bench.runs.bench import Bench
from tans_bench.runs.drawing import Drawing, Table
from tans_bench.runs.experiment import Experiment
from tans_bench.runs.jobs import Job
from tans_bench.runs.judge import judged
from tans_bench.runs.results import LINES, Result, Results

RUNS, LEARNT = "universal", "universal_learnt"
FROZEN = "judged_frozen"
"""Where the probes are of the zoo's own networks, on the same images."""
NETWORKS = tuple(published.ref.name for published in PUBLISHED)
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Lite": tuple(name for name in NETWORKS if "lite" in name),
    "MobileNetV2": tuple(name for name in NETWORKS if "lite" not in name),
}
SOURCES = ("script-arabic", "emoji-twitter", "playing-cards", "icons-places", "digits")
"""Tasks of the zoo that the networks are fine-tuned on."""
WHOLE = SOURCES[:2]
"""Those that all of them are; the larger two are left out on the others."""
PAIRS = tuple(
    (network, task)
    for task in SOURCES
    for network in NETWORKS
    if task in WHOLE or network in ("tf_efficientnet_lite0", "mobilenetv2_100")
)
TARGETS = (
    *("script-greek", "icons-apps", "emoji-google-reserved"),
    *("ufoai-textures", "fashion-mnist", "wesnoth-units"),
)
"""Dev tasks that they are looked at for."""
SIZE, IMAGES = 64, 300
RECIPE = Recipe(batch_size=16, deep_head=False)
"""A head on the last features alone, as that of the zoo's own networks."""
SEEDS = (777, 778, 779, 780, 781)
FIVE = 5
"""Networks that a second look compares."""
DROPOUT = 0.3
TODAY = PRESETS["default"]
SHIPPED = "as shipped"
VARIANTS: dict[str, MetaSettings] = {
    "topology, answers": TODAY,
    "answers": replace(TODAY, parts=("similarities",)),
    "structure, answers": replace(TODAY, parts=("structure", "similarities")),
    "structure, answers, dropout": replace(
        TODAY, parts=("structure", "similarities"), part_dropout=DROPOUT
    ),
    "topology, structure, answers, dropout": replace(
        TODAY, parts=("topology", "structure", "similarities"), part_dropout=DROPOUT
    ),
}
"""What a model encoder reads; the first are the default settings."""
AGAIN = ("topology, answers", "structure, answers")
"""Those that are also trained with added networks."""
SEEN: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "Lite": ("Lite",),
    "MobileNetV2": ("MobileNetV2",),
    "both": ("Lite", "MobileNetV2"),
}
"""Families of added networks that meta-training saw."""


@dataclass(frozen=True)
class Tune:
    """Fine-tune a published network on a task of the zoo, embed it, and probe it on dev tasks."""

    network: str
    task: str

    @property
    def name(self) -> str:
        return f"{RUNS}{LINES}/{self.network}-{self.task}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(RUNS, asdict(self)) is not None

    def run(self, bench: Bench) -> Result:
        published = get_published(self.network)
        start = assemble(read_published(published), resized(published.ref, SIZE))
        tuned = finetune(start, bench.tasks(self.task, IMAGES), recipe=RECIPE)
        network = tuned.network.cpu().eval()
        entry = embedded(network, self.task, "", published.licence)
        probes = {}
        for target in TARGETS:
            network.replace_head(2, deep=True)
            probes[target] = round(probe(network.to(device()), shown(bench, target), IMAGES), 5)
        return {
            **asdict(self),
            "accuracy": round(tuned.test_accuracy, 5),
            "seconds": round(tuned.seconds, 1),
            "probes": probes,
            "similarities": [round(value, 3) for value in entry.similarities or ()],
        }


@lru_cache(maxsize=len(TARGETS))
def shown(bench: Bench, target: str) -> Task:
    """Images of a dev task as the judge's first seed has them."""
    return judged(bench.tasks(target, None), 0, IMAGES)


@dataclass(frozen=True, eq=False)
class Known:
    """What is learnt from and judged by."""

    data: MetaData
    """Of the zoo alone."""
    added: Sequence[Result]
    """Lines of ``Tune``."""
    queries: Mapping[str, tuple[Tensor, Tensor]]
    """Features (n, f) and labels (n,) of images of each dev task."""
    truth: Tensor
    """Probe accuracies (tasks of the zoo + added networks, dev tasks), NaN where unknown."""

    @classmethod
    @lru_cache(maxsize=1)
    def of(cls, bench: Bench) -> Known:
        """Read once for all runs of a process."""
        data, added = MetaData.from_zoo(bench.zoo), tuned_all(bench.results)
        own = [_probes_of_zoo(bench.results, data, target) for target in TARGETS]
        theirs = [[line["probes"][target] for line in added] for target in TARGETS]
        truth = torch.tensor([a + b for a, b in zip(own, theirs, strict=True)]).T
        queries = {target: _query(bench, target) for target in TARGETS}
        return cls(data, added, queries, truth)

    def seeing(self, families: Sequence[str], without: str = "") -> MetaData:
        """The zoo and the added networks of some families, but for those of one task."""
        own = [line for line in self.added if line["task"] != without]
        return with_added(self.data, [line for line in own if kind(line) in families])


def tuned_all(results: Results) -> list[Result]:
    """All lines of ``Tune``, in a fixed order."""
    found = {(line["network"], line["task"]): line for line in results.lines(RUNS)}
    return [found[pair] for pair in PAIRS if pair in found]


def kind(line: Result) -> str:
    """Family of an added network."""
    return next(family for family, names in FAMILIES.items() if line["network"] in names)


def with_added(data: MetaData, added: Sequence[Result]) -> MetaData:
    """Meta data with networks beside those of the zoo; what they lack is NaN."""
    parts = {
        name: torch.cat([data.parts[name], part]) for name, part in parts_of(data, added).items()
    }
    own = torch.tensor([data.tasks.index(line["task"]) for line in added], dtype=torch.long)
    accuracy = torch.tensor([line["accuracy"] for line in added])
    return replace(
        data,
        entries=(*data.entries, *(f"{line['task']}-{line['network']}" for line in added)),
        entry_tasks=torch.cat([data.entry_tasks, own]),
        accuracy=torch.cat([data.accuracy, accuracy]),
        parts=parts,
    )


def parts_of(data: MetaData, added: Sequence[Result]) -> dict[str, Tensor]:
    """What a model encoder reads of added networks, (k, w) each, NaN where they lack it."""
    refs = [_ref(line["network"]) for line in added]
    known = {
        "structure": structures(refs),
        "similarities": torch.tensor([line["similarities"] for line in added]),
    }
    width = {name: part.shape[1] for name, part in data.parts.items()}
    return {
        name: known[name].reshape(len(added), width[name])
        if name in known
        else torch.full((len(added), width[name]), torch.nan)
        for name in width
    }


@dataclass(frozen=True)
class Learn:
    """Meta-train on the zoo and some added networks, and look for all of them."""

    variant: str
    """One of ``VARIANTS``, or ``SHIPPED``."""
    seen: str
    """One of ``SEEN``."""
    seed: int
    task: str = ""
    """No added network of it is seen, and those of it alone are looked for; all where empty."""

    @property
    def name(self) -> str:
        return f"{LEARNT}{LINES}/{self.variant}-{self.seen}-{self.task}-s{self.seed}"

    def done(self, bench: Bench) -> bool:
        return bench.results.find(LEARNT, self._key(bench)) is not None

    def run(self, bench: Bench) -> Result:
        known = Known.of(bench)
        retriever = self._retriever(bench, known)
        whole = known.seeing(list(FAMILIES))
        retriever = replace(
            retriever,
            networks=ids_digest(whole.entries),
            matrix=retriever.encode_models(whole.parts),
        )
        return {**self._key(bench), **judge(retriever, known, self.task)}

    def _retriever(self, bench: Bench, known: Known) -> Retriever:
        if self.variant == SHIPPED:
            return Retriever.load(bench.zoo.retrieval)
        settings = replace(VARIANTS[self.variant], seed=self.seed, evaluate_every=0)
        return meta_train(known.seeing(SEEN[self.seen], self.task), settings)

    def _key(self, bench: Bench) -> Result:
        """What tells one run from another; a change of what is read, code apart, makes it anew."""
        settings = VARIANTS.get(self.variant, TODAY)
        digest = hashlib.sha256(json.dumps(asdict(settings)).encode())
        digest.update(json.dumps([line["similarities"] for line in _added(bench)]).encode())
        key = {"settings": self.variant, "seen": self.seen, "seed": self.seed, "task": self.task}
        return {**key, "digest": digest.hexdigest()[:16], "zoo": _zoo(bench.zoo)}


@lru_cache(maxsize=1)
def _added(bench: Bench) -> list[Result]:
    return tuned_all(bench.results)


@lru_cache(maxsize=1)
def _zoo(zoo: Zoo) -> str:
    ids = "".join(entry.id for entry in zoo.entries(vectors=False))
    return hashlib.sha256(ids.encode()).hexdigest()[:16]


def judge(retriever: Retriever, known: Known, task: str = "") -> Result:
    """How well a retriever of all networks finds those of the zoo, and those that were added.

    Args:
        task: whose added networks are looked for; all where empty.
    """
    elastic = len(known.data.entries)
    own = replace(
        retriever, networks=ids_digest(known.data.entries), matrix=retriever.matrix[:elastic]
    )
    found = evaluate_retrieval(own, known.data)
    families = dict.fromkeys(kind(line) for line in known.added if task in ("", line["task"]))
    return {
        "known": {"r1": found.entries.r1, "mean_rank": found.entries.mean_rank},
        "found": {family: _found(retriever, known, family, task) for family in families},
        "chosen": _chosen(retriever, known),
    }


def _found(retriever: Retriever, known: Known, family: str, task: str) -> Result:
    """Ranks of the networks of a family and of their tasks, for held-out images of each task."""
    data, tasks = known.data, known.data.judged.tolist()
    queries = [_held_out_query(retriever, data, each) for each in tasks]
    scores = torch.stack(queries) @ retriever.matrix.T  # (h, e)
    everyone = known.seeing(list(FAMILIES)).entry_tasks
    tuned = sorted({tasks.index(data.tasks.index(line["task"])) for line in known.added})
    ranks: dict[str, list[int]] = {"query": [], "of_tuned": [], "network": [], "of_task": []}
    for place, line in enumerate(known.added, len(data.entries)):
        if kind(line) != family or task not in ("", line["task"]):
            continue
        row = tasks.index(data.tasks.index(line["task"]))
        same = everyone == everyone[place]
        nearer = scores[:, place] > scores[row, place]  # (h,)
        ranks["query"].append(1 + int(nearer.sum()))
        ranks["of_tuned"].append(1 + int(nearer[tuned].sum()))
        above = scores[row] > scores[row, place]
        ranks["network"].append(1 + int(above.sum()))
        ranks["of_task"].append(1 + int((above & same).sum()))
    return {
        "networks": len(ranks["query"]),
        "r1": statistics.fmean(rank == 1 for rank in ranks["query"]),
        **{name: statistics.fmean(found) for name, found in ranks.items()},
    }


def _held_out_query(retriever: Retriever, data: MetaData, task: int) -> Tensor:
    rows = (data.image_tasks == task) & data.held_out
    return retriever.encode_query(data.features[rows], data.labels[rows])


def _chosen(retriever: Retriever, known: Known) -> Result:
    """How well networks are chosen for dev tasks: of all, and of the added ones alone."""
    queries = [retriever.encode_query(*known.queries[target]) for target in TARGETS]
    cosines = retriever.matrix @ torch.stack(queries).T  # (e, d)
    elastic, tasks = len(known.data.entries), len(known.data.tasks)
    best = torch.full((tasks, len(TARGETS)), -torch.inf)
    index = known.data.entry_tasks[:, None].expand(-1, len(TARGETS))
    best.scatter_reduce_(0, index, cosines[:elastic], "amax")
    scores = torch.cat([best, cosines[elastic:]])  # (tasks + added, d)
    return {
        "all": _choice(scores, known.truth),
        "added": _choice(scores[tasks:], known.truth[tasks:]),
    }


def _choice(scores: Tensor, truth: Tensor) -> Result:
    known = truth.isfinite()
    best, mean = truth.nan_to_num(0).amax(0), truth.nanmean(0)
    return {
        "regret": float(regret(scores, truth).mean()),
        "regret_of_five": float(regret(scores, truth, first=FIVE).mean()),
        "spearman": float(spearman(scores, truth).mean()),
        "random": float((best - mean).mean()),
        "candidates": int(known.sum(0).max()),
    }


def _query(bench: Bench, target: str) -> tuple[Tensor, Tensor]:
    """Features and labels of images of a dev task, as a search reads them."""
    images, labels = shown(bench, target).split("train", bench.zoo.resolution, QUERY_IMAGES)
    return image_features(bench.zoo.query_network(), images), labels


def _probes_of_zoo(results: Results, data: MetaData, target: str) -> list[float]:
    """Probe accuracy of each task's largest network on a dev task; NaN where there is none.

    Raises:
        InputError: the judge has not looked at the zoo's networks.
    """
    key = {"task": target, "seed": 0, "images": IMAGES, "part": "within"}
    found = results.find(FROZEN, key)
    if found is None:
        raise InputError(f"no probes of the zoo on {target}; expected them in {FROZEN}{LINES}")
    return [found["accuracy"].get(f"{task}@{SIZE}", torch.nan) for task in data.tasks]


def _ref(network: str) -> NetworkRef:
    return resized(get_published(network).ref, SIZE)


@dataclass(frozen=True)
class Universal:
    """A plan: all fine-tunes, then every variant that saw none, and some that saw some."""

    pairs: tuple[tuple[str, str], ...] = PAIRS
    """Network and task."""
    seeds: tuple[int, ...] = SEEDS
    seeds_again: tuple[int, ...] = SEEDS[:3]

    def jobs(self, bench: Bench) -> Sequence[Job]:
        tunes = [Tune(*pair) for pair in self.pairs]
        return [*tunes, *(self.learn() if all(tune.done(bench) for tune in tunes) else ())]

    def learn(self) -> Sequence[Learn]:
        """All trainings; what is as shipped has one seed."""
        unseen, *seen = SEEN
        first = [Learn(*cell, seed) for cell in product(VARIANTS, [unseen]) for seed in self.seeds]
        again = [Learn(*cell, seed) for cell in product(AGAIN, seen) for seed in self.seeds_again]
        others = product(AGAIN, [seen[-1]], self.seeds_again, dict.fromkeys(t for _, t in PAIRS))
        left_out = [Learn(*cell) for cell in others]
        return [Learn(SHIPPED, unseen, self.seeds[0]), *first, *again, *left_out]

    def scaled(self, preset: str) -> Universal:
        del preset
        return self


def draw(plan: Universal, results: Results) -> Sequence[Drawing]:
    latest = {(r["settings"], r["seen"], r["seed"], r["task"]): r for r in results.lines(LEARNT)}
    cells: dict[tuple[str, str], list[Result]] = {}
    for job in plan.learn():
        if (run := latest.get((job.variant, job.seen, job.seed, job.task))) is not None:
            seen = f"{job.seen}, on other tasks" if job.task else job.seen
            cells.setdefault((job.variant, seen), []).append(run)
    return [_accuracies(results), _ranks(cells), _choices(cells)] if cells else []


Cells = Mapping[tuple[str, str], Sequence[Result]]


def _accuracies(results: Results) -> Table:
    lines = tuned_all(results)
    found = {(line["network"], line["task"]): f"{100 * line['accuracy']:.0f}" for line in lines}
    tasks = dict.fromkeys(line["task"] for line in lines)
    rows = [[task, *(found.get((network, task), "") for network in NETWORKS)] for task in tasks]
    caption = "Test accuracy in % of the added networks on the task that each was fine-tuned on."
    return Table("accuracies", caption, ("task", *NETWORKS), rows)


def _ranks(cells: Cells) -> Table:
    rows = []
    for (variant, seen), runs in cells.items():
        known = [run["known"] for run in runs]
        row = [variant, seen, _percent(known, "r1")]
        for family in FAMILIES:
            own = [run["found"][family] for run in runs]
            row += [_percent(own, "r1"), *(_mean(own, n) for n in ("query", "of_tuned", "network"))]
        rows.append(row)
    first = next(iter(cells.values()))[0]
    counts = {family: first["found"][family]["networks"] for family in FAMILIES}
    candidates = {which: first["chosen"][which]["candidates"] for which in ("all", "added")}
    tasks = candidates["all"] - candidates["added"]
    told = ("own task first", "rank of its task", "rank among the tuned", "rank")
    columns = ("reads", "saw", "R@1", *(f"{f}: {name}" for f in FAMILIES for name in told))
    added = " and ".join(f"{count} of {family}" for family, count in counts.items())
    again = len(Universal().seeds_again)
    caption = (
        f"Mean of {len(SEEDS)} seeds, of {again} where some were seen. R@1 is "
        f"of the zoo's own networks. Of the added ones ({added}): the share whose own task's "
        f"held-out images come nearest of all {tasks} tasks' (chance {100 / tasks:.0f} %), the "
        f"mean rank of that task (chance {(1 + tasks) / 2:g}), the same among the {len(SOURCES)} "
        "that have added networks (chance "
        f"{(1 + len(SOURCES)) / 2:g}), and for its images the mean rank of the network among all."
    )
    return Table("ranks", caption, columns, rows)


def _choices(cells: Cells) -> Table:
    rows = []
    for (variant, seen), runs in cells.items():
        row = [variant, seen]
        for which in ("all", "added"):
            own = [run["chosen"][which] for run in runs]
            row += [_percent(own, "regret"), _percent(own, "regret_of_five")]
            row.append(f"{statistics.fmean(each['spearman'] for each in own):.2f}")
        rows.append(row)
    first = next(iter(cells.values()))[0]["chosen"]
    chance = [f"{100 * first[which]['random']:.1f}" for which in ("all", "added")]
    rows.append(["random choice", "", chance[0], "", "0.00", chance[1], "", "0.00"])
    told = ("regret", "regret of the best of five", "Spearman")
    caption = (
        f"Choices for {len(TARGETS)} dev tasks among {first['all']['candidates']} networks (one of "
        f"each source, and the added ones) and among the {first['added']['candidates']} added ones "
        "alone, judged by probes; regret in points, lower is better."
    )
    columns = ("reads", "saw", *told, *(f"added: {name}" for name in told))
    return Table("choices", caption, columns, rows)


def _percent(found: Sequence[Result], name: str) -> str:
    return f"{100 * _weighed(found, name):.1f}"


def _mean(found: Sequence[Result], name: str) -> str:
    return f"{_weighed(found, name):.1f}"


def _weighed(found: Sequence[Result], name: str) -> float:
    """Mean over networks, where runs look for several."""
    weights = [each.get("networks", 1) for each in found]
    return statistics.fmean([each[name] for each in found], weights)


EXPERIMENT = Experiment(
    name="universal",
    title="Networks that meta-training never saw",
    question=(
        "Are added networks found by a retriever that never saw them, or any of their family, and "
        "what would training it again bring?"
    ),
    plan=Universal(),
    drawn=draw,
)
