"""The same icon name as several desktop themes draw it.

The themes are the groups, and themes that share many drawings, as forks do, are one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tans.errors import MissingExtraError
from tans_bench.sources.lookalikes import fingerprints, join_groups, near_duplicates
from tans_bench.sources.packages import Package
from tans_bench.sources.pictures import Pictures, collect, on_white, square_of
from tans_bench.sources.source import Role, Source

SIZE = 64
SMALLEST = 22
PER_THEME = 5
"""Sizes and styles of one name that one theme contributes at most."""
FAINT = 96
"""Grey levels between darkest and lightest below which a picture counts as blank."""
SHARED = 0.25
"""Share of the common names drawn alike above which two themes are one."""
THEMES = (
    "adwaita-icon-theme",
    "breeze-icon-theme",
    "elementary-icon-theme",
    "elementary-xfce-icon-theme",
    "faba-icon-theme",
    "faenza-icon-theme",
    "gnome-accessibility-themes",
    "gnome-colors-common",
    "gnome-human-icon-theme",
    "gnome-icon-theme",
    "gnome-icon-theme-gartoon",
    "gnome-icon-theme-nuovo",
    "gnome-icon-theme-suede",
    "gnome-icon-theme-yasis",
    "lxde-icon-theme",
    "mate-icon-theme",
    "numix-icon-theme",
    "obsidian-icon-theme",
    "oxygen-icon-theme",
    "papirus-icon-theme",
    "suru-icon-theme",
    "tango-icon-theme",
)
ACTIONS = (
    *("document-open", "document-print", "document-save", "edit-copy", "edit-cut", "edit-delete"),
    *("edit-find", "edit-paste", "folder-new", "go-down", "go-home", "go-next", "go-previous"),
    *("go-up", "list-add", "list-remove", "media-playback-pause", "media-record"),
    *("process-stop", "view-refresh"),
)
APPS = (
    *("accessories-calculator", "accessories-character-map", "accessories-text-editor"),
    *("audio-volume-high", "dialog-information", "dialog-question", "dialog-warning"),
    *("help-browser", "office-calendar", "preferences-desktop-accessibility"),
    *("preferences-desktop-keyboard", "preferences-desktop-locale"),
    *("preferences-desktop-wallpaper", "system-file-manager", "system-software-install"),
    *("system-users", "utilities-system-monitor", "utilities-terminal", "weather-showers"),
    "web-browser",
)
"""Applications, and five status icons that most themes draw."""
DEVICES = (
    *("audio-card", "audio-input-microphone", "battery", "camera-photo", "camera-web", "computer"),
    *("drive-harddisk", "drive-optical", "drive-removable-media", "input-gaming", "input-keyboard"),
    *("input-mouse", "input-tablet", "media-flash", "media-optical", "multimedia-player"),
    *("network-wired", "phone", "scanner", "video-display"),
)
"""Devices; printer and floppy disk, which actions show to print and to save, are left out."""
MORE_ACTIONS = (
    *("appointment-new", "bookmark-new", "contact-new", "document-new", "document-properties"),
    *("edit-clear", "edit-find-replace", "edit-redo", "edit-undo", "format-justify-center"),
    *("format-text-bold", "format-text-underline", "mail-forward", "mail-message-new"),
    *("media-eject", "media-playback-start", "system-lock-screen", "system-shutdown"),
    *("view-fullscreen", "zoom-in"),
)
MIMETYPES = (
    *("application-pdf", "application-rss+xml", "application-x-executable", "application-x-java"),
    *("audio-x-generic", "font-x-generic", "image-x-generic", "package-x-generic", "text-css"),
    *("text-html", "text-x-generic", "text-x-python", "text-x-script"),
    *("video-x-generic", "x-office-address-book", "x-office-document", "x-office-drawing"),
    *("x-office-presentation", "x-office-spreadsheet"),
)
PLACES = (
    *("folder", "folder-documents", "folder-download", "folder-music", "folder-pictures"),
    *("folder-publicshare", "folder-remote", "folder-saved-search", "folder-templates"),
    *("folder-videos", "network-server", "user-bookmarks", "user-desktop", "user-home"),
    "user-trash",
)
"""Places; a workgroup, drawn as computers, is left out."""


@dataclass(frozen=True)
class Contexts:
    """Which icons of the themes: their folders and names."""

    folders: tuple[str, ...]
    names: tuple[str, ...]
    reserved: tuple[Contexts, ...] = ()
    """Icons of other tasks; what looks like one of them, or like two names, is left out."""

    def __call__(self, packages: Sequence[Package]) -> Pictures:
        """Read the icons of some themes as labelled pictures.

        Raises:
            SourceError: the themes hold none of them.
            MissingExtraError: the renderer of SVG files is not installed.
        """
        pictures = self._drawn(packages)
        if self.reserved:
            others = [other._drawn(packages).images for other in self.reserved]
            pictures = unlike(pictures, torch.cat(others)).unambiguous()
        return one_per_design(pictures)

    def _drawn(self, packages: Sequence[Package]) -> Pictures:
        """Every drawing of the names, copies included."""
        return collect(
            (image, label, package.name)
            for package in packages
            for label, paths in self._paths(package).items()
            for image in _pictures(paths)
        )

    def _paths(self, package: Package) -> dict[int, list[Path]]:
        """Per label, a theme's files of that name."""
        found = defaultdict(list)
        labels = {name: label for label, name in enumerate(self.names)}
        for path in package.files("usr/share/icons/**/*.[ps][nv]g", labels):
            if self._in_context(path):
                found[labels[path.stem]].append(path)
        return dict(sorted(found.items()))

    def _in_context(self, path: Path) -> bool:
        """Whether the path lies in a wanted folder of a theme for light backgrounds."""
        parts = [part.lower() for part in path.parts]
        unfit = any("dark" in part or "symbolic" in part for part in parts)
        return not unfit and not set(parts).isdisjoint(self.folders)


