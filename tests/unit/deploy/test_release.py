"""A release: its notes, its archives, its checksums; and all of it, twice."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.release import ReleaseError, build, notes_of, same_always, sums_of, version_of
from tests.support.outside import only_whole

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = "# Changelog\n\n## 0.2.0 (2027-03-01)\n\n### Added\n\n- A thing.\n\n## 0.1.0 (2026-12-01)\n\n- All of it.\n"
EPOCH = 1_800_000_000


def archive(files: dict[str, bytes], mtime: float, owner: str) -> bytes:
    """A .tar.gz with the files in the order given."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = len(content), mtime, owner
            made.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_notes_are_what_the_changelog_says_of_the_version() -> None:
    assert notes_of(CHANGELOG, "0.2.0", is_draft=False) == "# Andon 0.2.0\n\n### Added\n\n- A thing.\n"
    assert notes_of(CHANGELOG, "0.1.0", is_draft=False) == "# Andon 0.1.0\n\n- All of it.\n"


def test_only_a_draft_goes_without_a_date() -> None:
    open_ended = "## 0.3.0 (unreleased)\n\n- More.\n"

    assert notes_of(open_ended, "0.3.0", is_draft=True) == "# Andon 0.3.0\n\n- More.\n"
    with pytest.raises(ReleaseError, match=r"CHANGELOG.md has no date for 0.3.0: write '## 0.3.0 \(YYYY-MM-DD\)'"):
        notes_of(open_ended, "0.3.0", is_draft=False)
    with pytest.raises(ReleaseError, match=r"no date for 0\.4\.0"):
        notes_of(open_ended, "0.4.0", is_draft=True)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,9}(/[a-z]{1,9})?", fullmatch=True), st.binary(max_size=99)), st.randoms()
)
def test_an_archive_is_the_same_whoever_made_it_and_when(files: dict[str, bytes], chance: object) -> None:
    names = list(files)
    chance.shuffle(names)  # type: ignore[attr-defined]
    shuffled = {name: files[name] for name in names}

    one, other = archive(files, 1.5, "ada"), archive(shuffled, 99.25, "bob")

    assert same_always(one, EPOCH) == same_always(other, EPOCH)
    with tarfile.open(fileobj=io.BytesIO(same_always(one, EPOCH))) as read:
        assert {name: read.extractfile(name).read() for name in read.getnames()} == files  # type: ignore[union-attr]


def test_checksums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "SUMS").write_text(sums_of([tmp_path / "b", tmp_path / "a"]))

    checked = subprocess.run(["sha256sum", "--check", "SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert checked.stdout == "a: OK\nb: OK\n"


@only_whole()
def test_two_builds_of_a_commit_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        build("HEAD", EPOCH, folder)

    one, other = (sums_of(folder.iterdir()) for folder in folders)
    assert one == other
    version = version_of((ROOT / "pyproject.toml").read_text())
    assert {f"andon-{version}-py3-none-any.whl", f"andon-{version}.tar.gz"} <= {
        path.name for path in folders[0].iterdir()
    }
