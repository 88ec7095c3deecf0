"""Repositories of the Hugging Face Hub, and local folders of their two layouts.

The hub is that of the variable ``HF_ENDPOINT``, or the public one; what was fetched is kept in its
own cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tans.errors import InputError
from tans.networks.incoming import timm, transformers
from tans.networks.incoming.files import read_json
from tans.networks.incoming.incoming import Incoming, Stated
from tans.networks.incoming.reach import TIMEOUT_S, WEIGHTS, hub_library, kept, unreached

CONFIG = "config.json"
BESIDE = (CONFIG, "README.md", "preprocessor_config.json")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
LICENCE = re.compile(r"^(license|license_name):[ \t]*['\"]?([^'\"\n#]+)", re.MULTILINE)
"""In a card's first lines."""


def from_hub(name: str, stated: Stated) -> Incoming:
    """A network of a repository.

    Args:
        name: of its owner and its own, as in ``timm/resnet18.a1_in1k``; with ``@`` and a revision.

    Raises:
        InputError: it cannot be fetched, is of neither layout, or something is not known of it.
        MissingExtraError: huggingface_hub is not installed.
    """
    if not REPOSITORY.fullmatch(name):
        raise InputError(f"{name!r} names no repository; expected hf-hub:OWNER/NAME")
    where = f"hf-hub:{name}"
    fetched = [path for path in _fetched(name) if path is not None]
    if not fetched:
        raise InputError(f"{where} holds neither {CONFIG} nor weights; expected both")
    return from_folder(fetched[0].parent, stated, where)


def from_folder(folder: Path, stated: Stated, where: str | None = None) -> Incoming:
    """A network of a folder in timm's or transformers' layout.

    Args:
        where: it came from, as messages say it; the folder when None.

    Raises:
        InputError: it is of neither layout, or something is not known of it.
    """
    where = where or str(folder)
    config = read_json(folder / CONFIG)
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None or not ({"architecture", "model_type"} & config.keys()):
        raise InputError(
            f"{where} is of no known layout; expected {CONFIG} that names an architecture of timm "
            f"or a model_type of transformers, and {' or '.join(WEIGHTS)}; or a folder that "
            "'tans finetune' wrote"
        )
    licence = _licence(folder / "README.md")
    if "architecture" in config:
        return timm.from_folder(where, config, weights, licence, stated)
    return transformers.from_folder(where, folder, config, licence, stated)


def is_folder(folder: Path) -> bool:
    """Whether a folder has a description as both layouts have it."""
    return (folder / CONFIG).is_file()


def _fetched(name: str) -> Iterator[Path | None]:
    """Places of the files of a repository that are of use, as far as there are such.

    Where the hub is out of reach, they are those that were fetched before.

    Raises:
        InputError: the hub cannot be reached, or has no such repository.
        MissingExtraError: huggingface_hub is not installed.
    """
    repository, _, revision = name.partition("@")
    if failure := unreached(repository, CONFIG, revision or None):
        here = [kept(repository, file, revision or None) for file in (*BESIDE, *WEIGHTS)]
        if here[0] is None or not any(here[len(BESIDE) :]):
            raise _unfetched(CONFIG, repository, failure) from failure
        yield from here
        return
    yield from (_file(repository, file, revision) for file in BESIDE)
    for file in WEIGHTS:
        if found := _file(repository, file, revision):
            yield found
            return


def _file(repository: str, file: str, revision: str) -> Path | None:
    hub = hub_library()
    try:
        path = hub.hf_hub_download(
            repository,
            file,
            revision=revision or None,
            endpoint=os.environ.get("HF_ENDPOINT"),
            etag_timeout=TIMEOUT_S,
        )
    except hub.errors.EntryNotFoundError as error:
        if not isinstance(error, hub.errors.LocalEntryNotFoundError):
            return None
        failure: Exception = error
    except (OSError, ValueError, RuntimeError, hub.errors.HfHubHTTPError) as error:
        failure = error
    else:
        return Path(path)
    raise _unfetched(file, repository, failure) from failure


def _unfetched(file: str, repository: str, failure: Exception) -> InputError:
    said = " ".join(str(failure).split())[:300]
    return InputError(
        f"{file} of hf-hub:{repository} cannot be fetched ({said}); the hub is out of reach, or "
        "has no such repository: give a folder of it, or --weights with the name of its network"
    )


def _licence(readme: Path) -> str | None:
    """What the first lines of a card say, between two lines of dashes."""
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    found = re.match(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", text, re.DOTALL)
    if found is None:
        return None
    said = dict(LICENCE.findall(found[1]))
    licence = said.get("license", "").strip()
    return said.get("license_name", licence).strip() if licence == "other" else licence or None
