"""`andon relock`: publishes that a chart's baseline begins anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from services.analyst import control
from services.cli.policy_source import policy_to_use
from services.cli.servers import check_servers
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.topics import RELOCKS
from shared.flow.statistics.relocks import chart_names, relock_faults
from shared.flow.statistics.weeks import Weeks
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.instants import micros
from shared.runtime.settings import ServiceSettings

# In place of a week: the first baseline of the chart, locked with fewer points.
FIRST = "first"
_NAMES = {".chart": "CHART", ".from": "--from", ".points": "--points", ".reason": "--reason"}
_LONGEST_REASON = 1000


class RelockRefused(ValueError):
    """What was asked cannot be done: one line for each argument, with its value and the way out."""


def relock(chart: str, from_week: str, points: int, reason: str) -> RelockData:
    """Publish. Raises RelockRefused, PolicyError, ServersUnusable, TimeoutError before anything is published."""
    settings, now = ServiceSettings.from_environment(), datetime.now(UTC)
    policy = policy_to_use(settings, "analysis")
    entry = {"chart": chart, "from": None if from_week == FIRST else from_week, "points": points, "reason": reason}
    charts = chart_names(policy)
    _refuse(entry, charts, None, now)
    check_servers(topics=(RELOCKS,), schemas=("analysis",))
    weeks = asyncio.run(control.known_weeks(settings, policy.timezone))
    if weeks is None:
        raise RelockRefused("there are no weekly measures yet; start andon detector and andon analyst, and wait a week")
    _refuse(entry, charts, weeks, now)
    data = RelockData(chart=chart, from_week=entry["from"], points=points, reason=reason, actor="person", at=now)
    asyncio.run(_publish(settings, data))
    return data


def _refuse(entry: dict[str, Any], charts: set[str], weeks: Weeks | None, now: datetime) -> None:
    last = 0 if weeks is None else weeks.of(micros(now))
    faults = [f"{_NAMES[path]}: {text}" for path, text in relock_faults(entry, charts, weeks, last)]
    reason = entry["reason"]
    if len(reason) > _LONGEST_REASON or "\x00" in reason:
        faults.append(f"--reason: {reason[:40]!r}... cannot be stored; write at most {_LONGEST_REASON} characters")
    if faults:
        raise RelockRefused("\n".join(faults))


async def _publish(settings: ServiceSettings, data: RelockData) -> None:
    event = RelockEvent.new(source="andon/cli", subject=data.chart, time=data.at, data=data)
    publisher = Publisher(KafkaAccess.of(settings))
    try:
        await publisher.publish_all([OutgoingMessage(settings.topic(RELOCKS), data.key.encode(), event.to_json())])
    finally:
        await publisher.stop()
