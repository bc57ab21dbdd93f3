"""Calendars as RFC 5545 writes them, and which days of a ticket are in one."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.tickets.calendar.due_dates import DueDates, PlannedTicket
from services.tickets.calendar.ical import DayEvent, calendar
from services.tickets.domain.plan import Task
from services.tickets.domain.ticket import Ticket
from shared.contracts.tickets import TicketState
from tests.support.plans import sealed
from tests.support.problems import problem

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
EVENT = DayEvent("1@host", date(2026, 12, 7), "Change", "Text", "https://andon.example/tickets/1", AT, 2)


def properties(content: bytes, name: str) -> list[str]:
    """The values of a property, unfolded; what comes before the value is left out."""
    lines = re.sub(rb"\r\n[ \t]", b"", content).decode().split("\r\n")
    return [line.partition(":")[2] for line in lines if re.split("[:;]", line)[0] == name]


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "a, b; c: d \\ e \\n",
        "two\nlines\r\nand three",
        "x" * 200,
        "ä" * 60 + "€" * 60 + "😀" * 60,
        "END:VEVENT\r\nBEGIN:VALARM",
        ":" * 76,
        "",
        "'\"^",
    ],
)
def test_every_text_comes_back_and_no_line_is_too_long(text: str) -> None:
    made = calendar("Andon", [replace(EVENT, summary=text, description=text)])

    assert made.endswith(b"\r\nEND:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    assert b"\n" not in made.replace(b"\r\n", b"")
    assert b"\r" not in made.replace(b"\r\n", b"")
    for line in made.split(b"\r\n"):
        line.decode()
    for name in ("SUMMARY", "DESCRIPTION"):
        assert [unescaped(one) for one in properties(made, name)] == [text.replace("\r\n", "\n")]
    assert properties(made, "BEGIN") == ["VCALENDAR", "VEVENT"]


def test_a_control_character_is_left_out() -> None:
    assert properties(calendar("a", [replace(EVENT, summary="a\x00b\x1b[1mc\x7f\td")]), "SUMMARY") == ["ab[1mcd"]


def test_an_event_is_one_whole_day_with_its_version() -> None:
    made = calendar("Due, dates", [EVENT, replace(EVENT, uid="2@host", day=date.max)])

    assert properties(made, "VERSION") == ["2.0"]
    assert properties(made, "NAME") == properties(made, "X-WR-CALNAME") == ["Due\\, dates"]
    assert properties(made, "UID") == ["1@host", "2@host"]
    assert properties(made, "DTSTAMP") == ["20261128T090000Z"] * 2
    assert properties(made, "SEQUENCE") == ["2", "2"]
    assert b"DTSTART;VALUE=DATE:20261207\r\nDTEND;VALUE=DATE:20261208\r\n" in made
    assert b"DTSTART;VALUE=DATE:99991231\r\nTRANSP" in made


def test_an_empty_calendar_still_has_a_component() -> None:
    assert properties(calendar("a", []), "BEGIN") == ["VCALENDAR", "VTIMEZONE", "STANDARD"]


DATES = DueDates("https://andon.example", "andon.example", "Europe/Berlin")
PLANNED = Ticket(7, "k", TicketState.PLANNED, 4, AT, AT, problem(), cycle=2, plan=1, change_date=date(2026, 12, 7))
CLOSED = replace(PLANNED, state=TicketState.CLOSED, closed_at=datetime(2026, 12, 7, 23, 30, tzinfo=UTC))


def days(ticket: Ticket, **fields: object) -> dict[str, tuple[date, int]]:
    """Day and version of each event, by what its id says after ticket and cycle."""
    seal = sealed(7, cycle=2, **fields)
    found = list(DATES.of(PlannedTicket(ticket, "Deals wait", seal)))
    assert all(one.uid.startswith(f"ticket-7-{ticket.mark}-2-") for one in found)
    assert len({one.uid for one in found}) == len(found)
    return {one.uid.split("-2-")[1].removesuffix("@andon.example"): (one.day, one.sequence) for one in found}


def test_a_plan_has_its_tasks_and_its_change_and_another_version_with_each_seal() -> None:
    tasks = (Task("Ask", "Legal", date(2026, 12, 1)), Task("Tell", "Sales", date(2026, 12, 3)))
    for state in (TicketState.PLANNED, TicketState.DOING):
        assert days(replace(PLANNED, state=state), tasks=tasks, number=3) == {
            "task-1": (date(2026, 12, 1), 2),
            "task-2": (date(2026, 12, 3), 2),
            "change": (date(2026, 12, 7), 2),
        }


def test_a_study_has_its_looks_and_a_verdict_its_day_in_the_policys_zone() -> None:
    looks = days(replace(PLANNED, state=TicketState.VERIFYING))

    assert list(looks) == [f"look-{n}" for n in range(1, len(looks) + 1)]
    assert len(looks) > 1
    assert [day for day, _ in looks.values()] == sorted(day for day, _ in looks.values())
    assert all(day > date(2026, 12, 7) for day, _ in looks.values())
    assert days(CLOSED) == {"verdict": (date(2026, 12, 8), 4)}


def test_an_event_names_no_address_but_its_tickets() -> None:
    found = next(DATES.of(PlannedTicket(PLANNED, "Deals wait", sealed(7, cycle=2))))

    assert found.url == f"https://andon.example/tickets/7?of={PLANNED.mark}"
    assert found.summary == "Task: Make a roster (Deals wait)"
    assert found.description == "Make a roster\nSales lead\n\nTicket 7: Deals wait"
