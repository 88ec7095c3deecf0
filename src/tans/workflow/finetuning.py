"""From a task to fine-tuned networks: the best match, one that is named, one that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tans.costs.limits import epochs_within, minutes_of, shortest
from tans.export.card import licences_of
from tans.export.classifier import Classifier
from tans.export.finetuned import (
    load_finetuned,
    origin_of,
)
from tans.interrupts import met
from tans.licences import LicenceChain
from tans.report import Run
from tans.search.combine import LISTED, TEACHERS, best_starts, share_of_one
from tans.tasks.reading import Reading
from tans.tasks.splits import TRAIN
from tans.tasks.task import Task
from tans.tasks.unlabelled import Unlabelled, read_unlabelled
from tans.training import Epoch, FineTuned, Recipe, finetune
from tans.types import Constraints, ZooEntry
from tans.workflow.choosing import TOP, Selection, search_within
from tans.workflow.results import (
    BEST_MATCH,
    COMBINED,
    GONE_ON,
    Change,
    FinetuneResult,
    FinetuneStep,
    Question,
    StepListener,
)
from tans.zoo.licensing import Licensing
from tans.zoo.zoo import Zoo


def finetune_entry(
    task: Task,
    zoo: Zoo,
    entry: ZooEntry,
    recipe: Recipe | None = None,
    *,
    teachers: Sequence[FineTuned] = (),
    unlabelled: Unlabelled | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_interrupt: Question | None = None,
) -> FineTuned:
    """Fine-tune one stored network on a task, at the resolution of the entry.

    Args:
        teachers: networks fine-tuned on the task, whose ensemble is learnt from beside the labels.
        unlabelled: further images that the teachers alone say something of.

    Raises:
        ZooError: its weights are missing or damaged.
    """
    recipe = recipe or Recipe()
    network = zoo.load(entry.id, len(task.classes), recipe.seed)
    tuned = finetune(
        network,
        task,
        recipe=recipe,
        teachers=[teacher.network for teacher in teachers],
        unlabelled=None if unlabelled is None else unlabelled.at(network.input.size),
        on_epoch=on_epoch,
        on_interrupt=on_interrupt,
    )
    origins = tuple(teacher.entry for teacher in teachers if teacher.entry is not None)
    licensing = Licensing.of(zoo)
    licences = LicenceChain.together([licensing.chain(each) for each in (entry, *origins)])
    return replace(tuned, entry=entry, teachers=origins, licences=licences)


def finetune_best(
    task: Task,
    zoo: Zoo,
    selection: Selection | None = None,
    recipe: Recipe | None = None,
    *,
    on_step: StepListener | None = None,
    on_interrupt: Question | None = None,
) -> FinetuneResult:
    """Search a zoo for the network that suits a task, and fine-tune it, and others beside it.

    Args:
        selection: which networks; the best match alone when None.
        recipe: that of the selection's method when None. Where it names no epochs and minutes are
            limited, there are as many as fit into them, up to what more would hardly gain from.
        on_step: told when the training of a network begins, and after every epoch.
        on_interrupt: asked when a keyboard interrupt stops training, with the best epoch so far,
            whether to keep that. Networks that are done are kept in any case, and those to come
            are left out; where there are none of either, the interrupt goes on.

    Raises:
        LimitError: no stored network fits the limits.
        ZooError: the zoo lacks a network that is named, or is damaged.
    """
    selection = selection or Selection()
    recipe = recipe or selection.recipe
    named = selection.named(zoo)
    session = _Session(task, zoo, recipe, on_step, on_interrupt)
    if selection.network:
        session.run(named)
        return FinetuneResult(task, zoo, tuple(session.runs), None, session.interrupted)
    combines, unlabelled = selection.combine != "one", _unlabelled(selection, task)
    found = search_within(
        task,
        zoo,
        selection.limits,
        commercial=selection.commercial,
        top=LISTED if combines else TOP,
        look=selection.look,
        method=selection.method,
    )
    starts = best_starts(found, zoo, TEACHERS if combines else 1)
    found = replace(found, matches=found.matches[:TOP])
    warnings = found.notes if unlabelled is None else (*found.notes, *unlabelled.left_out)
    if combines and (why := _alone(starts, selection.limits, recipe, task)):
        starts, warnings = starts[:1], (*warnings, f"nothing is combined: {why}")
    session.recipe = _timed(recipe, selection.limits, starts, task)
    session.run(dict(zip([BEST_MATCH, *(each.id for each in starts[1:])], starts, strict=True)))
    if len(starts) > 1:
        session.combine(starts[0], unlabelled)
    session.run(named)
    return FinetuneResult(task, zoo, tuple(session.runs), found, session.interrupted, warnings)


def finetune_from(
    start: str | Path | Classifier,
    task: Task,
    recipe: Recipe | None = None,
    *,
    on_step: StepListener | None = None,
    on_interrupt: Question | None = None,
) -> FinetuneResult:
    """Go on from a fine-tuned network, with other images, and perhaps other classes.

    Its body begins where it was; its head is fitted anew to what the body makes of the images of
    all classes. It learns from the task's images alone: give those of before along with new ones.

    Args:
        start: a folder that ``FinetuneResult.save`` wrote, or what classifies with its network.
        task: best read with ``Overrides(reading=...)`` of that network, as its ranges then stay.
        recipe: the default one when None.
        on_step: as for ``finetune_best``; likewise ``on_interrupt``.

    Raises:
        InputError: there is no fine-tuned network, or it does not say where it comes from.
    """
    before = start if isinstance(start, Classifier) else load_finetuned(start)
    origin, recipe = origin_of(before), recipe or Recipe()
    change = Change.of(origin, task)
    begun = FinetuneStep(GONE_ON, None, recipe.passes(change.images))
    interrupts: list[Epoch] = []

    def tell(epoch: Epoch | None = None) -> None:
        if on_step:
            on_step(replace(begun, epoch=epoch))

    def ask(epoch: Epoch) -> bool:
        interrupts.append(epoch)
        return on_interrupt is not None and on_interrupt(epoch)

    tell()
    tuned = finetune(before.network, task, recipe=recipe, on_epoch=tell, on_interrupt=ask)
    licences = licences_of(before.card)
    run = Run.of(GONE_ON, replace(tuned, origin=origin, licences=licences))
    told = _read_otherwise(before.reading, task.found.reading)
    return FinetuneResult(task, None, (run,), None, bool(interrupts), told, change)


def _read_otherwise(before: Reading, now: Reading) -> tuple[str, ...]:
    """What samples mean now that they did not mean to a network, a sentence each."""
    told = [
        f"{sample} samples are read from {now.ranges[sample][0]:g} to "
        f"{now.ranges[sample][1]:g}, and the network had learnt them from {low:g} to {high:g}"
        for sample, (low, high) in before.ranges.items()
        if now.ranges.get(sample, (low, high)) != (low, high)
    ]
    if now.ground != before.ground:
        told.append(
            f"transparent parts are put on {now.ground}, and the network had learnt them on "
            f"{before.ground}"
        )
    return tuple(told)


def _unlabelled(selection: Selection, task: Task) -> Unlabelled | None:
    return None if selection.unlabelled is None else read_unlabelled(selection.unlabelled, task)


def _alone(
    starts: Sequence[ZooEntry], limits: Constraints, recipe: Recipe, task: Task
) -> str | None:
    """Why several networks cannot be combined; None where they can."""
    if len(starts) < 2:
        return "the zoo has one network alone within the limits, and slices of it"
    if limits.max_minutes is None or recipe.epochs is not None:
        return None
    least = minutes_of(shortest(task), starts[0].ref, task) / share_of_one(starts)
    if least <= limits.max_minutes:
        return None
    return f"that takes {least:.1f} minutes at least, of {limits.max_minutes:g} that there are"


def _timed(recipe: Recipe, limits: Constraints, starts: Sequence[ZooEntry], task: Task) -> Recipe:
    """A recipe of as many epochs as minutes let in, where it names none and they are limited."""
    if recipe.epochs is not None or limits.max_minutes is None:
        return recipe
    share = share_of_one(starts) if len(starts) > 1 else 1.0
    return replace(recipe, epochs=epochs_within(share * limits.max_minutes, starts[0].ref, task))


@dataclass(eq=False)
class _Session:
    """Fine-tunes networks one after another, until all are done or an interrupt ends that."""

    task: Task
    zoo: Zoo
    recipe: Recipe
    on_step: StepListener | None
    on_interrupt: Question | None
    runs: list[Run] = field(default_factory=list)
    interrupted: bool = False

    def run(self, chosen: Mapping[str, ZooEntry]) -> None:
        """Fine-tune each network, under its label."""
        for label, entry in chosen.items():
            self._add(label, entry)

    def combine(self, entry: ZooEntry, unlabelled: Unlabelled | None) -> None:
        """Let a network learn from all those fine-tuned so far, and put it before them."""
        before = len(self.runs)
        self._add(COMBINED, entry, [run.tuned for run in self.runs], unlabelled)
        self.runs[:0] = self.runs[before:]
        del self.runs[before + 1 :]

    def _add(
        self,
        label: str,
        entry: ZooEntry,
        teachers: Sequence[FineTuned] = (),
        unlabelled: Unlabelled | None = None,
    ) -> None:
        if self.interrupted:
            return
        try:
            tuned = self._tuned(label, entry, teachers, unlabelled)
            self.runs.append(Run.of(label, tuned))
        except KeyboardInterrupt:
            if not self.runs:
                raise
            met()
            self.interrupted = True

    def _tuned(
        self,
        label: str,
        entry: ZooEntry,
        teachers: Sequence[FineTuned],
        unlabelled: Unlabelled | None,
    ) -> FineTuned:
        images = self.task.split_sizes[TRAIN]
        begun = FinetuneStep(label, entry, self.recipe.passes(images))
        self._tell(begun)
        return finetune_entry(
            self.task,
            self.zoo,
            entry,
            self.recipe,
            teachers=teachers,
            unlabelled=unlabelled,
            on_epoch=lambda epoch: self._tell(replace(begun, epoch=epoch)),
            on_interrupt=self._ask,
        )

    def _tell(self, step: FinetuneStep) -> None:
        if self.on_step:
            self.on_step(step)

    def _ask(self, epoch: Epoch) -> bool:
        self.interrupted = True
        return self.on_interrupt is not None and self.on_interrupt(epoch)
