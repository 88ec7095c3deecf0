"""Pretrained networks of timm that are not here yet: what is known of each before it is fetched.

The file of them comes with tans: what timm's own metadata says, and what a network needs, counted
on the meta device, which computes nothing. ``made_anew`` makes it for the timm that is installed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter

from tans.errors import InputError
from tans.files import read_file, write_file
from tans.licences import UNSTATED, normalised
from tans.networks.families.timm import TIMM, timm_library
from tans.networks.family import UNFIT
from tans.types import Costs, InputSpec, Name, NetworkRef

FILE = "catalogue.csv"
FIRST_LINE = "# timm "
"""Begins the file; the version that it was counted with stands behind it."""
SAVED_EVERY = 20
"""Networks that are counted before the file is written again, so that a stopped count goes on."""
HUB = "hf-hub:"
"""Begins the place of weights on the Hugging Face Hub; others are URLs."""
NOT_STATED = frozenset({"", "unknown"})
"""Licences that say nothing."""
UNCOUNTED = (*UNFIT, AttributeError, ImportError, InputError, MemoryError)
"""What comes of networks that cannot be counted."""
LONGEST = 120
"""Letters of why one cannot."""


@dataclass(frozen=True)
class Offer:
    """A pretrained network of timm, as it is known before its weights are fetched."""

    name: Name
    """Of the network and its weights, ``ARCHITECTURE.TAG``, as timm has it."""
    kind: str
    """Of its architecture: timm's file that builds it, such as ``convnext``."""
    place: str
    """Of its weights: ``hf-hub:OWNER/NAME``, or a URL."""
    licence: str
    """Of its weights, an SPDX expression or ``unstated``."""
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    """Pixels a side of images that it learnt from, and then of those it is tested with, if others.
    """
    fixed: bool
    """Whether it takes images of the first size only."""
    classes: NonNegativeInt
    """Outputs of its own head; 0 where it has none."""
    width: NonNegativeInt = 0
    """Of its features; 0, as all that follows, where it could not be counted."""
    head_width: NonNegativeInt = 0
    """Of what a deep head reads: means and maxima of all stages, and the features."""
    params: NonNegativeInt = 0
    """Of its body."""
    flops: NonNegativeInt = 0
    """Multiply-adds of its body for one image of the first size."""
    lacking: str = ""
    """Why it could not be counted."""

    @property
    def architecture(self) -> str:
        """As in ``convnext_atto``."""
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        """What its weights were trained on and how, as timm calls it: ``in21k_ft_in1k``, say."""
        return self.name.partition(".")[2]

    @property
    def size(self) -> int:
        """Pixels a side that it was made for."""
        return self.sizes[0]

    def ref(self, size: int) -> NetworkRef:
        """The network for images of that size, by which it is costed and timed, unnormalised."""
        return NetworkRef("timm", self.name, InputSpec(size))

    def costs(self, classes: int) -> Costs:
        """What it needs for one image of its own size, under a deep head of so many outputs."""
        return Costs(self.params, self.flops).under_head(self.head_width, classes)


@dataclass(frozen=True)
class Catalogue:
    """All that timm offers."""

    timm: str
    """Version that it was counted with."""
    offers: tuple[Offer, ...]
    """In order of name."""

    def to_bytes(self) -> bytes:
        """The file's content; ``parse`` reads it."""
        text = io.StringIO()
        text.write(f"{FIRST_LINE}{self.timm}\n")
        names = [field.name for field in fields(Offer)]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for offer in self.offers:
            row = vars(offer) | {"sizes": " ".join(map(str, offer.sizes)), "fixed": +offer.fixed}
            writer.writerow([row[name] for name in names])
        return text.getvalue().encode()

    @classmethod
    def parse(cls, data: bytes, where: object) -> Catalogue:
        """Inverse of ``to_bytes``.

        Raises:
            InputError: it is no such file.
        """
        try:
            first, *rest = data.decode().splitlines()
            if not first.startswith(FIRST_LINE):
                raise ValueError(f"its first line is {first[:40]!r}")
            rows = [_read(row) for row in csv.DictReader(rest, strict=True)]
            offers = TypeAdapter(tuple[Offer, ...]).validate_python(rows)
        except (ValueError, LookupError, TypeError, csv.Error) as error:
            raise InputError(
                f"{where} is no catalogue of networks ({_shortened(error)}); expected what "
                "'tans zoo catalogue' writes: delete it and make it again"
            ) from error
        return cls(first.removeprefix(FIRST_LINE), offers)


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The catalogue that came with tans.

    Raises:
        InputError: it is damaged.
    """
    place = Path(str(resources.files("tans") / "assets" / FILE))
    return read_catalogue(place)


def read_catalogue(place: Path) -> Catalogue:
    """A catalogue of a file.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        return Catalogue.parse(read_file(place), place)
    except OSError as error:
        raise InputError(
            f"no catalogue of networks can be read from {place} ({error}); make one with 'tans "
            "zoo catalogue'"
        ) from error


