"""What the folders of a dataset mean: classes, splits, or neither, by names and by what is inside.

Folders with names like those of splits that hold the same class folders are splits. Folders that
hold images are classes, whatever their names. What can be taken in two ways is asked about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from pathlib import Path

from tans.errors import TaskError
from tans.tasks.findings import some
from tans.tasks.splits import SPLITS, TEST, TRAIN, VAL

LAYOUTS = ("classes", "splits")
WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "trainingset"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset", "validationset"), VAL),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "testset", "testingset"), TEST),
}
"""What words in a folder's name, or in a table's split column, say of a split."""
EVALUATION = frozenset({"eval", "evaluation", "evaluate"})
"""Words for validation beside a test split, and for test otherwise."""
UNLABELLED = frozenset({"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"})
LOOSE = frozenset({"data", "image", "images", "img", "imgs", "jpeg", "jpg", "png"})
"""Names of a lone folder of images that is no class, beside those that say a split."""
SHARED = 0.5
"""Of the folders inside two folders, the share of equal names from which they seem the same."""


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder, without what other programs left in it."""

    path: Path
    pictures: tuple[Path, ...]
    """Files directly in it that seem to be images."""
    folders: tuple[Folder, ...]

    @property
    def name(self) -> str:
        """With each accent and its letter as one character, however the disk stores them."""
        return unicodedata.normalize("NFC", self.path.name)

    @cached_property
    def below(self) -> tuple[Path, ...]:
        """Its images at any depth."""
        return self.pictures + tuple(p for folder in self.folders for p in folder.below)

    @cached_property
    def inside(self) -> tuple[Folder, ...]:
        """Folders directly in it that hold images at any depth."""
        return tuple(folder for folder in self.folders if folder.below)


@dataclass(frozen=True)
class ClassFolder:
    """A folder whose images are of one class, and of one split where that is known."""

    folder: Folder
    label: str
    split: int | None


@dataclass(frozen=True)
class Layout:
    """What a dataset's folders were taken for."""

    classes: tuple[ClassFolder, ...]
    words: str
    """The same in a few words."""
    left_out: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Images outside of all classes, by reason."""
    remarks: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    """Class folders without an image."""


@dataclass(frozen=True)
class _Top:
    """A folder on top whose name is that of a split."""

    folder: Folder
    split: int


def understand(root: Folder, layout: str | None = None) -> Layout:
    """What the folders below one mean.

    Args:
        layout: one of ``LAYOUTS`` where the user says what the folders on top are.

    Raises:
        TaskError: it can be taken in two ways, or there is no class folder.
    """
    if layout is not None and layout not in LAYOUTS:
        raise TaskError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    root = _unwrapped(root)
    if not root.inside:
        raise TaskError(
            f"{root.path} holds no class folder and {len(root.pictures)} images; expected one "
            "folder of images for each class; sort the images into folders named after their "
            "classes, or move this away"
        )
    if layout == "classes":
        return _as_classes(root)
    named = [top for top in root.inside if _says_split(top)]
    if layout == "splits":
        return _as_splits(root, _all_named(root, named))
    if not named:
        return _by_contents(root)
    holding = [top for top in named if _class_folders(top)]
    others = [top for top in root.inside if top not in named and not _is_unlabelled(top.name)]
    kinds = {split_word(top.name) for top in named}
    if not holding and (others or (len(named) > len(kinds) == 1)):
        # such as steam train and diesel train, or drop test and crash test
        return _as_classes(root)
    if holding and not others and _alike([_names(_unwrapped(top)) for top in holding]):
        return _as_splits(root, _splits_of(named))
    raise _unclear(root, named, others)


def understand_named(root: Folder, split: Mapping[str, str]) -> Layout:
    """What the folders mean where the user names those of the splits.

    Args:
        split: folder below the dataset's, by name of its split.

    Raises:
        TaskError: it is no split, or there is no such folder.
    """
    tops = []
    for name, where in split.items():
        if name not in SPLITS:
            raise TaskError(f"split {name!r} was given; expected {', '.join(SPLITS)}")
        wanted = (root.path / where).resolve()
        found = next((f for f in _walk(root) if f.path.resolve() == wanted), None)
        if found is None or not found.below:
            raise TaskError(
                f"split {name} is {where!r}, and there are no images in {root.path / where}; "
                "expected a folder of class folders below the dataset's"
            )
        tops.append(_Top(found, SPLITS.index(name)))
    _refuse_overlap(tops)
    return _as_splits(root, tops)


def split_word(name: str) -> int | str | None:
    """What a name says of a split: its index, ``evaluation``, or None where it says nothing."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    found: set[int | str] = {WORDS[word] for word in words if word in WORDS}
    found |= {"evaluation" for word in words if word in EVALUATION}
    return found.pop() if len(found) == 1 else None


