"""Arguments and options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, is_dataclass, replace
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tans.cli.console import read_count, read_milliseconds, warn
from tans.errors import InputError
from tans.plugins import is_distant
from tans.types import Constraints

if TYPE_CHECKING:
    from tans.build.crew import Crew
    from tans.networks.incoming.incoming import Stated
    from tans.tasks.findings import Overrides
    from tans.tasks.reading import Range
    from tans.tasks.task import Task
    from tans.training import Recipe


def folder_here(text: str) -> Path:
    """A folder of this machine, for what is written.

    Raises:
        InputError: it is an address.
    """
    if is_distant(text):
        raise InputError(
            f"{text} is an address, where a zoo is only read by this command; expected a "
            "folder here: pull the zoo with 'tans zoo pull', change the copy, and push it with "
            "'tans zoo push'"
        )
    return Path(text)


DATA = (
    "Folder with one folder of images for each class, here or at an address such as "
    "s3://bucket/images; a CSV of path and label; shards (.tar); a Croissant file (.json); or "
    "a saved task."
)
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]
SearchData = Annotated[
    str,
    typer.Argument(metavar="DATA", help=f"{DATA} Or a query that `tans embed` wrote."),
]
ZooPath = Annotated[
    str | None,
    typer.Option(
        "--zoo",
        metavar="PATH",
        help="Zoo to use, in a folder or at an address such as s3://bucket/zoo; the shipped one "
        "if not given.",
    ),
]
QueryFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, .json or .safetensors; standard output if not given.",
    ),
]
MaxParams = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most parameters, head included: 3M, 1.5e6."),
]
MaxFlops = Annotated[
    float | None,
    typer.Option(metavar="N", parser=read_count, help="Most multiply-adds for one image: 30M, 1G."),
]
MaxLatency = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=read_milliseconds,
        help="Most time for one image on this device, which is calibrated once: 20ms, 0.02s.",
    ),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Most minutes for a fine-tune by the default recipe on this device, calibrated once.",
    ),
]
Commercial = Annotated[
    bool,
    typer.Option(
        "--commercial",
        help="Leave out networks of which a licence, of weights, base or images, forbids "
        "commercial use or is not known.",
    ),
]
Look = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Sources, beside ImageNet, that are probed on the images for a second look; 0 for "
        "none.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="tans|paper",
        help="How to search and to fine-tune: `paper` as TANS was published, with its encoders, "
        "its predictor, limits at the end and its recipe; on first use it is learnt, in about a "
        "minute.",
    ),
]
FromCatalogue = Annotated[
    bool,
    typer.Option(
        "--catalogue",
        help="Fetch and look at a few of timm's pretrained networks too, those that promise most "
        "within the limits; it takes as long as --max-minutes allows, or 10 minutes.",
    ),
]
SearchServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Search at the service there, as `tans serve` starts one: a query is made here and "
        "sent, and no image. Its token is read from TANS_TOKEN.",
    ),
]
FinetuneServer = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Send the images to the service there, fine-tune there, and bring back what comes of "
        "it; both are deleted there at the end. Its token is read from TANS_TOKEN.",
    ),
]
CatalogueFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV to write; a count that was stopped goes on in it."),
]
Combine = Annotated[
    str,
    typer.Option(
        metavar="one|distil",
        help="Fine-tune the best match alone, or the few best, and let the best learn from their "
        "ensemble.",
    ),
]
UnlabelledFolder = Annotated[
    Path | None,
    typer.Option(
        "--unlabelled",
        metavar="DIR",
        help="With --combine distil: images without labels, which the ensemble says something of.",
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="classes|splits",
        help="What the folders on top are, where names and contents do not tell.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME=DIR,...",
        help="Folders that are splits, below DATA: train=DIR,val=DIR,test=DIR, as many as there "
        "are.",
    ),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        metavar="[TYPE=]LOW:HIGH",
        help="What is black and what is white in pictures of more than 8 bits, such as 0:4095 or "
        "uint16=0:4095; found from all pictures if not given. Repeatable.",
    ),
]
MaxPixels = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        parser=read_count,
        help="Most pixels of a picture, such as 200M for panoramas; 89M if not given.",
    ),
]
LabelsAsIs = Annotated[
    bool,
    typer.Option(
        "--labels-as-is",
        help="Take labels as written, also nan, and 1 beside 1.0 or Cat beside cat.",
    ),
]
DataLicence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="SPDX",
        help="Licence of the images, such as CC-BY-4.0 or LicenseRef-NAME; unstated if not given.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Workers = Annotated[
    int, typer.Option(min=1, metavar="N", help="Processes side by side, sharing the cores.")
]

Top = Annotated[int, typer.Option(min=1, help="Networks to list.")]
Page = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="HTML page to write, with images of each class."
    ),
]
NoCurve = Annotated[
    bool,
    typer.Option(
        "--no-curve",
        help="Leave out what more images would bring, which takes 2 seconds with 300 training "
        "images and 7 with 1,000 or more.",
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="New or empty folder to write.")
]
Force = Annotated[bool, typer.Option("--force", help="Write into a folder in use.")]
Network = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Network to take, without a search; the best match if not given. ID@PIXELS takes it "
        "for images of another size than its own.",
    ),
]
GoOn = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Go on from the network in a folder that `tans finetune` wrote, with DATA that may "
        "hold more images, new classes, or fewer; nothing is searched. It learns from DATA alone, "
        "so leave the images of before in it.",
    ),
]
Beside = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ID",
        help="Also fine-tune this network, for comparison; the name of a source task means its "
        "largest, and imagenet the network as published. Repeatable.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Passes over the training images; what suits them, or fits into --max-minutes, if "
        "not given.",
        show_default=False,
    ),
]
PlainHead = Annotated[
    bool,
    typer.Option(
        "--plain-head",
        help="Let the head read the last features alone, as `tans export --format timm` needs it; "
        "else those of all stages.",
    ),
]
Tuned = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `tans finetune` wrote.")]
Images = Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Files or folders.")]
TopLabels = Annotated[int, typer.Option(min=1, metavar="K", help="Labels for each image.")]
Format = Annotated[
    str,
    typer.Option("--format", metavar="onnx|timm|safetensors", help="What to write into DIR."),
]
CheckImages = Annotated[
    list[Path] | None,
    typer.Option(
        "--images",
        metavar="PATH",
        help="Images to check the export on, or a dataset of the network's classes, which tells "
        "the accuracy too; the reference images of tans if not given. Repeatable.",
    ),
]
EightBits = Annotated[
    bool,
    typer.Option(
        "--int8",
        help="With --format onnx and --images: write the network in 8 bits too, a third as large.",
    ),
]
FalseAlarms = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of images of its own classes that may be taken for none of these; 0.05 if not "
        "given. A smaller one lets more strange images pass.",
    ),
]
Closed = Annotated[
    bool, typer.Option("--closed", help="Name a class for each image, however strange it is.")
]
CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="CSV file to write.")]
EntryId = Annotated[str, typer.Argument(metavar="ID", help="As `tans zoo list` names it.")]
AddedSources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="timm:NAME or the bare name; torchvision:NAME; hf-hub:OWNER/NAME; a folder of that "
        "layout; an .onnx file; or a folder that `tans finetune` wrote. tf_efficientnet_lite0, -1, "
        "-2 and mobilenetv2_100 come from packages, and are referenced and not copied.",
    ),
]
Sizes = Annotated[
    list[int] | None,
    typer.Option(
        "--size",
        min=1,
        metavar="PX",
        help="Pixels a side of their images; those they were made for if not given. Repeatable.",
    ),
]
OwnWeights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights of timm:NAME or torchvision:NAME: safetensors, or a state_dict of torch.",
    ),
]
GraphOutput = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NAME",
        help="Tensor of an ONNX graph that is its features; the last pooled one if not given.",
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(metavar="SPDX", help="Of the weights, where none stands with them."),
]
Origin = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What it was trained on: imagenet, or the name of a task, which is added if new.",
    ),
]
TaskFamily = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Kind of image of that task; its name if not given."),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        help="What is subtracted from pixels of 0 to 255, where that stands nowhere.",
    ),
]
Std = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="What they are then divided by, likewise.")
]
OwnZoo = Annotated[
    Path,
    typer.Option("--zoo", metavar="PATH", parser=folder_here, help="Zoo to add them to."),
]
SourceTask = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only the networks of this source task.")
]
SourceTasks = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME", help="Source tasks to copy, as `tans zoo list` names them."),
]
Diverse = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Copy this many source tasks, those that differ most."),
]
CopyPath = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", parser=folder_here, help="New or empty folder, or a copy to go on with."
    ),
]
BuildPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="Folder of the zoo, or an address such as s3://bucket/zoo."
    ),
]
PushedZoo = Annotated[
    Path, typer.Argument(metavar="ZOO", parser=folder_here, help="Folder of the zoo.")
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="Such as s3://bucket/zoo or hf://datasets/OWNER/NAME/zoo; any that fsspec reaches.",
    ),
]
Replace = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace what is shared there, although it is damaged, or ZOO lacks networks of it.",
    ),
]
MergedZoos = Annotated[
    list[str], typer.Argument(metavar="ZOO...", help="Folders of zoos, or addresses.")
]
MergedPath = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        parser=folder_here,
        help="New or empty folder, or a zoo that the others are added to.",
    ),
]
TrainedOn = Annotated[
    list[str],
    typer.Option(
        "--tasks",
        metavar="NAME|FOLDER",
        help="A packaged source, as `tans tasks list` names it, `train` for all that are "
        "for training, a folder of datasets, or the address of one, such as s3://bucket/flags. "
        "Repeatable.",
    ),
]
TunedOn = Annotated[
    list[str],
    typer.Option("--tasks", metavar="NAME|FOLDER", help="Tasks to fine-tune on, as for `build`."),
]
TransferImages = Annotated[int, typer.Option(min=2, help="Training images of each task.")]
TransferEpochs = Annotated[
    int | None,
    typer.Option(min=1, help="Of each fine-tune; the default's if not given.", show_default=False),
]
Subnets = Annotated[int, typer.Option(min=2, help="Networks for each task.")]
SupernetEpochs = Annotated[int, typer.Option(min=1, help="For each task's supernet.")]
NewBase = Annotated[
    bool,
    typer.Option(
        "--new-base",
        help="Distil an elastic base from ImageNet weights on these tasks (about 40 minutes), "
        "instead of sharing the shipped zoo's.",
    ),
]
Space = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Search space: `lite0`, or `ofa-mbv3` or `ofa-mbv3-1.2`, which want --base-weights.",
    ),
]
BaseWeights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        help="Elastic base in the form that Once-for-All publishes, such as "
        "ofa_mbv3_d234_e346_k357_w1.2.",
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Measure networks in this order, after all supernets are trained: `grid`, "
        "`random`, `pareto` for what the Pareto fronts are expected to grow by most, "
        "`pareto-per-second` or `thompson`. All networks, task by task, if not given.",
    ),
]
PairBudget = Annotated[
    int | None,
    typer.Option("--budget", metavar="N", help="With --strategy: networks to measure in all."),
]
Minutes = Annotated[
    float | None,
    typer.Option(metavar="M", help="With --strategy: time to measure networks for."),
]
LeastGrowth = Annotated[
    float,
    typer.Option(
        metavar="G",
        help="With --strategy: stop when no network is expected to add so much hypervolume.",
    ),
]
CountedCost = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --strategy: what the Pareto fronts count beside accuracy and parameters: "
        "`latency` on this device, calibrated once when the build begins, or `flops`, "
        "multiply-adds. What the build began with, or latency, if not given.",
    ),
]
Preset = Annotated[str, typer.Option(help="Settings: `default`, or the published ones, `paper`.")]
PresetSeed = Annotated[
    int | None, typer.Option(help="Of everything random; the preset has its own.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on the Ray cluster there, such as `10.0.0.1:6379`; `local` starts a Ray here.",
    ),
]
CpusPerPair = Annotated[
    float | None,
    typer.Option(metavar="N", help="With --ray: processor cores for each network; 1 if not given."),
]
Members = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Retrieval models of different seeds whose predictions are averaged; the preset has "
        "its own.",
    ),
]
GpusPerPair = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With --ray: accelerators for each network, such as 0.25; 0 if not given."
    ),
]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: a parameter of a dataclass stands for its fields."""
    options: list[Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        kind = parameter.annotation
        if not (isinstance(kind, type) and is_dataclass(kind)):
            options.append(parameter)
            continue
        own = inspect.signature(kind, eval_str=True).parameters
        options += own.values()
        groups[name] = (kind, list(own))

    @wraps(command)
    def run(**given: Any) -> None:
        for name, (kind, own) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in own})
        command(**given)

    # what Typer reads; by name, so that options may stand in any order
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
    )
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


