"""`andon backup`, `andon restore`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from services.cli.backup.restore import LostHalf
from services.cli.console import counted, fail, message, print_line, warn


def backup(
    target: Annotated[Path, typer.Argument(help="Folder of the backups; each becomes a folder within it.")],
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also secrets of the sources file, and files that it names.")
    ] = False,
    keep: Annotated[int | None, typer.Option(min=1, help="Delete older backups but so many. Default: none.")] = None,
    every: Annotated[
        str | None, typer.Option(help="Go on, and make one whenever the newest is so old, e.g. 1d. Default: one, now.")
    ] = None,
) -> None:
    """Back up Postgres, the topics, the policy and the sources, while services work."""
    if every is None:
        _back_up(target, with_secrets, keep)
        return
    from services.cli.backup import archive, timer
    from shared.policy.durations import parse_duration

    try:
        interval = timedelta(microseconds=parse_duration(every).micros())
    except ValueError as error:
        raise fail(f"--every: {error}") from None
    timer.run(interval, lambda: archive.last_begun(target), lambda: _succeeds(target, with_secrets, keep))


def _succeeds(target: Path, with_secrets: bool, keep: int | None) -> bool:
    """Make one backup. False, with the reason printed, where that is not possible now."""
    from services.cli.errors import explain

    try:
        _back_up(target, with_secrets, keep)
    except typer.Exit:
        return False
    except Exception as error:
        if (reason := explain(error)) is None:
            raise
        warn(reason)
        return False
    return True


def _back_up(target: Path, with_secrets: bool, keep: int | None) -> None:
    """Make one backup, and delete old ones."""
    from services.cli.backup import archive
    from services.cli.backup.save import save
    from services.cli.progress import backup_bars
    from services.cli.servers import check_servers
    from shared.contracts.topics import ALL_TOPICS
    from shared.postgres.migrate import SERVICES
    from shared.runtime.settings import ServiceSettings

    check_servers([topic.name for topic in ALL_TOPICS], SERVICES)
    settings = ServiceSettings.from_environment()
    try:
        with backup_bars() as done:
            made, manifest = asyncio.run(save(settings, target, with_secrets, *done))
        removed = archive.remove_old(target, keep) if keep else []
    except archive.BackupError as error:
        raise fail(error) from None
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        way_out = "no backup was made; free some space, or name another folder"
        raise fail(f"{error.filename or target}: {error.strerror or error}; {way_out}") from None
    for name in removed:
        message(f"deleted: {name}")
    rows, records = sum(t.rows for t in manifest.tables), sum(p.records for p in manifest.partitions)
    message(f"{counted(rows, 'row', 'rows')}, {counted(records, 'record', 'records')}")
    print_line(str(made))


def restore(
    source: Annotated[Path, typer.Argument(help="A backup: a folder that andon backup has printed.")],
    lost: Annotated[
        LostHalf, typer.Option(help="What to restore; the other half must be as it was when this one was lost.")
    ] = LostHalf.BOTH,
    replication: Annotated[int, typer.Option(help="Replicas of each partition; use 3 on a cluster.")] = 1,
) -> None:
    """Restore a backup into empty tables and topics. Stop all services first."""
    from services.cli.backup import archive
    from services.cli.backup.restore import restore as restore_all
    from services.cli.progress import backup_bars, bar
    from services.cli.servers import check_servers
    from shared.runtime.settings import ServiceSettings

    try:
        manifest = archive.read_manifest(source)
        check_servers((), ())
        settings = ServiceSettings.from_environment()
        with bar("files checked") as checked:
            archive.check_files(source, manifest, checked)
        with backup_bars() as done:
            asyncio.run(restore_all(settings, source, manifest, lost, replication, *done))
    except archive.BackupError as error:
        raise fail(error) from None
    message(f"restored as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC; policy and sources are in {source}/settings")
    message("Now run andon migrate, which gives the services their rights, and start them.")
