"""What stands on the page, and what happens when it is used.

A visitor's session holds ids of a dataset and a job, what was chosen and the limits, and no image
or result: those lie with the service, under the ids.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import gradio as gr

from tans.errors import ServiceError, TansError
from tans.report.markup import Html, join, tag
from tans.types import Match
from tans.web.jobs import NEITHER
from tans.web.page import charts, texts
from tans.web.page.limits import asked, scales
from tans.web.page.plane import Planes, in_words
from tans.web.page.ranking import Cost, Ranked, Rankings, chosen_of
from tans.web.schemas import FinetuneAsked, JobAnswer, LimitsAsked
from tans.web.service import Service

EXAMPLES = {"Greek letters": "greek-letters.zip"}
"""Example datasets by name."""
COSTS: dict[str, Cost] = {
    "Parameters": "params",
    "Multiply-adds": "flops",
    "Latency": "latency_ms",
}
THOROUGH, QUICK = "In full", "A quick try, 2 epochs"
QUICK_EPOCHS = 2
POLL_S, WAIT_S = 1.0, 3.0
"""Between two looks at a fine-tune, and at whether the map is there."""
UNEXPECTED = "something went wrong in the service, which is no fault of yours; try again"
DESCRIPTION = "model.json"
LOOKING = (
    "Looking at the best networks on your images. This takes a minute or some; meanwhile the list "
    "stands as it is."
)
FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)

Updates = dict[Any, Any]
logger = logging.getLogger("tans.web")


def asset(name: str) -> str:
    """Text of a file that is packaged."""
    return resources.files("tans").joinpath("assets", name).read_text(encoding="utf-8")


def style() -> str:
    """The style sheet."""
    return asset("page.css")


def head() -> str:
    """What stands in the head of the page."""
    return (
        f"<script>{asset('page.js')}</script>"
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
    )


def theme() -> gr.themes.Base:
    """Gradio's own parts in the colours of the page, and in fonts that every system has."""
    blue = gr.themes.Color(
        "#edf2fb", "#dbe6f8", "#b9cff1", "#9abbf0", "#7ba8f0", "#2b66c4", "#2b66c4", "#2558ab",
        "#1f4a90", "#193c75", "#132e5a",
    )  # fmt: skip
    return gr.themes.Base(
        primary_hue=blue,
        neutral_hue=gr.themes.colors.stone,
        font=FONTS,
        font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
    ).set(
        body_background_fill="#fbfaf8",
        body_background_fill_dark="#15171b",
        body_text_color="#1d1f23",
        body_text_color_dark="#e8e8e6",
        button_primary_background_fill="#2b66c4",
        button_primary_background_fill_dark="#7ba8f0",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#12141a",
    )


NOTHING = join()
BUSY = tag("p", "Reading the images of the example.", role="status", class_="note busy")


def drawn(value: Html = NOTHING, script: str | None = None, **more: Any) -> gr.HTML:
    """A part of the page that is markup."""
    return gr.HTML(value, js_on_load=script, apply_default_css=False, **more)


@dataclass(frozen=True)
class View:
    """What a visitor sees of a dataset's networks."""

    dataset: str
    ranked: Ranked
    within: tuple[Match, ...]
    chosen: Match | None


