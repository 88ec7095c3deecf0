"""What the page says, as markup: what came is escaped, whoever sent it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tans.licences import UNSTATED
from tans.report.blocks import bar, table
from tans.report.markup import Html, join, tag
from tans.scores import wilson
from tans.tasks.findings import counted
from tans.types import Match
from tans.web.guard import API
from tans.web.page.charts import UNITS, curve, curve_in_words, share
from tans.web.page.limits import Scale, short
from tans.web.page.ranking import LIMITED, Cost, Ranked, front, least
from tans.web.schemas import DatasetAnswer, JobAnswer, LimitsAsked, SourceTask
from tans.zoo.zoo import IMAGENET

SHOWN, ROWS = 10, 30
"""Matches in the list, and rows of a table of the front."""
PICTURES, CLASSES = 6, 24
"""Pictures of each class, and classes with pictures."""
OWN, THEIRS, ALL_THEIRS = 12, 12, 64
"""Pictures of either side of a match, and those that a source has."""
DOWNLOADS = {
    "model.safetensors": "Network (safetensors)",
    "network.onnx": "Network (ONNX)",
    "report.html": "Report (HTML)",
}
PLACE = API.lstrip("/")
"""Where routes lie, from the page."""


def alert(text: str) -> Html:
    """What went wrong, where a reader of the screen hears it."""
    return tag("p", text[:1].upper() + text[1:], role="alert", class_="alert")


def heading(networks: int, keep_h: float) -> Html:
    """The top of the page."""
    return tag(
        "header",
        tag("p", "tans", class_="eyebrow"),
        tag("h1", "Find the pretrained network that suits your images"),
        tag(
            "p",
            f"{networks:,} networks are ready here: architecture and weights, ranked for your "
            "dataset, within what your device allows. Your images stay with this service, which "
            f"deletes them {_hours(keep_h)} after you last used them.",
            class_="lede",
        ),
    )


def upload(most_bytes: int) -> Html:
    """The field for a zip."""
    return tag(
        "div",
        tag("label", "A zip of your images", for_="tans-zip"),
        tag(
            "p",
            "One folder for each class, its images inside. Up to "
            f"{most_bytes / 1e6:,.0f} MB. You can drop it here.",
            class_="note",
            id="tans-zip-note",
        ),
        tag(
            "input",
            type="file",
            id="tans-zip",
            accept=".zip,application/zip",
            aria_describedby="tans-zip-note",
        ),
        tag("p", role="status", class_="told"),
        tag("p", role="alert", class_="alert"),
        class_="drop",
    )


def understood(answer: DatasetAnswer) -> Html:
    """What a dataset was taken for: classes, counts, pictures, and what is odd about it."""
    count = len(answer.classes)
    return tag(
        "div",
        tag("h3", answer.name),
        tag(
            "p",
            f"{answer.images:,} images of {count} classes, read as {answer.layout}.",
            class_="lead",
        ),
        _warnings(answer.warnings),
        _strips(answer),
        data_dataset=answer.id,
    )


def class_table(answer: DatasetAnswer) -> Html:
    """Images of each class in each split."""
    rows = [(each.name, each.train, each.val, each.test) for each in answer.classes]
    return table(("class", "training", "validation", "test"), rows, {0})


def _warnings(told: Sequence[str]) -> Html:
    if not told:
        return tag("p", "Nothing odd was found in the data.", class_="note")
    lines = [tag("li", text[:1].upper() + text[1:]) for text in told]
    return tag("div", tag("h4", "Worth knowing"), tag("ul", *lines), class_="beware")


def _strips(answer: DatasetAnswer) -> Html:
    by_class: dict[str, list[int]] = {}
    for sample in answer.samples:
        by_class.setdefault(sample.class_name, []).append(sample.index)
    figures = [
        tag(
            "figure",
            tag("figcaption", name),
            tag("div", *(_own(answer, i, name) for i in indices[:PICTURES]), class_="strip"),
        )
        for name, indices in list(by_class.items())[:CLASSES]
    ]
    rest = len(answer.classes) - len(figures)
    more = tag("p", f"and {counted(rest, 'more class', 'more classes')}", class_="note")
    return join(tag("div", *figures, class_="strips"), more if rest > 0 else join())


def _own(answer: DatasetAnswer, index: int, name: str) -> Html:
    return _picture(f"{PLACE}/datasets/{answer.id}/images/{index}", f"an image of {name}")


def _picture(place: str, alt: str) -> Html:
    return tag("img", src=place, alt=alt, width=64, height=64, loading="lazy")


# Limits


def sliders(scales: Sequence[Scale]) -> Html:
    """A slider for each scale, at no limit, and a box for licences."""
    return tag(
        "fieldset",
        tag("legend", "Limits"),
        *map(_slider, scales),
        tag(
            "label",
            tag("input", type="checkbox", name="commercial"),
            tag("span", "Only licences that allow commercial use"),
            class_="check",
        ),
        class_="limits",
    )


def _slider(scale: Scale) -> Html:
    last, id = len(scale.stops), f"tans-{scale.name}"
    return tag(
        "div",
        tag("label", scale.title, for_=id),
        tag("output", scale.words[last], for_=id),
        tag(
            "input",
            type="range",
            id=id,
            name=scale.name,
            min=0,
            max=last,
            step=1,
            value=last,
            aria_valuetext=scale.words[last],
            data_words="|".join(scale.words),
        ),
        class_="slider",
    )


# Matches


def standing(ranked: Ranked, within: Sequence[Match], judged: bool) -> Html:
    """How many fit, and what their order comes from.

    Args:
        judged: whether the zoo can judge a look at the images.
    """
    some = f"{len(within):,} of {len(ranked.matches):,} networks fit."
    if ranked.looked:
        return tag(
            "p",
            tag("strong", some),
            f" These are the ones that {ranked.looked} looks at your images speak for, ranked by "
            "them. The range holds the accuracy for nine datasets in ten.",
        )
    closer = (
        "A closer look tries the best of them on your images, and adds a range to each."
        if judged
        else "This zoo has not learnt to judge a closer look at your images."
    )
    alone = " Ranked by similarity alone: accuracies are rough. "
    return tag("p", tag("strong", some), alone, closer)


def unfit(ranked: Ranked, limits: LimitsAsked) -> str:
    """Why nothing fits, and what would."""
    known = ranked.matches
    if limits.commercial:
        known = tuple(match for match in known if match.licences.commercial)
    if not known:
        return "none of the networks allows commercial use by all of its licences; untick the box"
    parts = [
        f"{short(most)} {UNITS[cost]}"
        for cost, name in LIMITED.items()
        if getattr(limits, name) is not None and (most := least(known, cost)) is not None
    ]
    return (
        f"no network fits; the least that any needs is {' and '.join(parts)}: move the sliders up"
    )


def match_list(within: Sequence[Match], chosen: Match | None) -> Html:
    """The best networks, each a button."""
    items = [
        tag("li", _row(rank, match, match is chosen))
        for rank, match in enumerate(within[:SHOWN], start=1)
    ]
    return tag("ol", *items, class_="matches")


def _row(rank: int, match: Match, chosen: bool) -> Html:
    costs = [f"{short(match.params)} parameters", f"{short(match.flops)} multiply-adds"]
    if match.latency_ms is not None:
        costs.append(f"{short(match.latency_ms)} ms")
    return tag(
        "button",
        tag("span", rank, class_="rank"),
        tag("span", origin(match), class_="name"),
        tag("span", accuracy(match), class_="share"),
        tag("span", " · ".join(costs), class_="costs"),
        type="button",
        data_id=match.id,
        aria_pressed="true" if chosen else "false",
    )


def origin(match: Match) -> str:
    """What a network learnt from, and its input."""
    name = "ImageNet" if match.task == IMAGENET else match.task
    return f"{name}, {match.resolution} px"


def accuracy(match: Match) -> str:
    """The accuracy to be expected, as in ``91.2 % (84 to 96)``."""
    if match.low is None or match.high is None:
        return f"about {100 * match.predicted_accuracy:.0f} %"
    low, high = 100 * match.low, 100 * match.high
    return f"{share(match.predicted_accuracy)} ({low:.0f} to {high:.0f})"


def match_detail(match: Match, answer: DatasetAnswer, source: SourceTask | None) -> Html:
    """A match: the images of its source beside the user's, what it needs, its licences."""
    return tag(
        "div",
        tag("h3", origin(match)),
        _beside(match, answer, source),
        tag("dl", *_facts(match)),
        class_="detail",
    )


