"""The ledger in words, and as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.tickets import ledger_csv
from services.tickets.query import QueryError
from services.tickets.store.ledger import Attempt, AttemptOutcome, LedgerFilter, Tally
from services.tickets.store.waits import Wait, WaitTimes
from services.tickets.web import ledger_page, ledger_view
from shared.contracts.tickets import CordFacts, StudyFacts, TicketState
from shared.policy import StageTitles
from tests.support.plans import sealed
from tests.support.problems import policy, problem

POLICY = policy()
AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
NONE = Tally(0, 0, 0, 0, 0, 0, 0, 0, 0)


def attempt(found: AttemptOutcome = AttemptOutcome.VERIFIED, study: StudyFacts | None = None, **fields: Any) -> Attempt:
    known = StudyFacts(
        verdict="verified",
        sentence="Of 100 pairs of weeks, in 96 the later was better.",
        effect_sentence="35 % better, probably between 20 % and 50 % (90 %).",
        result="hit",
        hold="held",
    )
    decided = {"decision": "adopted", "because": "The roster stays.", "cord": None} | fields
    return Attempt(sealed(), problem(), TicketState.CLOSED, found, study or known, **decided)


def test_an_attempt_says_change_prediction_and_what_was_found() -> None:
    row = ledger_view.attempt_row(attempt(), POLICY, StageTitles.of(POLICY))

    assert (row.title, row.place) == ("Deals wait too long in Proposal", "New business · Proposal")
    assert (row.measure, row.predicted) == ("Time in stage (median), Proposal", "30 % shorter")
    assert (row.found, row.is_verified) == ("the change worked", True)
    assert row.result == "The prediction held."
    assert list(row.then) == ["The gain holds.", "It was adopted."]


def test_an_attempt_that_goes_on_says_no_more_than_that() -> None:
    row = ledger_view.attempt_row(
        attempt(AttemptOutcome.RUNNING, StudyFacts(), decision=None, because=None), POLICY, StageTitles.of(POLICY)
    )

    assert (row.found, row.effect, row.result, list(row.then)) == ("under way", None, None, [])


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (NONE, "No change has been planned yet. A plan begins on the page of a ticket."),
        (
            replace(NONE, tried=1, running=1),
            "What became of the predictions is not known yet. Of 1 change: 1 under way.",
        ),
        (
            Tally(9, 3, 2, 1, 1, 2, 2, 1, 1),
            "2 of 3 predictions held. Of 9 changes: 3 worked, 2 not shown to have worked, 1 back where it was, 1"
            " stopped before a verdict, 2 under way.",
        ),
        (replace(NONE, tried=1, verified=1, held=1), "1 of 1 predictions held. Of 1 change: 1 worked."),
    ],
)
def test_the_summary_counts_predictions_and_outcomes(tally: Tally, said: str) -> None:
    assert ledger_view.summary(tally) == said


def test_kinds_are_in_the_order_of_how_often_they_were_tried() -> None:
    rows = ledger_view.countermeasure_rows({"tool": replace(NONE, tried=1), "policy": replace(NONE, tried=4, held=1)})

    assert [(row.name, row.held) for row in rows] == [
        ("a rule or policy", "1 of 1"),
        ("a tool or automation", "none known"),
    ]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (None, "not known"),
        (timedelta(days=2, hours=13), "3 days"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(seconds=3), "less than a minute"),
    ],
)
def test_waits_are_in_one_unit(time: timedelta | None, said: str) -> None:
    assert ledger_view.length(time) == said


def test_each_kind_of_wait_has_a_row() -> None:
    found = {Wait.DECIDED: WaitTimes(2, timedelta(days=1), timedelta(days=3), 1, timedelta(days=9))}

    (row,) = ledger_view.wait_rows(found)

    assert (row.median, row.longest, row.answered, row.waiting) == ("1 day", "3 days", 2, "1, the longest for 9 days")


def test_csv_has_one_line_for_each_attempt_and_no_formula() -> None:
    evil = replace(attempt(), sealed=sealed(change='=HYPERLINK("https://evil.example")', aim="a\nb"))

    text = ledger_csv.head() + ledger_csv.lines([attempt(), evil])

    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert text.startswith("\ufeff")
    assert len(lines) == 2
    assert lines[0] | {"ticket": "1", "predicted_size": "0.3", "predicted_in": "share", "found": "verified"} == lines[0]
    assert lines[0]["prediction"] == "hit"
    assert lines[1]["change"].startswith("'=")
    assert lines[1]["aim"] == "a\nb"


def test_filters_are_read_from_the_address() -> None:
    asked = ledger_page.parse({"q": "ro\x00ster", "kind": "aging", "found": "not-shown", "countermeasure": "tool"})

    assert asked.filter == LedgerFilter(None, "aging", "tool", AttemptOutcome.NOT_SHOWN, "ro\ufffdster")
    assert ledger_page.parse({}).page == 1


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"found": "lost"}, "found: 'lost' is not known; use verified"),
        ({"countermeasure": "magic"}, "countermeasure: 'magic'"),
        ({"page": "0"}, "page: '0' is not the number of a page"),
        ({"page": "²"}, "page"),
        ({"page": "9" * 40}, "page"),
        ({"page": "000001" + "9" * 30}, "page"),
        ({"page": "0" * 5000}, "page"),
        ({"owner": "x"}, "owner: no such filter; use q,"),
    ],
)
def test_filters_that_cannot_be_used_are_named(query: dict[str, str], named: str) -> None:
    with pytest.raises(QueryError, match=named.replace("(", r"\(")):
        ledger_page.parse(query)


@pytest.mark.parametrize(
    ("waited", "answered", "seconds", "words"),
    [
        (0, 0, None, "pulled 3 times while somebody was at work on it"),
        (2, 0, None, "pulled 3 times; nobody has answered yet"),
        (2, 1, 7200.0, "pulled 3 times; 1 of 2 that waited were answered, after 2 hours at the longest"),
        (2, 2, 0.0, "pulled 3 times; 2 of 2 that waited were answered, after less than a minute at the longest"),
    ],
)
def test_pulls_of_a_cord_in_words(waited: int, answered: int, seconds: float | None, words: str) -> None:
    cord = CordFacts(pulls=3, first_at=AT, last_at=AT, waited=waited, answered=answered, answer_seconds=seconds)

    assert ledger_view.cord_words(cord) == words
    assert ledger_view.cord_words(cord.model_copy(update={"pulls": 1})).startswith("pulled once")