class Page:
    """The page of a service; ``blocks`` is the application."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.rankings, self.planes = Rankings(service), Planes(service)
        columns = service.zoo.columns()
        costs = (columns.numbers(name).tolist() for name in ("body_params", "body_flops"))
        self._scales = scales(*costs)
        self._sources = {task.name: task for task in service.tasks()}
        with gr.Blocks(title="tans", analytics_enabled=False, fill_width=True) as self.blocks:
            self._session()
            with gr.Column(elem_classes="tans"):
                self._lay_out(len(columns))
            self._connect()
        self.blocks.queue(default_concurrency_limit=16, max_size=256, api_open=False)

    # What stands there

    def _session(self) -> None:
        self.dataset, self.job = gr.State(None), gr.State(None)
        self.limits, self.chosen = gr.State({}), gr.State(None)

    def _lay_out(self, networks: int) -> None:
        settings = self.service.settings.limits
        drawn(texts.heading(networks, settings.keep_s / 3600))
        with gr.Column(elem_classes="step"):
            drawn(tag("h2", "1 · Your images"))
            field = texts.upload(settings.upload_bytes)
            self.upload = drawn(field, "tans.upload(element, trigger)")
            with gr.Row(elem_classes="actions"):
                drawn(tag("p", "or begin with an example:", class_="note"), min_width=0)
                self.examples = [gr.Button(name, scale=0) for name in EXAMPLES]
            self.refused = drawn()
        with gr.Column(elem_classes="step", visible=False) as self.second:
            self._lay_out_dataset()
        with gr.Column(elem_classes="step", visible=False) as self.third:
            self._lay_out_networks()
        with gr.Column(elem_classes="step", visible=False) as self.fourth:
            self._lay_out_finetune()

    def _lay_out_dataset(self) -> None:
        drawn(tag("h2", "2 · What tans understood"))
        self.understood = drawn(script="tans.dataset(element, watch)")
        with gr.Accordion("Images of each class", open=False):
            self.classes = drawn()
        with gr.Row(elem_classes="actions"):
            self.forget = gr.Button("Delete my images now", scale=0)

    def _lay_out_networks(self) -> None:
        drawn(tag("h2", "3 · Networks that fit"))
        self.sliders = drawn(texts.sliders(self._scales), "tans.sliders(element, trigger)")
        self.unfit = drawn()
        self.standing = drawn(elem_classes="standing")
        with gr.Row(elem_classes="actions"):
            self.look = gr.Button("Look closer, on my images", variant="primary", scale=0)
            self.looking = drawn(min_width=0)
        with gr.Row(elem_classes="halves"):
            self.list = drawn(script="tans.choices(element, trigger)", min_width=320)
            self.detail = drawn(min_width=320)
        with gr.Row(elem_classes="halves"):
            with gr.Column(min_width=320):
                self._lay_out_tradeoff()
            with gr.Column(min_width=320):
                drawn(tag("h3", "Map of the space"))
                self.map = drawn()
                self.wait = gr.Timer(WAIT_S, active=False)
                with gr.Accordion("Similarity to each source, as a table", open=False):
                    self.similar = drawn()

    def _lay_out_tradeoff(self) -> None:
        drawn(tag("h3", "Accuracy against cost"))
        self.cost = gr.Radio(list(COSTS), value="Parameters", label="Cost", elem_classes="cost")
        self.tradeoff = drawn()
        with gr.Accordion("The Pareto front, as a table", open=False):
            self.front = drawn()

    def _lay_out_finetune(self) -> None:
        drawn(tag("h2", "4 · Fine-tune, and take it away"))
        self.begin = drawn()
        self.epochs = gr.Radio(
            [THOROUGH, QUICK], value=THOROUGH, label="How long", elem_classes="cost"
        )
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button("Fine-tune this network", variant="primary", scale=0)
            self.cancel = gr.Button("Cancel", interactive=False, scale=0)
        self.failed = drawn()
        self.progress = drawn(script="tans.job(element, watch)")
        with gr.Accordion("The curve, as a table", open=False, visible=False) as self.curve:
            self.epoch_table = drawn()
        self.result = drawn()
        with gr.Accordion("Class by class", open=False, visible=False) as self.by_class:
            self.recalls = drawn()
        with gr.Column(visible=False) as self.trying:
            self.trial = drawn(texts.trial(), "tans.trial(element)")
        self.timer = gr.Timer(POLL_S, active=False)

    # What happens

    def _connect(self) -> None:
        seen: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        steps = [self.second, self.third, self.fourth]
        first = [self.dataset, self.job, self.chosen, self.understood, self.classes, *steps]
        of_job = self._of_job()
        networks = [
            *(self.standing, self.list, self.detail, self.tradeoff, self.front, self.begin),
            *(self.unfit, self.start, self.look, self.map, self.similar, self.wait),
        ]
        state = [self.dataset, self.limits, self.chosen, self.cost]
        arrived = [self.refused, *first, *of_job]
        shown: dict[str, Any] = {"inputs": state, "outputs": networks, **seen}
        show = self._safe(self.unfit, self._show)

        self.upload.upload(
            self._safe_event(self.refused, self._arrive), None, arrived, **seen
        ).then(show, **shown)
        for button, file in zip(self.examples, EXAMPLES.values(), strict=True):
            button.click(lambda: BUSY, None, self.refused, **seen).then(
                self._safe(self.refused, self._taker(file, button.value)), None, arrived, **seen
            ).then(show, **shown)
        self.forget.click(self._safe(self.refused, self._forget), self.dataset, arrived, **seen)
        moved = {**shown, "trigger_mode": "always_last"}
        self.sliders.input(
            self._safe_event(self.unfit, self._limit),
            **{**moved, "outputs": [self.limits, *networks]},
        )
        self.list.select(
            self._safe_event(self.unfit, self._choose),
            **{**shown, "outputs": [self.chosen, *networks]},
            trigger_mode="multiple",
        )
        self.wait.tick(show, **shown)
        self.cost.change(show, **moved)
        self.look.click(
            lambda: {
                self.look: gr.update(interactive=False),
                self.looking: tag("p", LOOKING, role="status", class_="note busy"),
            },
            None,
            [self.look, self.looking],
            **seen,
        ).then(
            self._safe(self.looking, self._look), self.dataset, [self.looking, self.look], **seen
        ).then(show, **shown)
        self.start.click(
            self._safe(self.failed, self._start), [*state, self.epochs], [self.failed, *of_job],
            **seen,
        )  # fmt: skip
        self.cancel.click(
            self._safe(self.failed, self._cancel), self.job, [self.failed, *of_job], **seen
        )
        self.timer.tick(
            self._safe(self.failed, self._tell_of), self.job, [self.failed, *of_job], **seen
        )

    def _of_job(self) -> list[Any]:
        """Parts that a fine-tune changes."""
        return [
            self.job,
            self.progress,
            self.curve,
            self.epoch_table,
            self.result,
            self.by_class,
            self.recalls,
            self.trying,
            self.timer,
            self.start,
            self.cancel,
        ]

    def _safe(self, place: gr.HTML, act: Callable[..., Updates]) -> Callable[..., Updates]:
        """What handles an event: errors become a sentence at a place of the page."""

        def handle(*given: Any) -> Updates:
            try:
                return {place: join(), **act(*given)}
            except TansError as error:
                return {place: texts.alert(self.service.told(str(error)))}
            except Exception:
                logger.exception("the page failed")
                return {place: texts.alert(UNEXPECTED)}

        return handle

    def _safe_event(self, place: gr.HTML, act: Callable[..., Updates]) -> Callable[..., Updates]:
        """The same, of an event that brings something."""
        safe = self._safe(place, act)

        def handle(event: gr.EventData, *given: Any) -> Updates:
            return safe(event, *given)

        handle.__annotations__["event"] = gr.EventData
        return handle

    # 1, 2: images

    def _arrive(self, event: gr.EventData) -> Updates:
        """A dataset that the browser sent, or had before it was loaded again."""
        given = event._data or {}
        dataset, job, again = (given.get(name) for name in ("dataset", "job", "again"))
        try:
            return {**self._opened(str(dataset)), **self._tell_of(job)}
        except ServiceError:
            if not again:
                raise
            return {**self._closed()}

    def _taker(self, file: str, name: str) -> Callable[[], Updates]:
        def take() -> Updates:
            packed = resources.files("tans").joinpath("assets", "examples", file).read_bytes()
            with self.service.datasets.arriving() as place:
                place.write_bytes(packed)
                held = self.service.add_dataset(place, name)
            return {**self._opened(held.answer.id), **self._tell_of(None)}

        return take

    def _forget(self, dataset: str | None) -> Updates:
        if dataset is not None:
            self.service.delete_dataset(dataset)
        told = tag("p", "Your images are deleted.", role="status", class_="note")
        return {self.refused: told, **self._closed()}

    def _opened(self, dataset: str) -> Updates:
        answer = self.service.datasets.get(dataset).answer
        visible = gr.update(visible=True)
        return {
            self.dataset: dataset,
            self.chosen: None,
            self.understood: texts.understood(answer),
            self.classes: texts.class_table(answer),
            **dict.fromkeys((self.second, self.third, self.fourth), visible),
        }

    def _closed(self) -> Updates:
        hidden = gr.update(visible=False)
        return {
            self.dataset: None,
            self.chosen: None,
            self.understood: join(),
            self.classes: join(),
            **dict.fromkeys((self.second, self.third, self.fourth), hidden),
            **self._tell_of(None),
        }

    # 3: networks

    def _limit(
        self, event: gr.EventData, dataset: str, given: dict[str, Any], chosen: str, cost: str
    ) -> Updates:
        moved = dict(event._data or given)
        return {self.limits: moved, **self._show(dataset, moved, chosen, cost)}

    def _choose(
        self, event: gr.EventData, dataset: str, given: dict[str, Any], chosen: str, cost: str
    ) -> Updates:
        picked = str((event._data or {}).get("id", chosen))
        return {self.chosen: picked, **self._show(dataset, given, picked, cost)}

    def _show(
        self, dataset: str | None, given: dict[str, Any], chosen: str | None, cost: str
    ) -> Updates:
        """The ranking within limits, and all that follows from it."""
        if dataset is None:
            return {}
        limits, measure = asked(self._scales, given), COSTS[cost]
        view = self._view(dataset, limits, chosen, measure)
        updates = {
            self.standing: texts.standing(view.ranked, view.within, self.rankings.judged),
            self.list: texts.match_list(view.within, view.chosen),
            self.detail: self._detail(view),
            **self._charts(view, measure),
            self.begin: texts.begin(view.chosen),
            self.start: gr.update(interactive=view.chosen is not None),
            self.look: gr.update(visible=self.rankings.can_look(dataset)),
        }
        if view.within:
            return updates
        return {**updates, self.unfit: texts.alert(texts.unfit(view.ranked, limits))}

    def _view(self, dataset: str, limits: LimitsAsked, chosen: str | None, cost: Cost) -> View:
        timed = limits.max_latency_ms is not None or cost == "latency_ms"
        ranked = self.rankings.of(dataset, timed)
        within = ranked.within(limits)
        if not within and ranked.looked:  # the look spoke for networks that are too large
            ranked = self.rankings.by_embedding(dataset, timed)
            within = ranked.within(limits)
        return View(dataset, ranked, within, chosen_of(within, chosen))

    def _detail(self, view: View) -> Html:
        if view.chosen is None:
            return join()
        answer = self.service.datasets.get(view.dataset).answer
        return texts.match_detail(view.chosen, answer, self._sources.get(view.chosen.task))

    def _charts(self, view: View, cost: Cost) -> Updates:
        said = charts.front_in_words(view.within, cost)
        drawing = charts.tradeoff(view.ranked.matches, view.within, cost, view.chosen)
        return {
            self.tradeoff: join(drawing, tag("p", said, class_="note")),
            self.front: texts.front_table(view.within, cost),
            **self._map(view),
        }

    def _map(self, view: View) -> Updates:
        plane = self.planes.plane
        if plane is None:
            told = tag("p", self.planes.told, class_="note")
            return {
                self.map: told,
                self.similar: join(),
                self.wait: gr.update(active=self.planes.drawing),
            }
        query = self.service.datasets.get(view.dataset).query.vector.numpy()
        similar = plane.similar(query)
        said = in_words(similar)
        chosen = None if view.chosen is None else view.chosen.task
        drawing = charts.plane_map(plane, query, chosen, said)
        return {
            self.map: join(drawing, tag("p", said, class_="note")),
            self.similar: texts.similar_table(similar),
            self.wait: gr.update(active=False),
        }

    def _look(self, dataset: str | None) -> Updates:
        if dataset is None:
            return {}
        try:
            self.rankings.look(dataset)
            told = join()
        except TansError as error:
            told = texts.alert(self.service.told(str(error)))
        return {self.looking: told, self.look: gr.update(interactive=True)}

    # 4: a fine-tune

    def _start(
        self, dataset: str, given: dict[str, Any], chosen: str | None, cost: str, epochs: str
    ) -> Updates:
        view = self._view(dataset, asked(self._scales, given), chosen, COSTS[cost])
        if view.chosen is None:
            return {self.failed: texts.alert("nothing fits the limits; move them first")}
        passes = QUICK_EPOCHS if epochs == QUICK else None
        wanted = {"dataset": dataset, "network": view.chosen.id, "epochs": passes}
        answer = self.service.start_finetune(FinetuneAsked.model_validate(wanted))
        return self._tell_of(answer.id)

    def _cancel(self, job: str | None) -> Updates:
        if job is None or self.service.jobs.get(job).state not in NEITHER:
            return self._tell_of(job)
        return self._job(self.service.jobs.end(job))

    def _tell_of(self, job: str | None) -> Updates:
        """How far a fine-tune is; nothing is shown of one that is not there any more."""
        try:
            return self._job(None if job is None else self.service.jobs.get(job))
        except ServiceError:
            return self._job(None)

    def _job(self, job: JobAnswer | None) -> Updates:
        runs = job is not None and job.state in NEITHER
        done = job is not None and job.state == "done"
        described = self._described(job) if job is not None and done else {}
        return {
            self.job: None if job is None else job.id,
            self.progress: join() if job is None else texts.progress(job),
            self.curve: gr.update(visible=job is not None and bool(job.history)),
            self.epoch_table: join() if job is None else texts.epoch_table(job),
            self.result: texts.result(job, described) if job is not None and done else join(),
            self.by_class: gr.update(visible=bool(described.get("test_images"))),
            self.recalls: texts.recall_table(described),
            self.trying: gr.update(visible=done),
            self.timer: gr.update(active=runs),
            self.start: gr.update(interactive=not runs),
            self.cancel: gr.update(interactive=runs),
        }

    def _described(self, job: JobAnswer) -> dict[str, Any]:
        """What the network's own description says of it."""
        return json.loads(self.service.jobs.file(job.id, DESCRIPTION).read_bytes())
