"""When the last backup was finished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, good, look

OLD = timedelta(days=2)
_LAST = "SELECT max(finished_at) FROM notices.backup"
_WAY_OUT = "run: andon backup FOLDER, each day by a timer"


async def _run(site: Site) -> list[CheckFinding]:
    connection = await asyncpg.connect(site.settings.dsn)
    try:
        return [finding_of(await connection.fetchval(_LAST), datetime.now(UTC))]
    except asyncpg.UndefinedTableError:
        return [finding_of(None, datetime.now(UTC))]
    except asyncpg.InsufficientPrivilegeError:
        return [look("backup", "the last one may not be seen", "run this as the owner of the database")]
    finally:
        connection.terminate()


def finding_of(finished: datetime | None, now: datetime) -> CheckFinding:
    """How long ago the last backup was finished; None: never."""
    if finished is None:
        return look("backup", "there never was one", _WAY_OUT)
    text = f"the last one was finished at {finished:%Y-%m-%d %H:%M} UTC"
    return good("backup", text) if now - finished <= OLD else look("backup", text, _WAY_OUT)


CHECK = Check("backup", _run, needs=("postgres",))