def as_splits(names: Iterable[str]) -> dict[str, int]:
    """Index into ``SPLITS`` for each name that says one.

    Raises:
        TaskError: there are names for validation, for test, and for evaluation.
    """
    said = {name: split_word(name) for name in names}
    given = {word for word in said.values() if isinstance(word, int)}
    if "evaluation" in said.values() and {VAL, TEST} <= given:
        raise TaskError(
            f"{', '.join(sorted(said))} name validation, test and evaluation; expected three "
            "splits at most; say which is which with --split train=DIR,val=DIR,test=DIR"
        )
    evaluation = VAL if TEST in given else TEST
    splits = {name: evaluation if word == "evaluation" else word for name, word in said.items()}
    return {name: split for name, split in splits.items() if isinstance(split, int)}


def _refuse_overlap(tops: Sequence[_Top]) -> None:
    """Refuse splits that share images.

    Raises:
        TaskError: a split's folder is that of another, or lies in it.
    """
    for one, other in permutations(tops, 2):
        if other.folder in set(_walk(one.folder)):
            raise TaskError(
                f"the splits {SPLITS[one.split]} ({one.folder.path}) and {SPLITS[other.split]} "
                f"({other.folder.path}) lie in one another; expected folders that share no image"
            )


def _as_classes(root: Folder) -> Layout:
    classes = [ClassFolder(top, top.name, None) for top in root.inside]
    unused = [f for f in root.folders if not f.below and _says_split(f)]
    empty = tuple(f.name for f in root.folders if not f.below and f not in unused)
    remarks = [f"{folder.name} is empty, so it is no class and no split" for folder in unused]
    return Layout(
        tuple(classes), "one folder for each class", _outside([root]), tuple(remarks), empty
    )


def _as_splits(root: Folder, tops: Sequence[_Top]) -> Layout:
    """Tops that hold class folders are splits; what else there is of images is left out."""
    opened = [_Top(_unwrapped(top.folder), top.split) for top in tops]
    holding = [top for top in opened if _class_folders(top.folder)]
    classes = [
        ClassFolder(folder, folder.name, top.split)
        for top in holding
        for folder in top.folder.inside
    ]
    if not classes:
        raise TaskError(
            f"{root.path} holds no class folder in {some([t.folder.name for t in tops])}; expected "
            "a folder of images for each class in each split"
        )
    known = {each.label for each in classes}
    empty = {f.name for top in holding for f in top.folder.folders if not f.below} - known
    told = [
        f"{SPLITS[split]} is {', '.join(t.folder.name for t in holding if t.split == split)}"
        for split in range(len(SPLITS))
        if any(top.split == split for top in holding)
    ]
    left_out = _outside([top.folder for top in holding])
    used = {path for each in classes for path in each.folder.below}
    loose = {path for paths in left_out.values() for path in paths}
    rest = tuple(path for path in root.below if path not in used | loose)
    if rest:
        left_out["in no class folder of a split, so unlabelled"] = rest
    return Layout(
        tuple(classes),
        f"splits of class folders: {', '.join(told)}",
        left_out,
        tuple(_told_missing(root, {top.split for top in holding})),
        tuple(sorted(empty)),
    )


def _told_missing(root: Folder, given: set[int]) -> list[str]:
    """Say which splits are taken from the training images, and why."""
    unused = [f.name for f in root.folders if not f.below and _says_split(f)]
    remarks = [f"{name} is empty, so it is no split" for name in unused]
    taken = [name for name, split in (("validation", VAL), ("test", TEST)) if split not in given]
    if taken:
        remarks.append(f"{' and '.join(taken)} images are taken from train")
    return remarks


def _by_contents(root: Folder) -> Layout:
    """Folders whose names say nothing of splits.

    Raises:
        TaskError: what is inside can be taken in two ways.
    """
    parted = [top for top in root.inside if _holds_splits(top)]
    whole = [top for top in root.inside if top not in parted or top.pictures]
    if parted and whole:
        raise TaskError(
            f"{root.path} holds folders with splits inside ({some([t.name for t in parted])}) and "
            f"folders with images outside of splits ({some([t.name for t in whole])}); expected "
            "the same splits in each; sort the images, or add --layout classes to use no splits"
        )
    siblings = _names(root)
    again = [
        t for t in root.inside if not t.pictures and _names(t) <= siblings - {t.name.casefold()}
    ]
    if again:
        raise TaskError(
            f"{root.path} holds {again[0].name}, and in it folders named like those beside it "
            f"({some(sorted(_names(again[0])), 3)}); expected each class once; move one of them "
            "away, or add --layout classes"
        )
    if len(root.inside) > 1 and not any(top.pictures for top in root.inside):
        names = [_names(top) for top in root.inside]
        if all(split_word(name) is not None for inner in names for name in inner):
            _refuse_deeper(root)
            return _as_classes_of_splits(root)
        if _alike(names) and max(map(len, names)) > 1:
            shown = [f"{top.name}/{{{some(sorted(_names(top)), 3)}}}" for top in root.inside]
            raise TaskError(
                f"{root.path} holds folders that hold folders of the same names, "
                f"{some(shown, 2)}: are those on top the classes, or parts of the data? Add "
                "--layout classes, or name the parts with --split train=DIR,test=DIR"
            )
    return _as_classes(root)