@dataclass(frozen=True)
class DataOptions:
    """What a user says of their data."""

    layout: Layout = None
    split: Split = None
    ranges: Ranges = None
    max_pixels: MaxPixels = None
    labels_as_is: LabelsAsIs = False
    licence: DataLicence = None

    def overrides(self) -> Overrides:
        """In the form that a reader takes.

        Raises:
            InputError: a split or a range is not written as it should be.
        """
        from tans.tasks.findings import Overrides

        ranges, pixels = read_ranges(self.ranges), read_pixels(self.max_pixels)
        return Overrides(
            layout=self.layout,
            split=_splits(self.split),
            ranges=ranges,
            max_pixels=pixels,
            labels_as_is=self.labels_as_is,
            licence=self.licence,
        )


@dataclass(frozen=True)
class TrainingOptions:
    """How to fine-tune."""

    epochs: Epochs = None
    seed: Seed = 0
    plain_head: PlainHead = False

    def recipe(self, usual: Recipe | None = None) -> Recipe:
        """A recipe but for these; the default one when None."""
        from tans.training import Recipe

        usual = usual or Recipe()
        return replace(
            usual,
            epochs=usual.epochs if self.epochs is None else self.epochs,
            seed=self.seed,
            deep_head=usual.deep_head and not self.plain_head,
        )


