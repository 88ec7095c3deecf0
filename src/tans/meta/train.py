"""Meta-training (TANS, Jeong et al., NeurIPS 2021, equations 2-5), all tensors in memory.

Queries are summarised once into a bank of random subsets, and networks are normalised once, so a
step is two gathers, two small encoders, and one optimiser update.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tans.build.crew import Crew, Listener
from tans.errors import InputError
from tans.meta.data import MetaData
from tans.meta.encoders import QueryEncoder
from tans.meta.losses import contrastive, listwise
from tans.meta.metrics import Retrieval, retrieval
from tans.meta.predictor import squared_error
from tans.meta.presets import MetaSettings
from tans.meta.retriever import Member, Retriever, build, embed_models
from tans.networks.device import CPU, device, moved
from tans.zoo.columns import ids_digest

_SEEDS_APART = 1000
"""Between the members of an ensemble, far enough for seeds in a row to share none."""
READ_EVERY = 20
"""Steps from one reading of the loss to the next on a card, which waits for it."""
_ALIKE = 0.05
"""Accuracy that makes a source e times as right as another, in ranking."""


@dataclass(frozen=True)
class Step:
    """What one optimiser step reports."""

    step: int
    """From 1 on; an ensemble's members are trained one after the other."""
    loss: float
    """Of this batch, before the update; on a card, of the last step that was read."""
    retrieval: Retrieval | None
    """On held-out images, at the steps that evaluate."""


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Everything a step draws from, prepared; what is drawn by is on the processor."""

    bank: Tensor  # (q, b, s) query summaries, or (q, b, m, s) sets; where it learns
    models: Tensor  # (e, w) network rows; where it learns
    accuracy: Tensor  # (e,)
    queried: Tensor  # (q,) task of each bank row
    by_task: Tensor  # (e,) networks, task by task
    starts: Tensor  # (t,) first place of each task in by_task
    counts: Tensor  # (t,) networks of each task
    imageless: Tensor  # (k, 2) bank row and source task of positives without images
    transfers: Tensor  # (r, 2) bank row and network
    transfer_accuracy: Tensor  # (r,)
    sources: Tensor  # (s,) tasks with networks
    measured: Tensor  # (q, s) accuracy of sources on queried tasks, NaN where unknown


@dataclass(frozen=True, eq=False)
class _Batch:
    queries: Tensor  # (p, s), or (p, m, s)
    models: Tensor  # (p, w)
    accuracy: Tensor  # (p,), NaN where unknown; on the processor


def meta_train(
    data: MetaData,
    settings: MetaSettings,
    on_step: Callable[[Step], None] | None = None,
    crew: Crew | None = None,
) -> Retriever:
    """Learn encoders and predictor, and embed all networks.

    Args:
        data: what to learn from; its held-out images are only evaluated on.
        settings: see ``tans.meta.presets``; the same seed gives the same retriever.
        on_step: called after every step; with a crew, after the last one of each member.
        crew: that trains the members side by side; None trains one after another here.

    Raises:
        InputError: fewer than two tasks have both images and networks, or no network has a part
            that the encoder is to read.
    """
    if len(data.queried) < 2:
        raise InputError(
            f"{len(data.queried)} tasks have both images and networks; contrasting needs at least 2"
        )
    if lacking := [name for name in settings.parts if not data.parts[name].shape[1]]:
        raise InputError(
            f"no network here has {' or '.join(lacking)}, which the encoder is to read; train with "
            "a preset that reads what there is, such as --preset paper"
        )
    places = range(settings.members)
    if crew is None:
        members = [_member(data, settings, place, on_step) for place in places]
    else:
        members = _apart(data, settings, on_step, crew)
    return Retriever(
        members=tuple(members),
        settings=settings,
        data_hash=data.digest(),
        networks=ids_digest(data.entries),
        matrix=embed_models(members, data.parts),
    )


def _member(
    data: MetaData, settings: MetaSettings, place: int, on_step: Callable[[Step], None] | None
) -> Member:
    """That of a place in the ensemble, which has a seed of its own."""
    own = replace(settings, seed=settings.seed + place * _SEEDS_APART)
    return _train_member(data, own, _counted(on_step, place * settings.steps))


def _apart(
    data: MetaData, settings: MetaSettings, on_step: Callable[[Step], None] | None, crew: Crew
) -> list[Member]:
    """All members, trained by a crew."""
    found: dict[int, Member] = {}
    work = partial(_train_apart, data, settings)
    with closing(crew.each(work, range(settings.members))) as trained:
        for count, (place, (member, last)) in enumerate(trained, 1):
            found[place] = member
            if on_step is not None:
                on_step(replace(last, step=count * settings.steps))
    return [found[place] for place in sorted(found)]


def _train_apart(
    data: MetaData, settings: MetaSettings, item: int, *, on_progress: Listener | None
) -> tuple[Member, Step]:
    """On a worker: a member, and its last step."""
    del on_progress  # steps are told as steps
    last = deque[Step](maxlen=1)
    member = _member(data, settings, item, last.append)
    return member, last[0]


def _counted(on_step: Callable[[Step], None] | None, before: int) -> Callable[[Step], None]:
    def report(step: Step) -> None:
        if on_step is not None:
            on_step(replace(step, step=before + step.step))

    return report


def _train_member(
    data: MetaData, settings: MetaSettings, on_step: Callable[[Step], None]
) -> Member:
    generator = torch.Generator().manual_seed(settings.seed)
    widths = {name: data.parts[name].shape[1] for name in settings.parts}
    learner = build(settings, data.features.shape[1], widths)
    inputs = _prepare(data, settings, learner, generator)
    where = device()
    inputs = replace(inputs, bank=inputs.bank.to(where), models=inputs.models.to(where))
    judge = _judge(data, learner, inputs.models)
    learner.to(where)
    optimiser = torch.optim.AdamW(
        learner.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    read, told = 1 if where == CPU else READ_EVERY, math.nan
    for step in range(1, settings.steps + 1):
        loss = _loss(inputs, settings, learner, generator)
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(settings, step)
        optimiser.step()
        due = settings.evaluate_every and step % settings.evaluate_every == 0
        if due or step % read == 0 or step in (1, settings.steps):
            told = loss.item()
        on_step(Step(step, told, judge() if due else None))
    return learner.cpu()


def _loss(
    inputs: _Inputs, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> Tensor:
    """Equation 5 on one batch, and what measured transfer adds to it."""
    loss = _own_loss(_draw(inputs, generator), settings, learner, generator)
    if settings.transfer_weight > 0 and len(inputs.transfers) > 0:
        error = _predictor_error(_draw_transfers(inputs, generator), settings, learner, generator)
        loss = loss + settings.predictor_weight * settings.transfer_weight * error
    if settings.ranking_weight > 0:
        ranking = _ranking_loss(inputs, settings, learner, generator)
        loss = loss + settings.ranking_weight * ranking
    return loss


def _own_loss(
    batch: _Batch, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> Tensor:
    """Equation 5."""
    queries = learner.query.embed(batch.queries)  # (p, dim)
    models = _embedded(batch.models, settings, learner, generator)  # (p, dim)
    retrieving = contrastive(
        settings.loss, queries @ models.T, settings.margin, settings.temperature
    )
    error = squared_error(learner.predictor(queries, models), batch.accuracy)
    return retrieving + settings.predictor_weight * error


def _predictor_error(
    batch: _Batch, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> Tensor:
    queries = learner.query.embed(batch.queries)  # (p, dim)
    models = _embedded(batch.models, settings, learner, generator)  # (p, dim)
    return squared_error(learner.predictor(queries, models), batch.accuracy)


def _ranking_loss(
    inputs: _Inputs, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> Tensor:
    """Do the measured sources of each task rank as measured, each by a random network of it?"""
    rows = torch.arange(len(inputs.queried))  # (q,)
    networks = _draw_networks(inputs, inputs.sources, generator)  # (s,)
    queries = learner.query.embed(_draw_queries(inputs, rows, generator))  # (q, dim)
    models = _embedded(_rows(inputs.models, networks), settings, learner, generator)  # (s, dim)
    if settings.ranking_on == "cosine":
        scores = queries @ models.T / settings.temperature  # (q, s)
    else:
        scores = learner.predictor.pairs(queries, models) / _ALIKE
    return listwise(scores, inputs.measured, _ALIKE)


def _embedded(
    models: Tensor, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> Tensor:
    """Embeddings (n, dim) of prepared networks (n, w), each with some of its parts hidden.

    So that networks which lack a part lie where those do that have it (Neverova et al., ModDrop:
    Adaptive Multi-Modal Gesture Recognition, PAMI 2016).
    """
    if settings.part_dropout:
        shape = len(models), len(settings.parts)
        hidden = torch.rand(shape, generator=generator) < settings.part_dropout
        kept = torch.randint(shape[1], shape[:1], generator=generator)
        hidden[torch.arange(len(models)), kept] &= ~hidden.all(1)  # one part stays
        models = learner.model.hide(models, hidden)
    return learner.model.embed(models)


def _learning_rate(settings: MetaSettings, step: int) -> float:
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / settings.steps))


def _draw(inputs: _Inputs, generator: torch.Generator) -> _Batch:
    """All tasks, each with one of its networks at random.

    Every second batch, one target of a source without images takes a network of that source as
    its positive instead. The other such targets stay out of that batch, where that network would
    wrongly be their negative.
    """
    rows = torch.arange(len(inputs.queried))  # (p,)
    sources = inputs.queried  # (p,)
    if len(inputs.imageless) and _uniform(1, generator) < 0.5:
        row, source = inputs.imageless[_integers(len(inputs.imageless), 1, generator)][0]
        rows = rows[~torch.isin(rows, inputs.imageless[:, 0]) | (rows == row)]
        sources = torch.where(rows == row, source, inputs.queried[rows])
    networks = _draw_networks(inputs, sources, generator)  # (p,)
    owned = sources == inputs.queried[rows]
    # a stored accuracy is the source task's own, so it says nothing of another task's query
    accuracy = torch.where(owned, inputs.accuracy[networks], torch.nan)
    return _Batch(_draw_queries(inputs, rows, generator), _rows(inputs.models, networks), accuracy)


def _draw_transfers(inputs: _Inputs, generator: torch.Generator) -> _Batch:
    """As many measured transfers as there are tasks, with repetition."""
    pick = _integers(len(inputs.transfers), len(inputs.queried), generator)  # (p,)
    rows, networks = inputs.transfers[pick].unbind(1)
    return _Batch(
        _draw_queries(inputs, rows, generator),
        _rows(inputs.models, networks),
        inputs.transfer_accuracy[pick],
    )


def _draw_queries(inputs: _Inputs, rows: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.stack([rows, _integers(inputs.bank.shape[1], len(rows), generator)])
    rows, subsets = moved(drawn, inputs.bank.device)
    return inputs.bank[rows, subsets]  # (p, ...)


def _rows(of: Tensor, rows: Tensor) -> Tensor:
    return of[moved(rows, of.device)]


def _draw_networks(inputs: _Inputs, sources: Tensor, generator: torch.Generator) -> Tensor:
    place = (_uniform(len(sources), generator) * inputs.counts[sources]).long()  # (p,)
    return inputs.by_task[inputs.starts[sources] + place]


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator)


def _integers(below: int, n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(below, (n,), generator=generator)


def _prepare(
    data: MetaData, settings: MetaSettings, learner: Member, generator: torch.Generator
) -> _Inputs:
    """Draw the bank of queries, fit what is fixed, and index the networks."""
    learner.query.fit_reduction(data.features[~data.held_out])
    bank = _query_bank(data, settings, learner.query, generator)  # (q, b, s)
    rows = learner.model.concatenate(data.parts)  # (e, w)
    if settings.normalisation == "separate":
        images = bank.flatten(0, -2)
        images = images[images[:, 0].isfinite()]
        learner.query.standardise.fit(images, learner.query.widths)
        learner.model.standardise.fit(rows, list(learner.model.widths.values()))
    counts = torch.bincount(data.entry_tasks, minlength=len(data.tasks))
    row_of = torch.full((len(data.tasks),), -1)  # (t,)
    row_of[data.queried] = torch.arange(len(data.queried))
    imageless = data.imageless_positives()
    targets = row_of[data.transfer_tasks]  # (r,)
    sources = counts.nonzero().squeeze(1)  # (s,)
    measured = data.transfer_means() if settings.ranking_truth == "transfers" else data.probe_means
    return _Inputs(
        bank=learner.query.prepare(bank),
        models=learner.model.prepare(rows),
        accuracy=data.accuracy,
        queried=data.queried,
        by_task=data.entry_tasks.argsort(stable=True),
        starts=counts.cumsum(0) - counts,
        counts=counts,
        imageless=torch.stack([row_of[imageless[:, 0]], imageless[:, 1]], 1),
        transfers=torch.stack([targets, data.transfer_entries], 1)[targets >= 0],
        transfer_accuracy=data.transfer_accuracy[targets >= 0],
        sources=sources,
        measured=measured.T[data.queried][:, sources],
    )


def _query_bank(
    data: MetaData, settings: MetaSettings, encoder: QueryEncoder, generator: torch.Generator
) -> Tensor:
    """Summaries (q, b, s), or sets (q, b, m, s), of random subsets of each task's images."""
    banks = []
    for task in data.queried.tolist():
        chosen = (data.image_tasks == task) & ~data.held_out
        features, labels = data.features[chosen], data.labels[chosen]
        banks.append(encoder.summarise(features, labels, _subsets(labels, settings, generator)))
    return _stack(banks)


