"""The files of a backup: compressed, each with its checksum in a manifest that is written last.

A backup is a folder. It has another name until it is whole, so one that was cut off is never taken for a backup.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from shared.runtime.version import product_version

FORMAT = 1
MANIFEST = "manifest.json"
PARTIAL = ".partial"
_PREFIX = "andon-"
_TIME = "%Y%m%dT%H%M%S.%fZ"
_CHUNK = 1 << 20


class BackupError(Exception):
    """A backup that cannot be made or used, and the way out."""


class StoredFile(BaseModel):
    """A file of the backup: its path within it, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class StoredTable(StoredFile):
    """A table as Postgres' text COPY, gzip."""

    schema_name: str
    table: str
    columns: list[str]
    rows: int


class StoredPartition(StoredFile):
    """A partition as JSON Lines, gzip. `end`: the end offset of its log then."""

    topic: str
    partition: int
    end: int
    records: int


class Manifest(BaseModel):
    """What a backup holds. `migrations`: digest by name of each schema. `sequences`: last value, and whether used."""

    format: int = FORMAT
    version: str
    created_at: datetime
    topic_prefix: str
    migrations: dict[str, dict[str, str]]
    tables: list[StoredTable]
    sequences: dict[str, tuple[int, bool]]
    partitions: list[StoredPartition]
    settings: list[StoredFile]

    @property
    def files(self) -> list[StoredFile]:
        return [*self.tables, *self.partitions, *self.settings]


class FileWriter:
    """Writes one compressed file, and knows the checksum of what is on disk."""

    def __init__(self, folder: Path, path: str) -> None:
        self.path = path
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._raw: IO[bytes] = target.open("wb")
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=self._raw, mtime=0)
        self._target = target

    def write(self, data: bytes) -> None:
        self._zip.write(data)

    async def take(self, data: bytes) -> None:
        """`write`, as asyncpg calls it."""
        self.write(data)

    def finish(self) -> str:
        """Close the file, put it on disk for good, and return its SHA-256."""
        self._zip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        return digest_of(self._target)


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


@contextmanager
def new_backup(target: Path) -> Iterator[tuple[Path, Callable[[Manifest], Path]]]:
    """A folder to write into, and what makes a backup of it. Removed if that was not called.

    Raises BackupError where another process writes into `target`. Removes what one that was killed has left.
    """
    # Holds password hashes and mail addresses.
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _only_writer(target):
        for left in target.glob(f"{_PREFIX}*{PARTIAL}"):
            shutil.rmtree(left)
        with _new_folder(target) as made:
            yield made


@contextmanager
def _only_writer(target: Path) -> Iterator[None]:
    handle = os.open(target, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(
            f"{target}: another backup is being written there; wait for it, or use another folder"
        ) from None
    finally:
        # The lock ends with it.
        os.close(handle)


@contextmanager
def _new_folder(target: Path) -> Iterator[tuple[Path, Callable[[Manifest], Path]]]:
    final = target / f"{_PREFIX}{datetime.now(UTC):{_TIME}}"
    partial = final.with_name(final.name + PARTIAL)
    partial.mkdir(mode=0o700)

    def complete(manifest: Manifest) -> Path:
        _write_manifest(partial, manifest)
        partial.rename(final)
        _sync(target)
        return final

    try:
        yield partial, complete
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    body = manifest.model_dump_json(indent=1).encode()
    for inner in sorted({(folder / file.path).parent for file in manifest.files}):
        _sync(inner)
    with (folder / MANIFEST).open("wb") as file:
        # The first line is the checksum of the rest.
        file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _sync(folder: Path) -> None:
    """Names of files are on disk only once their folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def whole_backups(target: Path) -> list[Path]:
    """The backups of a folder, oldest first."""
    return sorted(path for path in target.glob(f"{_PREFIX}*") if (path / MANIFEST).exists() and path.suffix != PARTIAL)


def last_begun(target: Path) -> datetime | None:
    """When the newest backup of a folder was begun, by its name; None: there is none."""
    found = whole_backups(target)
    return datetime.strptime(found[-1].name, _PREFIX + _TIME).replace(tzinfo=UTC) if found else None


def remove_old(target: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep` backups of a folder; the names of the deleted ones."""
    old = whole_backups(target)[:-keep]
    for path in old:
        shutil.rmtree(path)
    return [path.name for path in old]


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError where this is no whole backup of a format that this version reads."""
    path = folder / MANIFEST
    if folder.name.endswith(PARTIAL) or not path.exists():
        raise BackupError(f"{folder} is no whole backup: it has no {MANIFEST}, or was cut off; use another one")
    checksum, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise BackupError(f"{path} is damaged: its checksum differs; use another backup")
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError as error:
        raise BackupError(f"{path} cannot be read by Andon {product_version()}: {error}") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"{folder} has format {manifest.format}, and Andon {product_version()} reads {FORMAT}; use the Andon that"
            f" made it, {manifest.version}"
        )
    return manifest


def check_files(folder: Path, manifest: Manifest, done: Callable[[int, int | None], None]) -> None:
    """Raises BackupError that names each file that is missing or damaged."""
    faults = []
    for number, file in enumerate(manifest.files, 1):
        path = folder / file.path
        if not path.is_file():
            faults.append(f"{path} is missing")
        elif digest_of(path) != file.sha256:
            faults.append(f"{path} is damaged: its checksum differs")
        done(number, len(manifest.files))
    if faults:
        raise BackupError("\n".join([*faults, "Nothing was restored; use another backup."]))