@dataclass(frozen=True)
class LimitOptions:
    """What a network may need."""

    max_params: MaxParams = None
    max_flops: MaxFlops = None
    max_latency: MaxLatency = None
    max_minutes: MaxMinutes = None

    def constraints(self) -> Constraints:
        """In the form that a search takes.

        Raises:
            InputError: a limit is not positive.
        """
        return Constraints(self.max_params, self.max_flops, self.max_latency, self.max_minutes)


@dataclass(frozen=True)
class StatedOptions:
    """What a user says of networks that are added."""

    weights: OwnWeights = None
    output: GraphOutput = None
    licence: Licence = None
    origin: Origin = None
    family: TaskFamily = None
    mean: Mean = None
    std: Std = None

    def stated(self, sources: Sequence[str]) -> Stated:
        """In the form that adding takes.

        Raises:
            InputError: what one source can have alone came with several, or colours are not written
                as they should be.
        """
        from tans.networks.incoming.incoming import Stated

        if len(sources) > 1 and (self.weights or self.output):
            raise InputError(
                f"--weights or --output came with {len(sources)} networks; expected one with them"
            )
        mean, std = _colours("--mean", self.mean), _colours("--std", self.std)
        return Stated(
            self.weights, self.output, self.licence, self.origin, self.family, mean=mean, std=std
        )


