"""Instants in mails."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


def exact(moment: datetime, zone: str) -> str:
    """`Monday 3 November, 09:12`; the mail names the zone once."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B}, {local:%H:%M}"
