"""How much space is left on the disks of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look

GIB = 1024**3


async def _run(site: Site) -> list[CheckFinding]:
    return [_finding(folder, site.free_percent) for folder in site.disks]


def _finding(folder: Path, free_percent: float) -> CheckFinding:
    subject = f"disk of {folder}"
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return bad(subject, f"cannot be read: {error.strerror}", "name a folder that exists: --disk FOLDER")
    free = 100 * usage.free / usage.total
    text = f"{free:.0f} % free, {usage.free / GIB:.1f} GiB"
    todo = "see docs/operator/runbooks/DiskFull.md"
    if free < free_percent:
        return bad(subject, text, todo)
    return look(subject, text, todo) if free < 2 * free_percent else good(subject, text)


CHECK = Check("disk", _run)
