"""The page of a forecast: what a pipeline's own weeks promise, for which deals, until when, and when they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.flow.statistics.forecast import Outlook, forecast
from tests.integration.tickets.records import TicketParts, record
from tests.integration.tickets.test_chart_page import show
from tests.integration.tickets.test_now import now_event, told_at, words
from tests.support.page_charts import drawings
from tests.support.week_messages import quiet

PAGE = "/forecast?pipeline=new"
# Week 0 is no point.
HISTORY = quiet(61)[1:]


@pytest.fixture
async def forecasts(web: httpx.AsyncClient, parts: TicketParts) -> httpx.AsyncClient:
    await show(parts, quiet(61))
    return web


async def test_it_promises_what_the_pure_function_promises(forecasts: httpx.AsyncClient) -> None:
    found = forecast(HISTORY, 300, silent=False)
    assert found.at_least is not None
    assert found.backtest is not None

    page = await forecasts.get(f"{PAGE}&deals=300")

    shown = words(page)
    assert f"300 deals will be closed within {found.done_in_weeks} weeks (85 % sure)" in shown
    assert f"At least {found.at_least[4]} closings in the next 4 weeks (85 % sure)" in shown
    assert f"Back-test: {found.backtest.kept} of {found.backtest.of} such promises were kept." in shown
    assert f"At least {found.at_least[13]} deals are closed in the next 13 weeks" in shown
    assert "From 52 weeks of closings" in shown
    assert len(await drawings(forecasts, page)) == 1


async def test_the_open_deals_of_stages_are_the_question(forecasts: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(now_event(await told_at(forecasts) + timedelta(seconds=1)), 0))

    assert "93 deals will be closed within" in words(await forecasts.get(PAGE))
    assert "93 deals will be closed within" in words(await forecasts.get(f"{PAGE}&stage=proposal&stage=demo"))
    none = await forecasts.get(f"{PAGE}&stage=demo")
    assert "None of these deals is open." in words(none)
    assert 'value="demo" checked' in none.text


async def test_how_many_by_a_day(forecasts: httpx.AsyncClient) -> None:
    day = (datetime.now(UTC) + timedelta(days=59)).date()
    outlook = Outlook(HISTORY[-52:])
    low, high = outlook.between(8)

    page = words(await forecasts.get(f"{PAGE}&by={day}"))

    assert f"in the next 8 weeks, at least {outlook.at_least(8)} deals will be closed (85 % sure)" in page
    assert f"{low} to {high} (90 % sure)" in page


async def test_more_than_a_year_is_no_promise(forecasts: httpx.AsyncClient) -> None:
    assert "It takes more than a year to close 99999 deals" in words(await forecasts.get(f"{PAGE}&deals=99999"))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (quiet(0), "No week has been measured yet"),
        (quiet(20), "Not stable enough to forecast: only 19 weeks."),
        ([week + 10 for week in range(40)], "Not stable enough to forecast: it rises or falls."),
        ([*quiet(33), *[60] * 8], "Not stable enough to forecast:"),
    ],
)
async def test_an_unstable_pipeline_promises_nothing(
    web: httpx.AsyncClient, parts: TicketParts, values: list[int], why: str
) -> None:
    await show(parts, values)

    page = await web.get(f"{PAGE}&deals=10&by={(datetime.now(UTC) + timedelta(days=70)).date()}")

    assert (page.status_code, why in words(page)) == (200, True)
    assert "will be closed" not in words(page)
    assert page.text.count("<figure") == 0


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("deals=0", "'0' is no number of deals"),
        ("deals=%C2%B2", "is no number of deals"),
        ("deals=100001", "is no number of deals from 1 to 100,000"),
        ("by=tomorrow", "'tomorrow' is no day from a week to a year ahead"),
        ("by=1999-01-01", "is no day from a week to a year ahead"),
        ("by=9999-12-31", "is no day from a week to a year ahead"),
        ("stage=won", "'won' is no open stage"),
    ],
)
async def test_what_cannot_be_read_says_what_to_write(forecasts: httpx.AsyncClient, query: str, says: str) -> None:
    page = await forecasts.get(f"{PAGE}&{query}")

    assert (page.status_code, says in words(page).replace("&#39;", "'")) == (422, True)


async def test_there_is_no_forecast_of_an_unknown_pipeline(web: httpx.AsyncClient) -> None:
    assert (await web.get("/forecast?pipeline=x")).status_code == 404
