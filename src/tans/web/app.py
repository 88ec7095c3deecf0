"""A service over HTTP: routes, each a line onto ``Service``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from tans import __version__
from tans.errors import InputError, ServiceError, TansError
from tans.tasks.findings import Overrides
from tans.web.guard import API, Guard, problem
from tans.web.jobs import REPORT
from tans.web.metrics import FORM, Metrics
from tans.web.schemas import (
    DatasetAnswer,
    EntryAnswer,
    FinetuneAsked,
    Health,
    JobAnswer,
    PredictAnswer,
    Problem,
    SearchAnswer,
    SearchAsked,
    SourceTask,
    ZooAnswer,
)
from tans.web.service import Service
from tans.web.settings import Settings
from tans.zoo.zoo import Zoo

THREADS = 200
"""Requests that are worked on at once; those that wait for others take one each."""
SWEEP_S = 60
"""Between two looks at what has expired."""
UNUSABLE, LATE, FAILED = 422, 503, 500
SAID = (400, 401, 403, 404, 413, 422, 429, 500, 503)
"""Statuses of answers that say why a request was not done."""
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Of a report: nothing in it runs, or asks for anything."""
ABOUT = """Search a zoo of pretrained networks for the one that suits your images.

Upload a zip of images (`POST /datasets`), or make a query of them where they lie with `tans embed`;
search; fine-tune what is found. Ids of datasets and jobs are secrets: whoever has one may use it.
Every error is `{"error": ..., "detail": ...}`, the detail a sentence."""

logger = logging.getLogger("tans.web")


def create_app(zoo: Zoo, settings: Settings) -> FastAPI:
    """The application, with its ``Service`` as ``app.state.service``.

    Args:
        zoo: what is searched.
        settings: of the service; its folder is emptied of uploads.
    """
    service = Service(zoo, settings)
    metrics = Metrics(service.jobs.counts, lambda: len(service.datasets))
    app = FastAPI(
        title="tans",
        version=__version__,
        description=ABOUT,
        openapi_url=f"{API}/openapi.json",
        docs_url=f"{API}/docs",
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.service, app.state.metrics = service, metrics
    app.include_router(router)
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, handler)
    app.add_middleware(Guard, settings=settings, count=metrics.count)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    service.start()
    sweeping = asyncio.create_task(_sweep(service))
    try:
        yield
    finally:
        sweeping.cancel()
        await run_in_threadpool(service.close)


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        await run_in_threadpool(service.sweep)


# Errors


async def _on_tans_error(request: Request, error: Exception) -> JSONResponse:
    service: Service = request.app.state.service
    status = getattr(error, "status", UNUSABLE if isinstance(error, InputError) else FAILED)
    if status >= FAILED:
        logger.warning("%s %s: %s", request.method, request.scope["route"].path, error)
    return problem(status, service.told(str(error)))


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    said = cast(HTTPException, error)
    return problem(said.status_code, str(said.detail), dict(said.headers or {}))


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    first = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return problem(UNUSABLE, f"{where}: {first['msg']}")


async def _on_fault(_request: Request, _error: Exception) -> JSONResponse:
    return problem(FAILED, "something went wrong in the service, which is no fault of yours")


HANDLERS: dict[type[Exception], Any] = {
    TansError: _on_tans_error,
    HTTPException: _on_http_error,
    RequestValidationError: _on_invalid,
    Exception: _on_fault,
}


# What routes take


def _service(request: Request) -> Service:
    return request.app.state.service


Served = Annotated[Service, Depends(_service)]
Name = Annotated[str, Query(max_length=200, description="What the dataset is called.")]
Top = Annotated[int, Query(ge=1, le=1000, description="Classes to rank.")]


def binary(form: str, what: str) -> dict[str, Any]:
    """How the description of a route says that it takes a file as it is."""
    content = {form: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "description": what, "content": content}}