@dataclass(frozen=True)
class ChoiceOptions:
    """Which pairs a build measures."""

    strategy: Strategy = None
    pairs: PairBudget = None
    minutes: Minutes = None
    least_growth: LeastGrowth = 0.0
    cost: CountedCost = None


@dataclass(frozen=True)
class CrewOptions:
    """Who does the work of a build."""

    workers: Workers = 1
    ray: Ray = None
    cpus_per_pair: CpusPerPair = None
    gpus_per_pair: GpusPerPair = None


@dataclass(frozen=True)
class RayOptions:
    """A cluster that does the work, if one is named."""

    ray: Ray = None
    cpus_per_pair: CpusPerPair = None

    def gathered(self) -> AbstractContextManager[Crew | None]:
        """The crew of the cluster; None where none is named.

        Raises:
            InputError: what is given does not go together, or the cluster cannot be joined.
        """
        from tans.workflow import gather_crew

        if self.ray is None and self.cpus_per_pair is None:
            return nullcontext(None)
        return gather_crew(ray=self.ray, cpus_per_pair=self.cpus_per_pair)


def _colours(option: str, text: str | None) -> tuple[float, float, float] | None:
    """Three values, from ``R,G,B`` or one number for all.

    Raises:
        InputError: they are not written so.
    """
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
        red, green, blue = values * 3 if len(values) == 1 else values
    except ValueError as error:
        raise InputError(
            f"{option} is {text!r}; expected one number or three, such as 123.675,116.28,103.53"
        ) from error
    return red, green, blue


def read_ranges(texts: Sequence[str] | None) -> dict[str, Range]:
    """Ranges by sample type, from ``LOW:HIGH`` and ``TYPE=LOW:HIGH``.

    Raises:
        InputError: one is not written so.
    """
    from tans.tasks.reading import read_range

    return dict(map(read_range, texts or ()))


def read_pixels(count: float | None) -> int | None:
    """A number of pixels, which are whole."""
    return None if count is None else int(count)


def read_task(path: str | Path, overrides: Overrides | None = None) -> Task:
    """The task at a path, told about as warnings: for commands that read many."""
    from tans.tasks.check import warnings
    from tans.tasks.task import Task

    task = Task.from_path(path, overrides=overrides)
    for warning in warnings(task):
        warn(f"{task.name}: {warning}")
    return task


def _splits(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and folder.strip() for name, _, folder in pairs):
        raise InputError(
            f"--split is {text!r}; expected NAME=DIR,..., such as train=Training,test=Testing"
        )
    return {name.strip(): folder.strip() for name, _, folder in pairs}