def _stack(banks: list[Tensor]) -> Tensor:
    """One tensor of all tasks' (b, s), or of their sets (b, m, s) filled up with rows of NaN."""
    if banks[0].ndim == 2:
        return torch.stack(banks)
    by_image = [bank.transpose(0, 1) for bank in banks]  # (m, b, s) each
    return pad_sequence(by_image, batch_first=True, padding_value=torch.nan).transpose(1, 2)


def _subsets(labels: Tensor, settings: MetaSettings, generator: torch.Generator) -> Tensor:
    """Random subsets bool (b, n) of images, of some of the classes if so set."""
    number = settings.query_subsets
    allowed = torch.ones(number, len(labels), dtype=torch.bool)
    if settings.class_subsets:
        classes, index = labels.unique(return_inverse=True)
        least = min(max(2, math.ceil(len(classes) / 2)), len(classes))
        kept = _integers(len(classes) - least + 1, number, generator) + least  # (b,)
        allowed = _first(torch.ones(number, len(classes), dtype=torch.bool), kept, generator)
        allowed = allowed[:, index]  # (b, n)
    spread = settings.query_images - settings.query_least + 1
    size = _integers(spread, number, generator) + settings.query_least  # (b,)
    return _first(allowed, size, generator)


def _first(allowed: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """At random, `size` (b,) of the allowed (b, n) in each row, or all when fewer."""
    order = torch.rand(allowed.shape, generator=generator).masked_fill(~allowed, 2.0)  # (b, n)
    place = order.argsort(1).argsort(1)
    return allowed & (place < size[:, None])


def _judge(data: MetaData, learner: Member, models: Tensor) -> Callable[[], Retrieval | None]:
    """A function that ranks all networks for each task's held-out images, as learnt so far."""
    own = data.judged  # (h,)
    if not len(own):
        return lambda: None
    summaries = []
    for task in own.tolist():
        images = (data.image_tasks == task) & data.held_out
        summaries.append(learner.query.summarise(data.features[images], data.labels[images]))
    prepared = learner.query.prepare(_stack(summaries)[:, 0]).to(models.device)  # (h, ...)

    @torch.no_grad()
    def judge() -> Retrieval:
        scores = learner.query.embed(prepared) @ learner.model.embed(models).T  # (h, e)
        return retrieval(scores.cpu(), data.entry_tasks, own)

    return judge
