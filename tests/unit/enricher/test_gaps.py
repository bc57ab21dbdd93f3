"""What is known of a deal decides whether it is read from its CRM, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.enricher.gaps import GapState, Knowledge, ReadPolicy, after, parts_of
from shared.connectors.base.api_client import retry_after
from shared.connectors.base.deal_parts import ALL_PARTS, DealPart
from shared.contracts.events import DealEvent

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
POLICY = ReadPolicy(ALL_PARTS, True, timedelta(minutes=1), timedelta(days=1))


def event(kind: str, **data: Any) -> DealEvent:
    return DealEvent.model_validate(
        {"id": "1", "source": "crm", "type": f"andon.deal.{kind}", "subject": "crm:1", "time": NOW, "data": data}
    )


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        ([event("created")], DealPart.CREATED),
        ([event("moved", stage="a"), event("changed", name="x", pipeline="p")], ALL_PARTS & ~DealPart.CREATED),
        ([event("changed", name=None, amount="1")], 0),
        ([event("deleted")], DealPart.GONE),
        ([event("merged", into="crm:2")], DealPart.GONE),
    ],
)
def test_parts_of_events(events: list[DealEvent], parts: int) -> None:
    assert parts_of(events) == parts


def test_a_deal_with_gaps_is_wanted_after_some_patience_and_whole_once_completed() -> None:
    first = after(Knowledge(), DealPart.STAGE, POLICY, NOW)
    assert first == Knowledge(DealPart.STAGE, GapState.WANTED, NOW + timedelta(minutes=1))

    later = after(first, DealPart.NAME, POLICY, NOW + timedelta(seconds=30))
    assert later.due == first.due, "further events do not put it off"

    assert after(later, ALL_PARTS, POLICY, NOW) == Knowledge(ALL_PARTS, GapState.WHOLE)


def test_a_deal_that_is_gone_needs_nothing() -> None:
    assert after(Knowledge(DealPart.STAGE, GapState.WANTED, NOW), DealPart.GONE, POLICY, NOW).state is GapState.WHOLE


def test_without_credentials_the_deal_is_thin() -> None:
    policy = ReadPolicy(ALL_PARTS, False, POLICY.patience, POLICY.read_again)

    assert after(Knowledge(), DealPart.STAGE, policy, NOW) == Knowledge(DealPart.STAGE, GapState.THIN)


@pytest.mark.parametrize("state", [GapState.READ, GapState.REFUSED])
def test_a_deal_that_was_read_is_not_read_again_within_some_time(state: GapState) -> None:
    known = Knowledge(DealPart.STAGE, state, None, NOW)

    assert after(known, DealPart.STAGE, POLICY, NOW + timedelta(hours=23)).state is state
    assert after(known, DealPart.STAGE, POLICY, NOW + timedelta(hours=25)).state is GapState.WANTED


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("99999", 3600.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Tue, 10 Mar 2026 09:00:30 GMT", 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(written: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": written}, NOW) == seconds
