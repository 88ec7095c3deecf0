"""Find the image files of a folder of class folders, and what its layout says of each."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tans.errors import TaskError
from tans.licences import UNSTATED
from tans.tasks.content import Readable
from tans.tasks.decoding import CAMERA_RAW, NO_IMAGE, RAW, image_suffixes, is_picture
from tans.tasks.findings import Overrides, some
from tans.tasks.layout import Folder, Layout, understand, understand_named
from tans.tasks.outputs import WRITTEN, is_output, is_output_folder

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
TABLES = frozenset({".csv", ".tsv"})
LEFTOVER_FOLDERS = frozenset(
    {"__macosx", "__pycache__", "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"}
    | {"$recycle.bin", "recycler", "system volume information", "lost+found", "lost.dir"}
)
"""Folders of other programs, in lower case; nothing in them is the user's, nor in hidden ones."""
LEFTOVER_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini"}
    | {"zbthumbnail.info"}
)
LEFTOVER = "left by other programs, or hidden"
DEEPEST = 100
"""Folders in one another."""
LINKED = "links to what is here already"


@dataclass(frozen=True)
class Record:
    """One image file of a dataset."""

    key: str
    """Its path below the dataset, or as its table gives it: what splits and messages go by."""
    path: Readable
    """What it is read from."""
    label: str
    split: int | None = None
    """Index into ``SPLITS``, or None where none is given."""
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """The image files of a dataset, and what was understood on the way."""

    records: tuple[Record, ...]
    layout: str
    """In words."""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By reason."""
    remarks: tuple[str, ...] = ()
    licence: str = UNSTATED
    """Of the images, where it stands with them."""


@dataclass
class Walk:
    """Reads a tree of folders, each once however many links lead to it."""

    root: Path
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """Files and folders by reason."""

    def __post_init__(self) -> None:
        self.root = Path(self.root)
        self._top = self.root.resolve()
        self._above = {self._top, *self._top.parents}
        self._seen = {self._top}

    def tree(self) -> Folder:
        """The root with all folders in it.

        Raises:
            TaskError: a folder cannot be listed.
        """
        return self._read(self.root, DEEPEST)

    def _read(self, folder: Path, deeper: int) -> Folder:
        """A folder with all in it; ``deeper`` says how many may still lie in one another."""
        if not deeper:
            raise TaskError(
                f"more than {DEEPEST} folders lie in one another below {self.root}; expected "
                "images in class folders; move them up, or leave the folder out"
            )
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            inner = [Path(folder, e.name) for e in entries if _is_folder(e)]
        except OSError as error:
            raise TaskError(
                f"the folder {error.filename} cannot be listed ({error.strerror}); "
                "make it readable, or leave it out"
            ) from error
        files = [Path(folder, e.name) for e in entries if not _is_folder(e)]
        pictures = tuple(file for file in files if self._takes(file))
        read = [self._read(path, deeper - 1) for path in inner if self._enters(path)]
        folders = [each for each in read if not self._is_written(each)]
        return Folder(folder, pictures, tuple(sorted(folders, key=lambda f: f.name)))

    def _takes(self, file: Path) -> bool:
        """Whether a file seems to be an image; else it is noted why not."""
        if is_leftover(file.name):
            self._leave(LEFTOVER, file)
        elif file.is_symlink() and not file.exists():
            self._leave("links that lead nowhere", file)
        elif file.suffix.lower() in RAW:
            self._leave(CAMERA_RAW, file)
        elif not is_picture(file):
            self._leave(WRITTEN if is_output(file) else NO_IMAGE, file)
        else:
            return True
        return False

    def _enters(self, folder: Path) -> bool:
        """Whether a folder is read; else it is noted why not."""
        if is_leftover(folder.name):
            self._leave(LEFTOVER, folder)
            return False
        if is_output_folder(folder):
            self._leave(WRITTEN, folder)
            return False
        real = folder.resolve()
        # what lies below the root is met there, and what lies above would lead back here
        known = folder.is_symlink() and (real in self._above or self._top in real.parents)
        if known or real in self._seen:
            self._leave(LINKED, folder)
            return False
        self._seen.add(real)
        return True

    def _is_written(self, folder: Folder) -> bool:
        """Whether results of tans were met in a folder, and no image; it is then left out whole."""
        written = self.left_out.get(WRITTEN, [])
        inside = [path for path in written if folder.path in path.parents]
        if folder.below or not inside:
            return False
        written[:] = [path for path in written if path not in inside] + [folder.path]
        return True

    def _leave(self, why: str, path: Path) -> None:
        self.left_out.setdefault(why, []).append(path)


def find_images(root: Path, overrides: Overrides | None = None) -> Found:
    """The images of a folder of class folders, nested folders included.

    Folders on top that are named like splits and hold the same class folders are splits
    (``tans.tasks.layout``). Contents decide what an image is, where the suffix does not.

    Raises:
        TaskError: there is no such folder, no class folder, or a class folder without an image; or
            what the folders mean is not clear.
    """
    if not root.is_dir():
        raise refuse_file(root)
    walk = Walk(root)
    return found_in(walk.tree(), walk.left_out, overrides or Overrides())


def found_in(
    tree: Folder,
    left_out: Mapping[str, Sequence[Path]],
    overrides: Overrides,
    read: Callable[[Path], Readable] = lambda path: path,
) -> Found:
    """The images of a tree of folders, by what the folders mean.

    Args:
        left_out: files and folders by reason.
        read: gives what the image of a path is read from.

    Raises:
        TaskError: as ``find_images``.
    """
    root = tree.path
    if overrides.split:
        layout = understand_named(tree, overrides.split)
    else:
        layout = understand(tree, overrides.layout)
    if layout.empty:
        raise TaskError(
            f"{root} has class folders without an image: {some(layout.empty)}; expected "
            "images such as .jpg or .png in each; add some, or remove the folders"
        )
    reasons = {**left_out, **layout.left_out}
    return Found(
        _records(root, layout, read),
        layout.words,
        {why: tuple(_key(root, path) for path in paths) for why, paths in reasons.items()},
        layout.remarks,
    )


def images_below(root: Path) -> tuple[tuple[Path, ...], dict[str, list[Path]]]:
    """All images below a folder, sorted, and by reason what else there is.

    Raises:
        TaskError: a folder cannot be listed.
    """
    walk = Walk(root)
    return tuple(sorted(walk.tree().below)), walk.left_out


def is_result(path: Path) -> bool:
    """Whether a file or folder is a result of tans, and no dataset; a saved task is one.

    Raises:
        TaskError: a folder cannot be listed.
    """
    if not path.is_dir():
        return is_output(path)
    if (path / "task.json").is_file():
        return False
    walk = Walk(path)
    return is_output_folder(path) or (not walk.tree().below and WRITTEN in walk.left_out)


def refuse_file(path: Path) -> TaskError:
    """What to say of a path that is no dataset."""
    wanted = "expected a folder with one folder of images for each class, or a .csv file"
    if not path.exists():
        return TaskError(f"there is nothing at {path}; {wanted}; correct the path")
    if path.suffix.lower() in ARCHIVES:
        return TaskError(f"{path} is an archive; {wanted}; unpack it and give the folder")
    if path.suffix.lower() in image_suffixes():
        return TaskError(
            f"{path} is a single image; {wanted}; put labelled images into class folders, or "
            "use `tans predict` to classify one"
        )
    return TaskError(f"{path} is a file; {wanted}")


def legible(name: str) -> str:
    """A file name as text that can be printed and compared: composed, undecodable bytes replaced.

    Some systems store an accent apart from its letter, others as one character.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def is_leftover(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or no user's."""
    return name.startswith((".", "~$")) or name.lower() in LEFTOVER_FOLDERS | LEFTOVER_FILES


def _records(root: Path, layout: Layout, read: Callable[[Path], Readable]) -> tuple[Record, ...]:
    return tuple(
        Record(_key(root, file), read(file), legible(each.label), each.split)
        for each in layout.classes
        for file in each.folder.below
    )


def _key(root: Path, path: Path) -> str:
    return legible(path.relative_to(root).as_posix())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
