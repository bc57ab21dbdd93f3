"""`make release`: what a release consists of, byte for byte the same whenever and wherever it is built from a commit.

Wheel, source, chart, a software bill of materials (CycloneDX), notes from the changelog, and checksums of them all.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
CHART, SUMS, NOTES, SBOM = Path("deploy/helm/andon"), "SHA256SUMS", "NOTES.md", "andon.cdx.json"
UNRELEASED = "unreleased"


class ReleaseError(Exception):
    """Why nothing is released. The text says what to do."""


def version_of(project: str) -> str:
    """The version in `pyproject.toml`, its only place."""
    return str(tomllib.loads(project)["project"]["version"])


def notes_of(changelog: str, version: str, *, is_draft: bool) -> str:
    """What the changelog says of a version. Raises ReleaseError where it has no date yet, unless it is a draft."""
    heading, *_ = [line for line in changelog.splitlines() if line.startswith(f"## {version} ")] or [""]
    if not heading or (UNRELEASED in heading and not is_draft):
        raise ReleaseError(f"CHANGELOG.md has no date for {version}: write '## {version} (YYYY-MM-DD)', or use --draft")
    body = re.split(r"^## ", changelog.split(heading, 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return f"# Andon {version}\n\n{body.strip()}\n"


def same_always(archive: bytes, epoch: int) -> bytes:
    """A .tar.gz with its files in order of their names, all of one time and of nobody."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as given, tarfile.open(fileobj=packed, mode="w") as made:
        for member in sorted(given.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() or member.mode & 0o100 else 0o644, {}
            made.addfile(member, given.extractfile(member) if member.isfile() else None)
    return gzip.compress(packed.getvalue(), mtime=epoch)


def sums_of(files: Iterable[Path]) -> str:
    """As `sha256sum --check` reads it."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(files))


def build(commit: str, epoch: int, target: Path) -> None:
    """Wheel, source and chart of a commit."""
    with TemporaryDirectory() as folder:
        exported = _run("git", "archive", commit)
        with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
            archive.extractall(folder, filter="data")
        _run("uv", "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "-o", str(target), at=folder)
        (target / ".gitignore").unlink(missing_ok=True)
        for source in target.glob("*.tar.gz"):
            source.write_bytes(same_always(source.read_bytes(), epoch))
        if (chart := Path(folder) / CHART).exists():
            _pack(chart, epoch, target)


def _pack(chart: Path, epoch: int, target: Path) -> None:
    """A chart as Helm packs it: NAME-VERSION.tgz with one folder, NAME."""
    version = re.search(r"^version: (\S+)", (chart / "Chart.yaml").read_text(), re.MULTILINE)
    if version is None:
        raise ReleaseError(f"{CHART}/Chart.yaml has no version")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(chart, chart.name)
    (target / f"{chart.name}-{version[1]}.tgz").write_bytes(same_always(packed.getvalue(), epoch))


def release(target: Path, *, is_draft: bool) -> None:
    """Build everything of the present commit into an empty folder."""
    if not is_draft and _run("git", "status", "--porcelain").strip():
        raise ReleaseError("there are changes that are not committed: commit them first, or use --draft")
    version = version_of((ROOT / "pyproject.toml").read_text())
    notes = notes_of((ROOT / "CHANGELOG.md").read_text(), version, is_draft=is_draft)
    commit = _run("git", "rev-parse", "HEAD").decode().strip()
    epoch = int(_run("git", "log", "-1", "--format=%ct", commit))
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    shutil.rmtree(target, ignore_errors=True)
    with TemporaryDirectory() as folder:
        first, second = target, Path(folder)
        for place in (first, second):
            build(commit, epoch, place)
        if (was := sums_of(first.iterdir())) != (became := sums_of(second.iterdir())):
            raise ReleaseError(f"two builds differ, so nothing is released:\n{was}\n{became}")
    (target / NOTES).write_text(notes)
    _bill(target)
    (target / SUMS).write_text(sums_of(file for file in target.iterdir() if file.name != SUMS))


def _bill(target: Path) -> None:
    """The bill of materials of an environment that has what Andon needs, pinned by hash, and nothing else.

    The wheel must run in it.
    """
    (wheel,) = target.glob("*.whl")
    with TemporaryDirectory() as folder:
        _run("uv", "venv", "--quiet", "--python", sys.executable, folder)
        install = ["uv", "pip", "install", "--quiet", "--python", folder]
        _run(*install, "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
        described = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--of", "JSON"]
        _run("cyclonedx-py", "environment", folder, *described, "-o", str(target / SBOM))
        _run(*install, "--no-deps", str(wheel))
        _run(str(Path(folder) / "bin" / "andon"), "--help", at=folder)


def _run(*command: str, at: str | Path = ROOT) -> bytes:
    """The output of a command, looked for beside this Python first. Raises ReleaseError with what it wrote."""
    beside = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=at, env=os.environ | beside, capture_output=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:3])} failed: {(done.stderr or done.stdout).decode().strip()}")
    return done.stdout


def main() -> int:
    """Write into the given folder. Exit code 1: nothing is released, and why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what it holds is replaced")
    parser.add_argument("--draft", action="store_true", help="also without a date in the changelog")
    wish = parser.parse_args()
    try:
        release(wish.folder, is_draft=wish.draft)
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    print((wish.folder / SUMS).read_text(), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
