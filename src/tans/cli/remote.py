"""Commands that ask a service elsewhere, as ``--server`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tans.cli import console
from tans.cli.options.data import DataOptions
from tans.cli.options.finetune import TrainingOptions
from tans.errors import InputError, ServiceError

if TYPE_CHECKING:
    from tans.search import Query, SearchResult
    from tans.tasks.task import Task
    from tans.training import Recipe
    from tans.web.client import Client
    from tans.web.schemas import JobAnswer
    from tans.workflow import Selection
    from tans.zoo.zoo import Zoo

TOKEN = "TANS_TOKEN"


def search(
    server: str, data: Task | Query, zoo: Zoo, asked: Mapping[str, Any]
) -> tuple[SearchResult, Query]:
    """What a service finds for a query, and the query.

    Args:
        zoo: as the service has it; makes the query of a task.
        asked: limits and more.
    """
    from tans.search import Query, embed

    query = data if isinstance(data, Query) else embed(data, zoo)
    return _client(server).search(query, **asked).result(), query


def refuse_others(
    selection: Selection,
    go_on: Path | None,
    zoo: str | None,
    said: DataOptions,
    training: TrainingOptions,
) -> None:
    """Refuse what a service is not asked for.

    Raises:
        InputError: such is given.
    """
    from tans.workflow import Selection

    taken = Selection(
        selection.network,
        limits=selection.limits,
        look=selection.look,
        commercial=selection.commercial,
    )
    plain = replace(training, epochs=None, seed=0) == TrainingOptions()
    if selection != taken or go_on or zoo or said != DataOptions() or not plain:
        raise InputError(
            "a service takes --network, limits, --commercial, --look, --epochs and --seed alone; "
            "leave out the others, or --server"
        )


def finetune(
    server: str, data: str, output: Path, selection: Selection, recipe: Recipe, as_json: bool
) -> None:
    """Have images fine-tuned on by a service, and write what comes of it to a folder."""
    client = _client(server)
    images = Path(data).expanduser()
    if not images.is_dir() and images.suffix.lower() != ".zip":
        raise InputError(f"{data} cannot be sent to a service; expected a folder or a zip of one")
    console.tell(f"Sending the images in {data} to {server}")
    dataset = client.add_dataset(images)
    try:
        console.warn_each(dataset.warnings)
        job = client.finetune(
            dataset.id,
            **vars(selection.limits),
            network=selection.network,
            commercial=selection.commercial,
            look=selection.look,
            epochs=recipe.epochs,
            seed=recipe.seed,
        )
        done = _waited(client, job)
        _fetch(client, done, output)
    finally:  # also where it was interrupted: what has not ended is cancelled so
        with suppress(ServiceError):
            client.delete_dataset(dataset.id)
    _tell(done, output, as_json)


def _waited(client: Client, job: JobAnswer) -> JobAnswer:
    """A job that is done, with a bar meanwhile.

    Raises:
        ServiceError: it failed, or was cancelled.
    """
    with console.progress(f"Fine-tuning at {client.url}") as advance:

        def show(job: JobAnswer) -> None:
            if job.epochs and job.history:
                known = console.percent(job.history[-1].val_balanced)
                note = f"{job.network}, balanced validation accuracy {known}"
                advance(job.history[-1].epoch, job.epochs, note)

        ended = client.wait(job.id, show)
    if ended.state != "done":
        with suppress(ServiceError):
            client.end_job(job.id)
        raise ServiceError(f"the fine-tune is {ended.state}: {ended.error or 'by request'}", 500)
    return ended


def _fetch(client: Client, job: JobAnswer, output: Path) -> None:
    """Write what a job left to a folder, all of it or nothing, and delete it there."""
    from tans.export.finetuned import DESCRIPTION
    from tans.files import write_files

    names = sorted((each.name for each in job.files), key=lambda name: name == DESCRIPTION)
    if any(Path(name).name != name or name.startswith(".") for name in names):
        raise ServiceError(f"{client.url} names files {names}, which no service does", 500)
    try:
        write_files(output, {name: client.file(job.id, name) for name in names})
    except OSError as error:
        raise InputError(f"cannot write {output}: {error}; give another folder") from error
    with suppress(ServiceError):
        client.end_job(job.id)


def _tell(job: JobAnswer, output: Path, as_json: bool) -> None:
    if as_json:
        console.emit({"folder": str(output), **job.model_dump(mode="json")})
        return
    outcome = job.outcome
    if outcome is not None:
        console.say(
            f"Fine-tuned {outcome.network}: test accuracy "
            f"{console.percent(outcome.test_accuracy) or 'unknown'}, balanced "
            f"{console.percent(outcome.balanced_accuracy) or 'unknown'}"
        )
        console.warn_each(outcome.warnings)
    console.say(f"Wrote {', '.join(each.name for each in job.files)} to {output}")


def _client(server: str) -> Client:
    from tans.web.client import Client

    return Client(server, os.environ.get(TOKEN))
