"""Pipelines, charts with new baselines, the ledger and the meeting, by API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.contracts.relocks import RelockEvent
from shared.flow.statistics.watched import charts_of
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, records
from tests.support.problems import policy
from tests.support.week_messages import NEW_CLOSED, WEEKS, quiet, week_events

CHART = f"/api/v1/charts/{NEW_CLOSED.name}"


def wish(**fields: Any) -> dict[str, Any]:
    return {"from_week": WEEKS.name(30), "points": 12, "reason": "The team has doubled.", "confirmed": True} | fields


@pytest.fixture
async def weeks(web: httpx.AsyncClient, parts: TicketParts) -> str:
    """Forty weeks of a chart; its ETag."""
    await parts.handle(*records(week_events(NEW_CLOSED, quiet(45))))
    etag: str = (await web.get(CHART)).headers["etag"]
    return etag


async def test_a_chart_has_its_points_and_baselines(web: httpx.AsyncClient, weeks: str) -> None:
    shown = (await web.get(CHART)).json()

    assert (shown["name"], shown["pipeline"], shown["stage"]) == ("new/-/throughput", "new", None)
    assert [one["week"] for one in shown["points"]] == [WEEKS.name(week) for week in range(1, 45)]
    assert [one["value"] for one in shown["points"]] == [float(value) for value in quiet(45)[1:]]
    (baseline,) = shown["baselines"]
    assert (baseline["from_week"], baseline["points"], baseline["is_complete"]) == (WEEKS.name(1), 20, True)
    assert baseline["lower"] < baseline["centre"] < baseline["upper"]
    assert weeks == f'"{shown["version"]}"'


async def test_every_chart_of_every_pipeline_can_be_read(web: httpx.AsyncClient) -> None:
    listed = (await web.get("/api/v1/pipelines")).json()["pipelines"]
    names = [name for one in listed for name in one["charts"]]

    assert [one["id"] for one in listed] == list(policy().pipelines)
    assert names == [chart.name for chart in charts_of(policy())]
    for name in names:
        assert (await web.get(f"/api/v1/charts/{name}")).json()["name"] == name
    assert (await web.get("/api/v1/charts/new/nowhere/arrivals")).status_code == 404


async def test_a_new_baseline_is_kept_and_published_once_confirmed(
    web: httpx.AsyncClient, weeks: str, pool: Pool
) -> None:
    asked = await web.post(CHART, json=wish(confirmed=False), headers={"If-Match": weeks})
    assert (asked.status_code, asked.json()["confirm"]) == (409, True)
    assert "become the baseline" in asked.json()["detail"]
    done = await web.post(CHART, json=wish(), headers={"If-Match": weeks})
    assert (done.status_code, done.headers["etag"] == weeks) == (200, False)
    first, second = done.json()["baselines"]
    assert (second["from_week"], second["points"], second["reason"]) == (WEEKS.name(30), 12, "The team has doubled.")
    assert first["reason"] is None
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'flow.relocks'")
    (message,) = [RelockEvent.model_validate_json(row["value"]) for row in rows]
    assert (message.data.from_week, message.data.actor) == (WEEKS.name(30), "person")
    late = await web.post(CHART, json=wish(points=20), headers={"If-Match": weeks})
    assert late.status_code == 412


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"from_week": "2020-W01"}, 422, "from_week"),
        ({"from_week": "x"}, 422, "from_week"),
        ({"from_week": ""}, 422, "from_week"),
        ({"from_week": "first"}, 422, "from_week"),
        ({"points": 11}, 422, "points"),
        ({"points": 21}, 422, "points"),
        ({"reason": " "}, 422, "reason"),
        ({"reason": "x" * 1001}, 422, "reason"),
        ({"week": 1}, 422, "week"),
        ({"version": "0" * 16}, 409, "version"),
        ({"version": None}, 422, "version"),
        ({"from_week": None}, 200, ""),
        ({}, 200, ""),
    ],
)
async def test_a_wish_for_a_baseline_is_checked(
    web: httpx.AsyncClient, weeks: str, pool: Pool, fields: dict[str, Any], status: int, named: str
) -> None:
    answer = await web.post(CHART, json=wish(version=weeks.strip('"')) | fields)

    told = answer.json().get("field") or answer.json().get("detail", "")
    assert (answer.status_code, named in told) == (status, True), answer.text
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'flow.relocks'") == (status == 200)


async def test_a_pipeline_is_shown_at_a_glance(web: httpx.AsyncClient, weeks: str) -> None:
    board = (await web.get("/api/v1/pipelines/new")).json()

    assert [one["id"] for one in board["stages"]] == list(policy().pipelines["new"].open_stages)
    assert next(one for one in board["stages"] if one["id"] == "proposal")["tickets"] == [1]
    assert (board["week"], board["closed"]) == (WEEKS.name(44), quiet(45)[-1])
    assert (await web.get("/api/v1/pipelines/old")).status_code == 404


async def test_the_meeting_has_what_waits(web: httpx.AsyncClient) -> None:
    (section,) = (await web.get("/api/v1/meeting?pipeline=new")).json()["sections"]

    assert (section["asked"], [one["ticket"] for one in section["waiting"]]) == ("unseen", [1])
    assert (await web.get("/api/v1/meeting?pipeline=old")).status_code == 404
