"""The form of a plan, filled as people fill it, over weeks of its measure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, ProblemData, ProblemReason
from shared.flow.statistics.columns import Chart
from tests.integration.tickets.records import TicketParts, records
from tests.support.problems import problem
from tests.support.week_messages import WEEKS, quiet, week_events

WAITING = Chart("new", "proposal", Column.TIME_IN_STAGE_MEDIAN)
WON = Chart("new", "", Column.WIN_RATE)
DAY = 86_400


def change_date(days: int = 9) -> str:
    """A day that lies ahead."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def whole_plan(**fields: str) -> dict[str, str]:
    """Every answer of the form."""
    return {
        "aim": "Proposals wait <less>.",
        "measure": WAITING.name,
        "change": "Two people answer each morning.",
        "countermeasure": "capacity",
        "task_1_what": "Make a roster",
        "task_1_who": "Sales lead",
        "task_1_by": change_date(3),
        "change_date": change_date(),
        "predicted_size": "30",
        "predicted_unit": "share",
        "predicted_why": "Half of the waiting is for an answer.",
        "balancing": "",
    } | fields


def common_problem(reason: ProblemReason = ProblemReason.OPENED, **fields: Any) -> ProblemData:
    """A problem of a stable stage, of which many weeks may be compared with."""
    begun = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    known = {"key": "wip-high/new/proposal", "kind": "wip-high", "cause_class": CauseClass.COMMON}
    return problem(reason, opened_at=begun, detected_at=begun, **(known | fields))


async def weeks_of_waiting(parts: TicketParts) -> None:
    """The weeks of the measure up to now, without a trend."""
    over = WEEKS.over(int(datetime.now(UTC).timestamp() * 1e6))
    await parts.handle(*records(week_events(WAITING, [value * DAY // 2 for value in quiet(over)])))


async def hidden(web: httpx.AsyncClient, number: int = 2) -> dict[str, str]:
    """The versions that the form of the page carries."""
    page = (await web.get(f"/tickets/{number}/plan")).text
    return dict(re.findall(r'type="hidden" name="(version|draft_version)" value="(\d+)"', page))


async def draft(web: httpx.AsyncClient, fields: Mapping[str, str], go: str = "seal", number: int = 2) -> httpx.Response:
    return await web.post(f"/tickets/{number}/draft", data=await hidden(web, number) | {"go": go} | dict(fields))


async def seal(web: httpx.AsyncClient, fields: Mapping[str, str], number: int = 2) -> httpx.Response:
    """Save the draft, and seal it."""
    await draft(web, fields, number=number)
    return await web.post(f"/tickets/{number}/seal", data=await hidden(web, number) | dict(fields))


def faults(page: str) -> dict[str, str]:
    """The faults at their fields."""
    found = re.findall(r'id="(\w+)-fault"><span class="hidden">Error: </span>([^<]*)<', page)
    return {name: html.unescape(text) for name, text in found}


def opened(page: str) -> list[str]:
    """The questions that are unfolded."""
    return re.findall(r'<details class="step" id="step-(\w+)" open', page)


async def state(web: httpx.AsyncClient, number: int = 2) -> str:
    found: str = (await web.get(f"/api/v1/tickets/{number}")).json()["state"]
    return found
