"""The instant that divides the deals over an age limit from the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.detector.publish.age_limit import latest_start
from shared.flow.calendars import AgeClock, AgeClocks
from shared.policy import parse
from shared.runtime.instants import micros
from tests.support.histories import policy_text

HOUR = 3_600_000_000
OFFICE = {"timezone": "Europe/Berlin", "days": ["mon", "tue", "fri"], "hours": ["09:00-12:30", "13:00-17:00"]}
INSTANTS = st.datetimes(datetime(1975, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

LIMITS = st.integers(0, 400 * HOUR) | st.integers(0, 400).map(HOUR.__mul__)


def clock(name: str) -> AgeClock:
    document = policy_text([]) | {"clocks": {"office": OFFICE}}
    document["pipelines"]["p"]["clock"] = name
    return AgeClocks(parse(json.dumps(document))).of("p", "a")


CLOCKS = {name: clock(name) for name in ("calendar", "office")}


@given(
    st.sampled_from(["calendar", "office"]),
    st.integers(0, 400 * HOUR) | st.integers(0, 400).map(HOUR.__mul__),
    INSTANTS,
)
def test_it_is_the_last_instant_whose_age_is_reached(name: str, limit: int, until: datetime) -> None:
    now = micros(until)

    found = latest_start(CLOCKS[name], limit, now)

    assert found is not None
    assert CLOCKS[name].due(found, limit) <= now < CLOCKS[name].due(found + 1, limit)


def test_before_1970_there_is_none() -> None:
    assert latest_start(CLOCKS["calendar"], HOUR, HOUR) == 0
    assert latest_start(CLOCKS["calendar"], HOUR + 1, HOUR) is None
    assert latest_start(CLOCKS["office"], 4 * HOUR, HOUR) is None