def _refuse_deeper(root: Folder) -> None:
    """Refuse folders with splits inside that hold class folders in turn.

    Raises:
        TaskError: all of these splits hold some of the same folders.
    """
    deeper = [_names(split) for top in root.inside for split in top.inside]
    if not all(deeper) or len(frozenset.union(*deeper)) < 2 or not _alike(deeper):
        return
    raise TaskError(
        f"{root.path} holds {some([top.name for top in root.inside])} with splits inside, which "
        f"hold folders of the same names ({some(sorted(frozenset.union(*deeper)))}): which are the "
        "classes? Add --layout classes for those on top, or give one of the folders on top"
    )


def _as_classes_of_splits(root: Folder) -> Layout:
    splits = as_splits({f.name for top in root.inside for f in top.inside})
    classes = [
        ClassFolder(folder, top.name, splits[folder.name])
        for top in root.inside
        for folder in top.inside
    ]
    told = ", ".join(f"{SPLITS[split]} is {name}" for name, split in sorted(splits.items()))
    left_out = _outside([root])
    remarks = tuple(_told_missing(root, set(splits.values())))
    words = f"one folder for each class, with its splits inside: {told}"
    return Layout(tuple(classes), words, left_out, remarks)


def _all_named(root: Folder, named: Sequence[Folder]) -> list[_Top]:
    others = [top.name for top in root.inside if top not in named]
    if not named:
        raise TaskError(
            f"--layout splits was given and no folder in {root.path} is named like a split "
            f"({some(others)}); name them with --split train=DIR,test=DIR"
        )
    return _splits_of(named)


def _splits_of(tops: Sequence[Folder]) -> list[_Top]:
    splits = as_splits(top.name for top in tops)
    return [_Top(top, splits[top.name]) for top in tops if top.name in splits]


def _unclear(root: Folder, named: Sequence[Folder], others: Sequence[Folder]) -> TaskError:
    """What to ask where names and contents disagree."""
    names = some([top.name for top in named])
    if others:
        what = (
            f"{root.path} holds folders named like splits ({names}) and, beside them, folders of "
            f"images: {some([top.name for top in others])}"
        )
    elif any(_class_folders(top) for top in named):
        what = f"{root.path} holds {names}, named like splits, which hold different folders"
    else:
        what = f"{root.path} holds {names}, named like splits, with images and no class folders"
    return TaskError(
        f"{what}: are these classes or splits? Add --layout classes or --layout splits, or "
        "--split train=DIR,test=DIR"
    )


def _unwrapped(folder: Folder) -> Folder:
    """The folder that holds the classes or splits, where others do no more than hold it."""
    if len(folder.inside) != 1 or folder.pictures:
        return folder
    (only,) = folder.inside
    inner = _unwrapped(only)
    holds = len(inner.inside) > 1 or any(_says_split(each) for each in inner.inside)
    return inner if holds and (_says_split(folder) or not _says_split(only)) else folder


def _class_folders(split: Folder) -> tuple[Folder, ...]:
    """The class folders of a split; none where it only wraps images, as in test/test/1.png."""
    inside = _unwrapped(split).inside
    if len(inside) == 1 and not inside[0].inside:
        (only,) = inside
        return () if _says_split(only) or only.name.lower() in LOOSE else inside
    return inside


def _holds_splits(folder: Folder) -> bool:
    """Whether what it holds are splits, such as train and test, by their names."""
    words = {split_word(name) for name in _names(folder)}
    return len(words) > 1 and None not in words


def _says_split(folder: Folder) -> bool:
    return split_word(folder.name) is not None


def _names(folder: Folder) -> frozenset[str]:
    return frozenset(inner.name.casefold() for inner in folder.inside)


def _alike(names: Sequence[frozenset[str]]) -> bool:
    """Whether each set of names shares half of them with the largest."""
    largest = max(names, key=len)
    return all(len(largest & each) >= SHARED * len(largest | each) for each in names) or all(
        each and each <= largest for each in names
    )


def _is_unlabelled(name: str) -> bool:
    return not UNLABELLED.isdisjoint(re.findall(r"[a-z]+", name.lower()))


def _outside(folders: Iterable[Folder]) -> dict[str, tuple[Path, ...]]:
    loose = tuple(path for folder in folders for path in folder.pictures)
    return {"beside the class folders, in none of them": loose} if loose else {}


def _walk(folder: Folder) -> Iterable[Folder]:
    yield folder
    for inner in folder.folders:
        yield from _walk(inner)