def made_anew(
    place: Path,
    names: Sequence[str] | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Catalogue:
    """Count all pretrained networks of the timm that is installed, and write them to a file.

    A count that was stopped goes on: what stands in the file, counted with this timm, stays.

    Args:
        place: of the file.
        names: those to count; all when None.
        on_progress: told how many are counted, of how many, and the one that comes.

    Raises:
        InputError: the file is something else, or cannot be written.
        MissingExtraError: timm is not installed.
    """
    timm = timm_library()
    before = read_catalogue(place) if place.exists() else Catalogue(timm.__version__, ())
    known = {o.name: o for o in before.offers} if before.timm == timm.__version__ else {}
    wanted = sorted(timm.list_pretrained() if names is None else names)
    counts: dict[tuple[str, tuple[int, ...]], Offer] = {
        (o.architecture, o.sizes): o for o in known.values()
    }
    for done, name in enumerate(wanted):
        if name in known:
            continue
        if on_progress:
            on_progress(done, len(wanted), name)
        known[name] = _counted(said_by_timm(name), counts)
        if len(known) % SAVED_EVERY == 0:
            _write(place, Catalogue(timm.__version__, tuple(known.values())))
    made = Catalogue(timm.__version__, tuple(known[name] for name in wanted))
    _write(place, made)
    return made


def said_by_timm(name: str) -> Offer:
    """What timm's metadata says of a pretrained network, before anything is counted.

    Raises:
        InputError: timm has no weights of that name.
        MissingExtraError: timm is not installed.
    """
    timm = timm_library()
    try:
        settings: Any = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError:  # its tag is none
        settings = None
    if settings is None or not (settings.hf_hub_id or settings.url):
        raise InputError(
            f"timm {timm.__version__} has no pretrained network {name!r}; expected one of "
            "timm.list_pretrained()"
        )
    architecture = name.partition(".")[0]
    colours, height, width = settings.input_size
    tested = (settings.test_input_size or settings.input_size)[-1]
    odd = colours != 3 or height != width
    return Offer(
        name=name,
        kind=timm.model_entrypoint(architecture).__module__.rpartition(".")[2],
        place=HUB + settings.hf_hub_id if settings.hf_hub_id else settings.url,
        licence=_licence(settings.license),
        sizes=tuple(dict.fromkeys((width, tested))),
        fixed=bool(settings.fixed_input_size),
        classes=settings.num_classes,
        lacking=f"takes images of {colours} x {height} x {width}" if odd else "",
    )


def _counted(offer: Offer, counts: dict[tuple[str, tuple[int, ...]], Offer]) -> Offer:
    """With what it needs, counted once for all weights of one architecture and size."""
    if offer.lacking:
        return offer
    key = offer.architecture, offer.sizes
    if key not in counts:
        try:
            found = TIMM.describe(offer.ref(offer.size))
        except UNCOUNTED as error:
            counts[key] = replace(offer, lacking=_shortened(error))
        else:
            counts[key] = replace(
                offer,
                width=found.width,
                head_width=found.head_width,
                params=found.body_params,
                flops=found.body_flops,
            )
    names = ("width", "head_width", "params", "flops", "lacking")
    return replace(offer, **{name: getattr(counts[key], name) for name in names})


def _licence(said: str | None) -> str:
    """In SPDX's spelling, as a reference where SPDX lists no such licence."""
    if said is None or said.strip() in NOT_STATED:
        return UNSTATED
    try:
        return normalised(said)
    except InputError:
        return normalised(f"LicenseRef-{said}")


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a line of a file."""
    return {**row, "sizes": str(row["sizes"]).split()}


def _shortened(error: BaseException) -> str:
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


def _write(place: Path, catalogue: Catalogue) -> None:
    try:
        write_file(place, catalogue.to_bytes())
    except OSError as error:
        raise InputError(f"{place} cannot be written ({error}); choose another place") from error
