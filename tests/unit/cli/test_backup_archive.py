"""Folders of backups: one writer at a time, nothing half, the next one when it is due."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.backup.archive import (
    BackupError,
    FileWriter,
    Manifest,
    StoredFile,
    last_begun,
    new_backup,
    read_manifest,
    whole_backups,
)
from services.cli.backup.timer import seconds_left

WRITES_FOR_EVER = """
import sys, time
from pathlib import Path
from services.cli.backup.archive import FileWriter, new_backup

with new_backup(Path(sys.argv[1])) as (folder, complete):
    FileWriter(folder, "postgres/a.gz").finish()
    print(folder, flush=True)
    time.sleep(600)
"""


def make(target: Path) -> Path:
    """A whole backup of one file."""
    with new_backup(target) as (folder, complete):
        writer = FileWriter(folder, "postgres/a.gz")
        writer.write(b"row\n")
        stored = StoredFile(path=writer.path, sha256=writer.finish())
        manifest = Manifest(
            version="1",
            created_at=datetime.now(UTC),
            topic_prefix="",
            migrations={},
            tables=[],
            sequences={},
            partitions=[],
            settings=[stored],
        )
        return complete(manifest)


def test_a_process_that_was_killed_leaves_nothing_that_a_restore_takes_and_the_next_backup_removes(
    tmp_path: Path,
) -> None:
    before = make(tmp_path)
    with subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        half = Path(os.fsdecode(process.stdout.readline().strip()))
        with pytest.raises(BackupError, match="another backup is being written there"):
            make(tmp_path)
        process.send_signal(signal.SIGKILL)

    assert half.is_dir()
    assert whole_backups(tmp_path) == [before]
    with pytest.raises(BackupError, match="is no whole backup"):
        read_manifest(half)
    after = make(tmp_path)
    assert whole_backups(tmp_path) == [before, after]
    assert sorted(tmp_path.iterdir()) == [before, after]


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"), new_backup(tmp_path):
        raise OSError(28, "No space left on device")

    assert list(tmp_path.iterdir()) == []


def test_the_next_backup_is_due_after_the_last_one_that_is_whole(tmp_path: Path) -> None:
    assert last_begun(tmp_path) is None
    assert seconds_left(None, timedelta(days=1), datetime.now(UTC)) == 0

    earlier = datetime.now(UTC)
    make(tmp_path)
    (tmp_path / "andon-29991231T000000.000000Z.partial").mkdir()

    last = last_begun(tmp_path)
    assert last is not None
    assert earlier <= last <= datetime.now(UTC)
    assert seconds_left(last, timedelta(days=1), last + timedelta(hours=23)) == 3600
    assert seconds_left(last, timedelta(days=1), last + timedelta(days=2)) == 0