def _pictures(paths: Sequence[Path]) -> list[np.ndarray]:
    """The largest readable and visible drawings among some files."""
    ranked = sorted(paths, key=lambda path: (-_pixels(path), str(path)))
    large = [path for path in ranked if _pixels(path) >= SMALLEST]
    drawn = (drawing(path, SIZE) for path in large)
    return [image for image in drawn if image is not None and np.ptp(image) >= FAINT][:PER_THEME]


def _pixels(path: Path) -> int:
    """The nominal size in a path such as ``48x48/actions`` or ``actions/48``; 64 if scalable."""
    sizes = [re.fullmatch(r"(\d+)(x\d+)?(@2x)?", part) for part in path.parts]
    return next((int(size[1]) for size in reversed(sizes) if size), SIZE)


def drawing(path: Path, size: int) -> np.ndarray | None:
    """A PNG or SVG file on white as uint8 (size, size, 3), or None when it cannot be read.

    Raises:
        MissingExtraError: it is an SVG, and their renderer is not installed.
    """
    if path.suffix != ".svg":
        return square_of(path, size)
    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtraError("resvg-py", "build") from error
    try:
        data = resvg_py.svg_to_bytes(
            svg_path=str(path), width=size, height=size, skip_system_fonts=True
        )
        with Image.open(BytesIO(bytes(data))) as image:
            return on_white(image, size)
    except (ValueError, OSError):
        return None


def unlike(pictures: Pictures, others: torch.Tensor) -> Pictures:
    """The pictures without near-duplicates of others, uint8 (m, 3, r, r)."""
    both = fingerprints(torch.cat([pictures.images, others]))  # (n + m, d)
    known = near_duplicates(both)[: len(pictures), len(pictures) :].any(1)  # (n,)
    return pictures.take((~known).nonzero()[:, 0])


def one_per_design(pictures: Pictures) -> Pictures:
    """The pictures without copies, and with the groups of forked themes joined."""
    groups, labels = pictures.groups or (), pictures.labels
    names = list(dict.fromkeys(groups))
    theme = torch.tensor([names.index(group) for group in groups])  # (n,)
    alike = near_duplicates(fingerprints(pictures.images)) & (labels[:, None] == labels)  # (n, n)
    held = torch.zeros(len(names), int(labels.max()) + 1, dtype=torch.bool)  # (t, c)
    held[theme, labels] = True
    shared = torch.zeros(len(names), *held.shape, dtype=torch.bool)  # (t, t, c)
    first, second = alike.nonzero(as_tuple=True)
    shared[theme[first], theme[second], labels[first]] = True
    common = (held[:, None] & held).sum(-1).clamp_min(1)  # (t, t)
    joined = join_groups(names, shared.sum(-1) / common > SHARED)
    renamed = tuple(joined[index] for index in theme.tolist())
    return Pictures(pictures.images, labels, renamed).without_copies()


_ACTIONS = Contexts(("actions",), ACTIONS)
_APPS = Contexts(("apps", "status", "legacy", "categories"), APPS)
_DEVICES = Contexts(("devices",), DEVICES, reserved=(_ACTIONS, _APPS))
_RESERVED = (_APPS, _DEVICES)


def _icons(name: str, role: Role, icons: Contexts) -> Source:
    return Source(
        name=name,
        role=role,
        family="icons",
        licence="GPL-2.0-or-later AND LGPL-3.0-or-later AND CC-BY-SA-3.0",
        packages=tuple(f"debian:{theme}" for theme in THEMES),
        classes=tuple(f"{name.removeprefix('icons-')} {icon}" for icon in icons.names),
        draw=icons,
        made="one icon name a class, as each theme draws it, on white; split by icon theme",
        notes="Themes draw at several sizes; forks that share drawings count as one theme."
        + (" Drawings of judged icons or of two names are left out." if icons.reserved else ""),
    )


SOURCES = (
    _icons("icons-actions", "train", _ACTIONS),
    _icons("icons-more-actions", "train", Contexts(("actions",), MORE_ACTIONS, _RESERVED)),
    _icons("icons-mimetypes", "train", Contexts(("mimetypes",), MIMETYPES, _RESERVED)),
    _icons("icons-places", "train", Contexts(("places",), PLACES, _RESERVED)),
    _icons("icons-apps", "dev", _APPS),
    _icons("icons-devices", "dev", _DEVICES),
)