def _gives(form: str, what: str) -> dict[int | str, dict[str, Any]]:
    """Likewise, that it gives one."""
    content = {form: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": what, "content": content}}


async def _receive(request: Request, place: Path, service: Service) -> None:
    """Write what comes to a file.

    Raises:
        ServiceError: it takes too long, or nothing comes.
    """
    seconds = service.settings.limits.request_s
    try:
        async with asyncio.timeout(seconds):
            with place.open("xb") as file:
                async for chunk in request.stream():
                    file.write(chunk)
    except TimeoutError as error:
        raise ServiceError(f"the upload took more than {seconds:g} seconds", LATE) from error
    if not place.stat().st_size:
        raise ServiceError("nothing came; send the file as the body of the request", UNUSABLE)


router = APIRouter(prefix=API, responses={status: {"model": Problem} for status in SAID})


@router.get("/health")
def health(service: Served) -> Health:
    """Whether the service is there, and what it searches. Asks for no token."""
    return service.health()


@router.get("/metrics", responses=_gives("text/plain", "Counts."), response_class=Response)
def metrics(request: Request) -> Response:
    """Counts of requests, datasets and jobs in the form that Prometheus reads."""
    return Response(request.app.state.metrics.text(), media_type=FORM)


@router.get("/tasks")
def tasks(service: Served) -> list[SourceTask]:
    """What networks of the zoo were trained on."""
    return service.tasks()


@router.get(
    "/tasks/{name:path}/images/{index}",
    responses=_gives("image/webp", "A picture of 64 x 64 pixels."),
    response_class=Response,
)
def task_image(name: str, index: int, service: Served) -> Response:
    """One of the pictures of a source task."""
    return Response(service.task_image(name, index), media_type="image/webp")


@router.get("/zoo")
def zoo(
    service: Served,
    task: str | None = None,
    family: str | None = None,
    max_params: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    max_flops: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ZooAnswer:
    """Networks of the zoo, by id; limits are without a head."""
    asked = {"task": task, "family": family, "max_params": max_params, "max_flops": max_flops}
    return service.entries(asked, offset, limit)


@router.get(
    "/zoo/{entry:path}/weights",
    responses=_gives(
        "application/octet-stream", "Safetensors; the header X-Licence names the licence."
    ),
    response_class=Response,
)
def weights(entry: str, service: Served) -> Response:
    """Weights of a network, where its licence is stated."""
    data, chain = service.weights(entry)
    licence = str(chain).encode("ascii", "replace").decode()
    return Response(
        data,
        media_type="application/octet-stream",
        headers={
            "X-Licence": licence,
            "Content-Disposition": 'attachment; filename="weights.safetensors"',
        },
    )


@router.get("/zoo/{entry:path}")
def entry(entry: str, service: Served) -> EntryAnswer:
    """A network of the zoo."""
    return service.entry(entry)


@router.post(
    "/datasets",
    status_code=201,
    openapi_extra=binary("application/zip", "A zip of folders of images, one for each class."),
)
async def add_dataset(
    request: Request,
    service: Served,
    name: Name = "dataset",
    layout: Literal["classes", "splits"] | None = None,
    labels_as_is: bool = False,
    licence: Annotated[str | None, Query(max_length=200)] = None,
) -> DatasetAnswer:
    """Upload a dataset; what was understood of it. It is deleted after a while."""
    overrides = Overrides(layout=layout, labels_as_is=labels_as_is, licence=licence)
    with service.datasets.arriving() as place:
        await _receive(request, place, service)
        held = await run_in_threadpool(service.add_dataset, place, name, overrides)
    return held.answer


@router.get("/datasets/{id}")
def dataset(id: str, service: Served) -> DatasetAnswer:
    """What was understood of a dataset."""
    return service.datasets.get(id).answer


@router.get(
    "/datasets/{id}/images/{index}",
    responses=_gives("image/webp", "A picture of 128 x 128 pixels."),
    response_class=Response,
)
def dataset_image(id: str, index: int, service: Served) -> Response:
    """One of the pictures that a dataset shows."""
    return Response(service.datasets.sample(id, index), media_type="image/webp")


@router.delete("/datasets/{id}", status_code=204)
def delete_dataset(id: str, service: Served) -> None:
    """Delete a dataset at once; its fine-tunes that have not ended are cancelled."""
    service.delete_dataset(id)


@router.post("/search")
def search(asked: SearchAsked, service: Served) -> SearchAnswer:
    """Networks for a dataset, or for a query that `tans embed` wrote, best first.

    A dataset gets a second look on its images, which may take minutes; `look` 0 leaves it out.
    """
    return service.search(asked)


@router.post("/jobs", status_code=202)
def start_job(asked: FinetuneAsked, service: Served) -> JobAnswer:
    """Queue a fine-tune of the best match, or of a network that is named."""
    return service.start_finetune(asked)


@router.get("/jobs/{id}")
def job(id: str, service: Served) -> JobAnswer:
    """How far a fine-tune is, and what it left."""
    return service.jobs.get(id)


@router.delete("/jobs/{id}")
def end_job(id: str, service: Served) -> JobAnswer:
    """Cancel a fine-tune; delete one that has ended, with all it left."""
    return service.jobs.end(id)


@router.get(
    "/jobs/{id}/files/{name}",
    responses=_gives("application/octet-stream", "The file."),
    response_class=Response,
)
def job_file(id: str, name: str, service: Served) -> FileResponse:
    """A file that a fine-tune left, such as `model.safetensors`, `network.onnx`, `report.html`."""
    path = service.jobs.file(id, name)
    form = "text/html" if name == REPORT else "application/octet-stream"
    headers = {"Content-Security-Policy": SANDBOX}
    return FileResponse(path, media_type=form, filename=name, headers=headers)


@router.post("/jobs/{id}/predict", openapi_extra=binary("image/*", "An image."))
async def predict(request: Request, id: str, service: Served, top: Top = 3) -> PredictAnswer:
    """What a fine-tuned network says of an image."""
    with service.datasets.passing() as place:
        await _receive(request, place, service)
        return await run_in_threadpool(service.predict, id, place, top)
