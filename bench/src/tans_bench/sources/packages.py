"""Packages of the Debian, npm and Python registries, opened without being installed.

A package is fetched once by its registry's ordinary client, unpacked into the cache, and described
by a small JSON file beside its content, hash included. Nothing that it holds is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote

from tans.files import alone, cache_dir
from tans_bench.errors import SourceError

Client = Callable[[Sequence[str], Path], None]
"""Runs a command in a folder; raises SourceError when it is missing or fails."""

CLIENT_TIMEOUT_S = 1800
DESCRIPTION = "package.json"


@dataclass(frozen=True)
class Package:
    """An unpacked package."""

    registry: str
    """``debian``, ``npm`` or ``pypi``."""
    name: str
    version: str
    sha256: str
    """Of the archive as fetched."""
    folder: Path
    """Where its content lies."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def files(self, pattern: str, stems: Container[str] | None = None) -> list[Path]:
        """Regular files below the folder that match a glob, sorted, of some stems if given.

        Links that lead out of the package, as absolute ones do, are left out.
        """
        found = self.folder.glob(pattern)
        named = (path for path in found if stems is None or path.stem in stems)
        return sorted(path for path in named if path.is_file() and self._holds(path))

    def file(self, path: str) -> Path:
        """One file of the package.

        Raises:
            SourceError: the package does not hold it.
        """
        if not (self.folder / path).is_file():
            raise SourceError(
                f"{self.registry} package {self} holds no file {path!r}; expected it there, "
                "so this version may be laid out differently"
            )
        return self.folder / path

    def _holds(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.folder.resolve())


def run_client(command: Sequence[str], folder: Path) -> None:
    """Run a package client in a folder.

    Raises:
        SourceError: the client is not installed, or it failed.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise SourceError(
            f"{command[0]!r} is not installed here and is needed to run {' '.join(command)!r}; "
            "install it, or make this task on a machine that has it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"{' '.join(command)!r} did not end within {CLIENT_TIMEOUT_S} s; try again"
        ) from error
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise SourceError(
            f"{' '.join(command)!r} failed with status {done.returncode}: {tail[0]}; "
            "check the network and the name of the package"
        )


class Packages:
    """Opens packages, fetching each at most once."""

    def __init__(self, root: Path | None = None, client: Client = run_client) -> None:
        self.root = cache_dir("packages") if root is None else root
        self.client = client

    def debian(self, name: str) -> Package:
        """Open a Debian package in the version that the machine's package lists offer.

        Raises:
            SourceError: the client is missing or fails.
        """
        return self._open("debian", name, "", ["apt-get", "download", name], "*.deb")

    def npm(self, name: str, version: str) -> Package:
        """Open an npm package.

        Raises:
            SourceError: the client is missing or fails.
        """
        return self._open("npm", name, version, ["npm", "pack", f"{name}@{version}"], "*.tgz")

    def pypi(self, name: str, version: str) -> Package:
        """Open a wheel; source archives are refused, as building one would run its code.

        Raises:
            SourceError: the client is missing or fails.
        """
        wanted = ["--no-deps", "--only-binary=:all:", f"{name}=={version}"]
        command = [sys.executable, "-m", "pip", "download", *wanted]
        return self._open("pypi", name, version, command, "*.whl")

    def open(self, name: str) -> Package:
        """Open ``debian:NAME``, ``npm:NAME==VERSION`` or ``pypi:NAME==VERSION``.

        Raises:
            SourceError: the name has another form, or the client is missing or fails.
        """
        registry, _, rest = name.partition(":")
        package, _, version = rest.partition("==")
        if registry == "debian" and not version:
            return self.debian(package)
        if registry in {"npm", "pypi"} and version:
            return (self.npm if registry == "npm" else self.pypi)(package, version)
        raise SourceError(
            f"{name!r} names no package; expected debian:NAME, npm:NAME==VERSION or "
            "pypi:NAME==VERSION"
        )

    def _open(
        self, registry: str, name: str, version: str, command: Sequence[str], pattern: str
    ) -> Package:
        folder = self.root / registry / "-".join(filter(None, (name.replace("/", "+"), version)))
        if not _is_whole(folder):
            with alone(folder):  # a second fetch would replace what others read by then
                if not _is_whole(folder):
                    self._fetch(folder, registry, command, pattern)
        return _read(folder, registry, name)

    def _fetch(self, folder: Path, registry: str, command: Sequence[str], pattern: str) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetch-"))
        try:
            work.chmod(0o755)  # apt's own user reads the folder it downloads into
            self.client(command, work)
            archives = sorted(work.glob(pattern))
            if len(archives) != 1:
                raise SourceError(
                    f"{' '.join(command)!r} left {len(archives)} files {pattern}; expected one, "
                    "check the client's settings"
                )
            _unpack(archives[0], work / "content", registry, self.client)
            description = {"version": _version(archives[0].name), "sha256": _sha256(archives[0])}
            (work / DESCRIPTION).write_text(json.dumps(description))
            archives[0].unlink()
            shutil.rmtree(folder, ignore_errors=True)
            work.replace(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    return (folder / DESCRIPTION).is_file()


def _read(folder: Path, registry: str, name: str) -> Package:
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        version, sha256 = description["version"], description["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{folder} is damaged; delete it to fetch {name} again") from error
    return Package(registry, name, version, sha256, folder / "content")


def _unpack(archive: Path, into: Path, registry: str, client: Client) -> None:
    into.mkdir()
    try:
        if registry == "debian":
            client(["dpkg-deb", "-x", str(archive), str(into)], archive.parent)
        elif registry == "npm":
            with tarfile.open(archive) as tar:
                tar.extractall(into, filter="data")
        else:
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(into)
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{archive.name} cannot be unpacked: {error}; fetch it again") from error


def _version(archive: str) -> str:
    """The version in an archive's name: ``a_1.0-2_all.deb``, ``a-1.0.tgz``, ``a-1.0-py3.whl``."""
    path = PurePath(unquote(archive))
    if path.suffix == ".deb":
        return path.stem.split("_")[1]
    return path.stem.split("-")[1] if path.suffix == ".whl" else path.stem.rpartition("-")[2]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
