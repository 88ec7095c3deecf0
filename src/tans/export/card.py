"""The card of a fine-tuned network: what it is, came from and does, for people and for the Hub.

Reference: Mitchell et al., Model Cards for Model Reporting, FAT* 2019; the block at its top is that
of https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Self

from tans.errors import in_markdown, visible
from tans.licences import UNSTATED, LicenceChain, joined
from tans.networks.family import describe
from tans.scores import Scores
from tans.tasks.check import counts, warnings
from tans.tasks.reading import BYTE, Reading
from tans.tasks.splits import SPLITS
from tans.tasks.task import Task
from tans.training import FineTuned
from tans.types import Costs, InputSpec

FILE = "README.md"
MARK = "---\n# written by tans\n"
"""How a card begins that no one else wrote."""
USE = """\
```sh
tans predict DIR IMAGES         # DIR is the folder of this card
tans export DIR --format onnx   # a file that needs nothing of tans
```
"""
USE_OF_TIMM = """\
```python
model = timm.create_model("local-dir:DIR", pretrained=True).eval()  # DIR is the folder of this card
```
"""
ON_THE_HUB = frozenset(
    {
        *("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "OFL-1.1", "Unlicense"),
        *(f"CC-{kind}-4.0" for kind in ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-NC-ND", "BY-ND")),
        *("CC-BY-3.0", "CC-BY-SA-3.0", "CC-BY-2.0", "CC-BY-2.5", "ODbL-1.0", "PDDL-1.0"),
    }
)
"""SPDX names of licences that the Hub knows, in lower case there."""


@dataclass(frozen=True)
class DataCard:
    """Images that a network was fine-tuned and tested on."""

    name: str
    classes: tuple[str, ...]
    images: tuple[tuple[int, ...], ...]
    """For each class, how many are in each of ``SPLITS``."""
    groups: int | None
    """So many things they show, none of which two splits share; None where that is not known."""
    source: str
    """Where they come from."""
    licence: str
    """SPDX expression, or ``UNSTATED``."""
    warnings: tuple[str, ...] = ()
    """What is odd about them, a sentence each."""

    @classmethod
    def of(cls, task: Task) -> Self:
        """What a task says of its images."""
        groups = None if task.groups is None else len(set(task.groups))
        rows = tuple(map(tuple, counts(task).tolist()))
        source, licence = task.card.source, task.card.licence
        told = tuple(warnings(task))
        return cls(task.name, task.classes, rows, groups, source, licence or UNSTATED, told)


@dataclass(frozen=True)
class ModelCard:
    """A fine-tuned network, filled by the run itself."""

    run: FineTuned
    """The network, its results, its calibration, and what it learnt from and how."""
    data: DataCard
    costs: Costs
    """With its head, at its input size."""
    licences: LicenceChain
    """Of what it came from, its own images left out."""
    reading: Reading = field(default_factory=Reading)
    """What samples of pictures mean to it."""

    @classmethod
    def of(cls, run: FineTuned, task: Task) -> Self:
        """The card of a network.

        Args:
            task: that it was tuned on.
        """
        network = run.network
        costs = describe(network.ref).costs(len(task.classes), network.is_deep)
        began = UNSTATED if run.entry is None else run.entry.licence
        weights = joined([began, *(teacher.licence for teacher in run.teachers)])
        licences = run.licences or LicenceChain(weights)
        return cls(run, DataCard.of(task), costs, licences, task.found.reading)

    def describe(self) -> dict[str, Any]:
        """What a description says beyond the run: costs, licences, and where images come from."""
        data = self.data
        return {
            "costs": asdict(self.costs),
            "licences": asdict(self.licences),
            "images": {"source": data.source, "licence": data.licence, "groups": data.groups},
        }

    def markdown(self) -> str:
        """The whole card, with what the Hub reads at its top."""
        parts = (
            self._front(),
            self._use(),
            self._results(),
            self._data(),
            self._network(),
            self._training(),
            self._licences(),
        )
        return "\n".join(parts)

    def _front(self) -> str:
        name, scores = visible(self.data.name), self.run.scores
        measured = {"accuracy": scores.accuracy, "balanced_accuracy": scores.balanced_accuracy}
        results = {
            "task": {"type": "image-classification"},
            "dataset": {"name": name, "type": "imagefolder", "split": "test"},
            "metrics": [{"type": kind, "value": round(v, 4)} for kind, v in measured.items()],
        }
        fields: dict[str, Any] = {
            "library_name": "tans",
            **on_hub(self.licences.network),
            "pipeline_tag": "image-classification",
            "tags": ["image-classification", "tans"],
            "metrics": list(measured),
        }
        if scores.images:
            fields["model-index"] = [{"name": name, "results": [results]}]
        return (
            f"{MARK}{_yaml(fields)}---\n\n# {in_markdown(name)}\n\nTells "
            f"{len(self.data.classes)} classes of images apart. Fine-tuned by "
            f"[tans](https://pypi.org/project/tans/) {tans_version()} from {self._origin()}.\n"
        )

    def _origin(self) -> str:
        entry, origin = self.run.entry, self.run.origin
        if origin is not None:
            return in_markdown(f"a fine-tuned network, {origin}")
        return "weights that are of no zoo" if entry is None else f"`{in_markdown(entry.id)}`"

    def _use(self) -> str:
        prepared = visible(preprocessing(self.run.input, self.reading)["words"])
        return f"## Use\n\n{USE}\n{prepared}\n"

    def _results(self) -> str:
        scores = self.run.scores
        lines = [
            f"Test accuracy {_percent(scores.accuracy, scores.interval)}, balanced accuracy "
            f"{_percent(scores.balanced_accuracy, scores.balanced_interval)}, over "
            f"{scores.images:,} images (95 % intervals). {scores.guessing()}",
            self.run.calibration.words(),
            self.run.novelty.words(),
        ]
        said = "\n\n".join(in_markdown(line) for line in lines)
        return f"## Results\n\n{said}\n{_listed(scores.warnings())}\n{self._classes(scores)}"

    def _classes(self, scores: Scores) -> str:
        rows = zip(self.data.classes, self.data.images, scores.found, scores.recalls, strict=True)
        return _table(
            ("class", "train", "validation", "test", "found", "recall"),
            (
                (in_markdown(name), *map(str, images), str(found), _percent(recall))
                for name, images, found, recall in rows
            ),
        )

    def _data(self) -> str:
        data, totals = self.data, [sum(column) for column in zip(*self.data.images, strict=True)]
        shown = ", ".join(f"{n:,} {split}" for split, n in zip(SPLITS, totals, strict=True))
        groups = "" if data.groups is None else f", in {data.groups:,} groups that no split parts"
        told = f"{in_markdown(data.name)}, from {in_markdown(data.source)}: {shown}{groups}."
        return f"## Images\n\n{told}\n{_listed(data.warnings)}"

    def _network(self) -> str:
        ref, costs = self.run.network.ref, self.costs
        head = "pooled features" + (" of all stages" if self.run.network.is_deep else "")
        return "## Network\n\n" + _table(
            ("what", "value"),
            (
                ("family", in_markdown(ref.family)),
                ("name", f"`{visible(ref.name)}`".replace("|", r"\|")),
                ("input", f"{ref.input.size} x {ref.input.size} pixels, RGB"),
                ("head", f"linear, on {head}"),
                ("parameters", f"{costs.params:,}"),
                ("multiply-adds for one image", f"{costs.flops:,}"),
            ),
        )

    def _training(self) -> str:
        run = self.run
        teachers = ", ".join(f"`{in_markdown(each.id)}`" for each in run.teachers)
        rows = {
            "began from": self._origin(),
            "learnt from beside the labels": teachers or "nothing",
            "epoch kept": f"{run.best_epoch}, after {run.seconds:.0f} s",
            **{name.replace("_", " "): str(value) for name, value in asdict(run.recipe).items()},
        }
        return "## Training\n\n" + _table(("what", "value"), rows.items())

    def _licences(self) -> str:
        chain = self.licences
        rows = {
            "weights that it began from": chain.network,
            "their base": chain.base,
            "images that these learnt from": chain.data,
            "images of this fine-tune": self.data.licence,
        }
        told = "allow" if chain.commercial else "do not all allow, or leave open,"
        table = _table(
            ("of", "licence"), ((k, in_markdown(v)) for k, v in rows.items() if v is not None)
        )
        return (
            f"## Licences\n\n{table}\nThe licences of what it came from {told} commercial use; "
            "what that of your own images allows, you know. What a licence of images asks of a "
            "network that learnt from them is not settled; this is no legal advice.\n"
        )


def card_for_timm(card: str) -> str:
    """The card of a network, where timm opens it."""
    card = card.replace('library_name: "tans"', 'library_name: "timm"', 1)
    return card.replace(USE, USE_OF_TIMM, 1)


def licences_of(description: Mapping[str, Any]) -> LicenceChain:
    """Of the network of a folder, as far as its description, which others may have made, says."""
    given = description.get("licences")
    if isinstance(given, Mapping) and isinstance(given.get("network"), str):
        base, data = (v if isinstance(v := given.get(k), str) else None for k in ("base", "data"))
        return LicenceChain(given["network"], base, data)
    teachers = description.get("teachers")
    sources = [description.get("source"), *(teachers if isinstance(teachers, list) else [])]
    found = [each.get("licence") for each in sources if isinstance(each, Mapping)]
    return LicenceChain(joined(v if isinstance(v, str) else UNSTATED for v in found or [None]))


def preprocessing(input: InputSpec, reading: Reading) -> dict[str, Any]:
    """How a picture becomes what a network takes, in words and as plain values."""
    size, scale = input.size, f"{_each(input.mean)}) / {_each(input.std)}"
    return {
        "words": (
            f"{squared(input, reading)}, then take "
            f"(x - {scale} of values from 0 to 255; channels first, float32."
        ),
        "channels": "RGB",
        "size": [size, size],
        "resize": "bilinear",
        "antialias": True,
        "keep_aspect_ratio": False,
        "background": list(reading.ground),
        "mean": list(input.mean),
        "std": list(input.std),
        "layout": "NCHW",
    }


def squared(input: InputSpec, reading: Reading) -> str:
    """How a picture becomes a square of values from 0 to 255, in words, without a full stop."""
    scaled = "; ".join(
        f"map {sample} samples from {low:g}..{high:g} to 0..255, and what lies beyond to the ends"
        for sample, (low, high) in reading.ranges.items()
        if sample != BYTE
    )
    return (
        f"{scaled.capitalize() + '. ' if scaled else ''}"
        "Turn the image upright by its EXIF orientation, put transparent parts on the "
        f"background {reading.ground}, convert to RGB, resize the whole image to {input.size} "
        f"x {input.size} pixels (bilinear, antialiased, aspect ratio not kept)"
    )


def tans_version() -> str:
    """The installed version of tans; ``unknown`` where it runs from its sources."""
    try:
        return metadata.version("tans")
    except metadata.PackageNotFoundError:
        return "unknown"


def on_hub(licence: str) -> dict[str, str]:
    """A licence as the Hub names it."""
    if licence == UNSTATED:
        return {"license": "unknown"}
    if licence in ON_THE_HUB:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": visible(licence)}


def _yaml(fields: Mapping[str, Any]) -> str:
    """Lines of YAML, of which JSON is a part."""
    return "".join(f"{k}: {json.dumps(v, ensure_ascii=False)}\n" for k, v in fields.items())


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _listed(sentences: Iterable[str]) -> str:
    """Warnings as a list, which begins a paragraph; nothing where there are none."""
    lines = [f"- Beware: {in_markdown(each)}\n" for each in sentences]
    return "".join(["\n", *lines]) if lines else ""


def _percent(share: float, interval: tuple[float, float] | None = None) -> str:
    if math.isnan(share):
        return "unknown"
    ends = "" if interval is None else f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
    return f"{100 * share:.1f} %{ends}"


def _each(values: tuple[float, ...]) -> str:
    """One number where all channels have the same, else all of them."""
    numbers = [f"{value:g}" for value in values]
    return numbers[0] if len(set(numbers)) == 1 else f"({', '.join(numbers)})"
