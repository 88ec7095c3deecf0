"""Who does the work: processes here, or a cluster."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli.options.common import Workers

if TYPE_CHECKING:
    from tans.build.crew import Crew

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

GpusPerPair = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With --ray: accelerators for each network, such as 0.25; 0 if not given."
    ),
]


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
