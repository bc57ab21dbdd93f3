"""After a retranslation only the new events of its requests count, and those of others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from services.intake.retractions import Retractions
from shared.connectors.base.facts import DealFact, Invalid, Parsed
from shared.connectors.base.messages import to_messages
from shared.contracts.events import DealEvent, EventType
from shared.contracts.topics import EVENTS
from shared.flow.events import event_of
from shared.flow.fold import unique
from shared.flow.visits import Event
from shared.kafka.publisher import OutgoingMessage

START = datetime(2026, 3, 10, 9, tzinfo=UTC)
told = st.builds(
    DealFact,
    st.sampled_from([EventType.CREATED, EventType.MOVED, EventType.CHANGED, EventType.DELETED]),
    st.sampled_from(["1", "2", "3", "api/1", "import-1"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([START, START + timedelta(days=1)]),
    st.sampled_from([{}, {"stage": "s"}, {"stage": "t"}]),
)
# The events of each request, of stored requests and of expired ones.
many = st.lists(st.lists(told, max_size=3), max_size=4)


def messages(said: list[list[Any]], first: int, translation: int = 0) -> list[OutgoingMessage]:
    found: list[OutgoingMessage] = []
    for number, some in enumerate(said, first):
        found += to_messages("crm", some, came(number), "", translation).messages
    return [message for message in found if message.topic == EVENTS]


def came(number: int) -> datetime:
    """When a request came."""
    return START + timedelta(days=2, seconds=number)


def back(before: list[OutgoingMessage], now: list[list[Any]], translation: int) -> list[OutgoingMessage]:
    found = Retractions("crm", EVENTS)
    for number, some in enumerate(now):
        found.add_current(came(number), to_messages("crm", some, came(number), "", translation))
    found.add_published([SimpleNamespace(key=m.key, value=m.value) for m in before])  # type: ignore[misc]
    return list(found.messages(translation))


def counting(said: list[OutgoingMessage]) -> dict[str, list[Any]]:
    """The events of each deal that count, without empty ones."""
    deals: dict[str, list[Event]] = {}
    for message in said:
        event = event_of(DealEvent.model_validate_json(message.value))
        deals.setdefault(event.deal, []).append(event)
    plain = {deal: [(e.key, {**e.data, "translation": 0}) for e in unique(some)] for deal, some in deals.items()}
    silent = EventType.CHANGED.rank, {"translation": 0}
    kept = {deal: [one for one in some if (one[0].rank, one[1]) != silent] for deal, some in plain.items()}
    return {deal: some for deal, some in kept.items() if some}


@given(many, many, many)
@example(
    [[DealFact(EventType.CREATED, "1", "a", START, {}), DealFact(EventType.CHANGED, "1", "a", START, {})]], [[]], []
)  # of one request, the second of which says nothing
def test_only_what_is_said_now_counts(
    wrong: list[list[Parsed]], right: list[list[Parsed]], gone: list[list[Parsed]]
) -> None:
    right = (right + [[]] * len(wrong))[: len(wrong)]
    lost = messages(gone, 1000)
    before = messages(wrong, 0) + lost
    again = messages(right, 0, 1)

    after = before + again + back(before + again, right, 1)

    # The event may also come from an API or a file.
    told_elsewhere = [m for m in messages(wrong, 0) if DealEvent.model_validate_json(m.value).id[0] in "ai"]
    # An event that a stored request also has is replaced by its later translation.
    others = lost + [m for m in messages(wrong, 0) if place(m) in set(map(place, lost))]
    assert counting(after) == counting(told_elsewhere + others + again)
    assert back(after, right, 2) == []


def place(message: OutgoingMessage) -> tuple[bytes | None, str]:
    return message.key, DealEvent.model_validate_json(message.value).id


@given(many)
def test_a_request_that_cannot_be_translated_any_more_takes_nothing_back(said: list[list[Parsed]]) -> None:
    assert back(messages(said, 0), [[Invalid("no", b"")] for _ in said], 1) == []


def test_what_was_said_wrongly_twice_is_taken_back_for_good() -> None:
    wrong = DealFact(EventType.MOVED, "1", "a", START, {"stage": "s"})
    before = messages([[wrong]], 0) + messages([[wrong._replace(data={"stage": "t"})]], 0, 1)

    taken = back(before, [[]], 2)

    assert len(taken) == 1
    assert counting(before + taken) == {}
    # Should it be right after all, it counts again.
    assert counting(before + taken + messages([[wrong]], 0, 3)) != {}


def test_records_that_are_no_events_are_passed_over() -> None:
    others = [
        OutgoingMessage(EVENTS, key, value) for key, value in ((b"crm:a", b"{"), (b"crm:a", b'{"id": 5}'), (None, b""))
    ]

    assert back(others, [[]], 1) == []
