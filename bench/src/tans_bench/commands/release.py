"""Commands for the release that the authors of TANS publish: make a zoo of it, and ask it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tans.cli import console
from tans.cli.options.common import Json, Top, ZooPath
from tans.cli.options.search import MaxFlops, MaxParams
from tans.errors import InputError

if TYPE_CHECKING:
    from tans.meta.metrics import Retrieval
    from tans.types import Match
    from tans_bench.release.contents import Query

app = typer.Typer(no_args_is_help=True, help="The release that the authors of TANS publish.")


@app.command("import")
def release_import(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="With p_mod_zoo.pt and p_m_train.pt.")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="New folder for the zoo.")],
    supernets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Once-for-All supernets, DATASET.pt each; FOLDER/supernets if not given.",
        ),
    ] = None,
    query_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="State dict of torchvision's resnet18 that made the query features, so that "
            "images can be searched for.",
        ),
    ] = None,
) -> None:
    """Make a zoo of the release, which `tans train --preset paper` then trains."""
    from tans_bench.release.importing import import_release

    with console.progress("import") as advance:
        made = import_release(
            folder, path, supernets=supernets, query_weights=query_weights, on_progress=advance
        )
    console.warn_each(made.notes)
    console.say(f"{path} holds {made.networks} networks, {made.loadable} of them with weights")
    console.say(f"Next: tans train --preset paper --zoo {shlex.quote(str(path))}")


@app.command("ask")
def release_ask(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="meta_test_NAME.pt, or p_m_train.pt.")
    ],
    zoo: ZooPath = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of p_m_train.pt, the dataset whose x_query_test asks; without, all are judged.",
        ),
    ] = None,
    max_params: MaxParams = None,
    max_flops: MaxFlops = None,
    top: Top = 10,
    as_json: Json = False,
) -> None:
    """Rank a zoo's networks by query features of the release, without images.

    With p_m_train.pt and no dataset: how often the x_query_test of each finds its own networks.
    """
    from tans.zoo.zoo import Zoo
    from tans_bench.release.asking import ask, judge

    asked = _asked(file, dataset)
    opened = Zoo.open(zoo)
    if isinstance(asked, dict):
        if max_params is not None or max_flops is not None:
            raise InputError("limits are for one dataset; expected --dataset with them")
        _tell_judged(judge(opened, asked), as_json)
        return
    matches = ask(opened, asked, max_params=max_params, max_flops=max_flops, top=top)
    if as_json:
        console.emit({"matches": [asdict(match) for match in matches]})
        return
    _show(matches, dataset or file.stem.removeprefix("meta_test_"))


def _asked(file: Path, dataset: str | None) -> Query | dict[str, Query]:
    """The query of one dataset, or those of all."""
    from tans_bench.release.contents import TEST, is_meta_test, read_meta_test, read_queries

    if is_meta_test(file):
        if dataset is not None:
            raise InputError(f"{file} is of one dataset; leave --dataset out")
        return read_meta_test(file)
    queries = {name: parts[TEST] for name, parts in read_queries(file).items()}
    if dataset is None:
        return queries
    if dataset not in queries:
        names = ", ".join(list(queries)[:3])
        raise InputError(f"{file} has no dataset {dataset!r}; expected one such as {names}")
    return queries[dataset]


def _tell_judged(found: Retrieval, as_json: bool) -> None:
    if as_json:
        console.emit({"retrieval": asdict(found)})
        return
    rows = []
    for name, each in (("own dataset", found.tasks), ("chance", found.tasks_chance)):
        shares = [f"{100 * share:.1f}" for share in (each.r1, each.r5, each.r10)]
        ranks = [f"{rank:.1f}" for rank in (each.mean_rank, each.median_rank)]
        rows.append((name, *shares, *ranks))
    columns = ("", ">R@1", ">R@5", ">R@10", ">mean rank", ">median rank")
    console.show_table(f"{found.queries} queries among datasets", columns, rows)


def _show(matches: Sequence[Match], name: str) -> None:
    columns = ("network", ">params", ">MFLOPs", ">similarity", ">predicted")
    rows = [
        (
            match.id,
            f"{match.params / 1e6:.2f} M",
            f"{match.flops / 1e6:.0f}",
            f"{match.similarity:.3f}",
            console.percent(match.predicted_accuracy),
        )
        for match in matches
    ]
    console.show_table(f"Networks for {name}, best predicted first", columns, rows)