def _beside(match: Match, answer: DatasetAnswer, source: SourceTask | None) -> Html:
    names = {sample.index: sample.class_name for sample in answer.samples}
    own = [_own(answer, i, names[i]) for i in _spread(sorted(names), OWN)]
    yours = tag("figure", tag("figcaption", "Your images"), tag("div", *own, class_="tiles"))
    # the sheet of ImageNet shows what its networks were made smaller on, and not ImageNet
    if source is None or not source.has_images or match.task == IMAGENET:
        kept = tag("p", "The zoo keeps no pictures of these.", class_="note")
    else:
        place = f"{PLACE}/tasks/{quote(source.name)}/images"
        alt = f"an image of {source.name}"
        shown = (_picture(f"{place}/{i}", alt) for i in _spread(range(ALL_THEIRS), THEIRS))
        kept = tag("div", *shown, class_="tiles")
    theirs = tag("figure", tag("figcaption", f"It learnt from: {match.task}"), kept)
    return tag("div", yours, theirs, class_="beside")


def _spread(items: Sequence[int], count: int) -> list[int]:
    """So many of some, evenly."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _facts(match: Match) -> list[Html]:
    latency = "move its slider to measure it on this device"
    if match.latency_ms is not None:
        latency = f"{short(match.latency_ms)} ms for one image, on the service's device"
    facts: list[tuple[str, Any]] = [
        ("Expected accuracy", accuracy(match)),
        ("Parameters", f"{match.params:,}"),
        (
            "Multiply-adds",
            f"{match.flops:,} for one image of {match.resolution} x {match.resolution}",
        ),
        ("Latency", latency),
        ("Size", f"{4 * match.params / 1e6:.1f} MB as 32-bit floats"),
        ("Similarity", f"{match.similarity:.2f} (cosine of embeddings)"),
        ("Licences", _licences(match)),
        ("Commercial use", _commercial(match)),
        ("Name", tag("code", match.id)),
    ]
    return [part for name, said in facts for part in (tag("dt", name), tag("dd", said))]


def _licences(match: Match) -> str:
    chain = match.licences
    parts = (("weights", chain.network), ("made from", chain.base), ("images", chain.data))
    return "; ".join(f"{name} {licence}" for name, licence in parts if licence is not None)


def _commercial(match: Match) -> str:
    """Yes, no, or not known; as far as the licences say."""
    if match.licences.commercial:
        return "yes, by all of these licences"
    if UNSTATED in match.licences.all:
        return "not known, as a licence is not stated"
    return "no, or not by all of these licences"


def front_table(within: Sequence[Match], cost: Cost) -> Html:
    """The Pareto front, cheapest first; of many networks some, evenly."""
    best = front(within, cost)
    rows = [
        (origin(m), short(getattr(m, cost)), accuracy(m), str(m.licences))
        for m in (best[i] for i in _spread(range(len(best)), ROWS))
    ]
    return table(("network", "cost", "expected accuracy", "licence"), rows, {0, 3})


def similar_table(similar: Sequence[tuple[str, float]]) -> Html:
    """Sources by similarity."""
    return table(("source", "cosine"), [(n, f"{cosine:.2f}") for n, cosine in similar], {0})


# A fine-tune


def begin(match: Match | None) -> Html:
    """What a fine-tune would begin from."""
    if match is None:
        return tag("p", "Nothing fits the limits, so there is nothing to fine-tune.")
    return tag(
        "p",
        "It starts from ",
        tag("strong", origin(match)),
        f", expected to reach {accuracy(match)}. Choose another in the list above.",
    )


def progress(job: JobAnswer) -> Html:
    """How far a fine-tune is, in a sentence and a curve."""
    return tag(
        "div",
        tag("p", _state(job), role="status", class_="lead"),
        _bar(job),
        tag("figure", tag("figcaption", "Validation accuracy"), curve(job))
        if job.history
        else join(),
        tag("p", curve_in_words(job), class_="note") if job.history else join(),
        data_job=job.id,
        class_="progress",
    )


def _bar(job: JobAnswer) -> Html:
    if job.state != "running":
        return join()
    if not job.epochs:
        return tag("progress", aria_label="The fine-tune is being prepared")
    done = max((epoch.epoch for epoch in job.history), default=0)
    return tag("progress", value=done, max=job.epochs, aria_label="Epochs done")


def _state(job: JobAnswer) -> str:
    done = max((epoch.epoch for epoch in job.history), default=0)
    if job.state == "queued":
        ahead = job.ahead or 0
        return f"Waiting; {counted(ahead, 'fine-tune')} before yours." if ahead else "Waiting."
    if job.state == "running":
        if not job.epochs:
            return "Preparing the network and the images."
        left = "" if job.seconds_left is None else f" {_left(job.seconds_left)} left."
        return f"Training: epoch {done} of {job.epochs} is done.{left}"
    if job.state == "done":
        return "Done."
    if job.state == "cancelled":
        return "Cancelled. Nothing of it is kept."
    return f"It failed: {job.error}"


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"About {max(1, round(seconds))} s"
    return f"About {round(seconds / 60)} min" if seconds < 5400 else f"About {seconds / 3600:.1f} h"


def epoch_table(job: JobAnswer) -> Html:
    """The curve in numbers."""
    rows = [
        (e.epoch, *(_share(v) for v in (e.val_accuracy, e.val_balanced)), _number(e.train_loss))
        for e in job.history
    ]
    return table(("epoch", "validation", "balanced", "training loss"), rows, set())


def result(job: JobAnswer, described: Mapping[str, Any]) -> Html:
    """What came of a fine-tune, and what can be taken away.

    Args:
        described: what ``model.json`` says of it.
    """
    outcome = job.outcome
    if outcome is None:
        return join()
    links = {file.name: file.bytes for file in job.files}
    return tag(
        "div",
        tag("h3", "What it reached"),
        tag("p", _reached(outcome.test_accuracy, described), class_="figure"),
        _facts_of(outcome),
        _warned(outcome.warnings),
        tag("h3", "Take it away"),
        tag(
            "ul", *(_link(job, name, links) for name in DOWNLOADS if name in links), class_="links"
        ),
        class_="result",
    )


def _reached(accuracy: float | None, described: Mapping[str, Any]) -> Html:
    images = int(described.get("test_images", 0))
    if accuracy is None or not images:
        return join("It had no test images to be measured on.")
    low, high = wilson(round(accuracy * images), images)
    return join(
        tag("strong", share(accuracy)),
        f" of {images:,} test images, which it had not seen "
        f"({100 * low:.0f} to {100 * high:.0f} % as far as so many tell)",
    )


def _facts_of(outcome: Any) -> Html:
    text = (
        f"It began from {outcome.network}, has {outcome.params:,} parameters, needs "
        f"{short(outcome.flops)} multiply-adds for one image, and trained for "
        f"{_took(outcome.seconds)}. Kept is what it was after epoch {outcome.best_epoch}."
    )
    return tag("p", text, class_="note")


def _took(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _warned(told: Sequence[str]) -> Html:
    return _warnings(told) if told else join()


def _link(job: JobAnswer, name: str, sizes: Mapping[str, int]) -> Html:
    size = sizes[name]
    shown = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
    link = tag("a", DOWNLOADS[name], href=f"{PLACE}/jobs/{job.id}/files/{name}", download=name)
    return tag("li", link, tag("span", f" {shown}", class_="note"))


def recall_table(described: Mapping[str, Any]) -> Html:
    """How many test images of each class were found, the worst first."""
    rows = []
    for name, row, found in zip(
        described.get("classes", ()),
        described.get("confusion", ()),
        _diagonal(described.get("confusion", ())),
        strict=False,
    ):
        images = sum(row)
        rows.append((name, found, images, found / images if images else math.nan))
    rows.sort(key=lambda row: (math.isnan(row[3]), row[3]))
    return table(
        ("class", "found", "of test images", ""),
        [(n, f, i, bar(s) if s == s else "none") for n, f, i, s in rows],
        {0, 3},
    )


def _diagonal(rows: Sequence[Sequence[int]]) -> list[int]:
    return [row[at] for at, row in enumerate(rows)]


def trial() -> Html:
    """The field for an image to try a network on."""
    return tag(
        "div",
        tag("label", "Try it on an image", for_="tans-image"),
        tag("p", "It is classified, and not kept.", class_="note", id="tans-image-note"),
        tag(
            "input",
            type="file",
            id="tans-image",
            accept="image/*",
            aria_describedby="tans-image-note",
        ),
        tag("p", role="status", class_="told"),
        tag("p", role="alert", class_="alert"),
        tag("div", class_="tried"),
        class_="drop",
    )


def _share(value: float | None) -> str:
    return "" if value is None else share(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _hours(hours: float) -> str:
    return f"{hours:.0f} hours" if hours >= 2 else f"{60 * hours:.0f} minutes"
