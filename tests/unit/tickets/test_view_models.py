"""Evidence, amounts, outcomes and history, as the pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.tickets.web import view_models
from services.tickets.web.history import history_rows
from shared import wording
from shared.contracts.problems import Evidence
from shared.wording.quantities import deals
from tests.support.problems import day, evidence, problem

DAY = 86_400


def whole(count: int) -> Evidence:
    """As the detector publishes it for that many deals."""
    deals = evidence(count).worst
    if count <= 10:
        return Evidence(at=day(0), total=count, worst=deals)
    return Evidence(at=day(0), total=count, worst=deals[:5], sample=deals[7:12], rest=(*deals[5:7], *deals[12:]))


def captions(shown: Evidence, kind: str = "aging") -> list[str]:
    view = view_models.evidence_view(problem(kind=kind, evidence=shown), DAY)
    assert view is not None
    return [table.caption for table in (view.worst, view.sample) if table]


def test_evidence_is_all_of_up_to_ten_deals_or_the_worst_and_some_of_the_others() -> None:
    assert captions(whole(16)) == [
        "The 5 longest in the stage, of 16",
        "5 of the others at random, to see the ordinary ones too",
    ]
    assert captions(whole(11), "stalled") == [
        "The 5 without progress for longest, of 11",
        "4 of the others at random, to see the ordinary ones too",
    ]
    assert captions(whole(10)) == ["All 10 deals, longest in the stage"]
    assert captions(whole(1)) == ["The only deal"]
    assert view_models.evidence_view(problem(evidence=None), DAY) is None


def test_a_sample_never_repeats_the_worst() -> None:
    old = evidence(5).model_copy(update={"total": 16, "sample": evidence(7).worst})
    view = view_models.evidence_view(problem(evidence=old), DAY)

    assert view is not None
    assert view.sample is not None
    assert [row.name for row in view.sample.rows] == ["Deal 5", "Deal 6"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", "//evil.example", " http://x"]
)
def test_only_addresses_of_the_web_are_links(url: str) -> None:
    deal = evidence(1).worst[0].model_copy(update={"url": url})
    shown = view_models.evidence_view(problem(evidence=evidence(1).model_copy(update={"worst": (deal,)})), DAY)

    assert shown is not None
    assert shown.worst.rows[0].url is None


def change(name: str, actor: str = "system", reason: str | None = None, at: float = 0) -> dict[str, Any]:
    outcome = {"closed": "wont-fix" if actor == "person" else "retracted" if reason else "cleared-without-change"}
    return {
        "seq": 1,
        "at": day(at),
        "recorded_at": day(at),
        "change": name,
        "actor": actor,
        "who": None,
        "reason": reason,
        "outcome": outcome.get(name),
        "snoozed_until": None,
        "was": None,
        "became": None,
    }


def told(history: list[dict[str, Any]], *mails: tuple[str, float]) -> list[str]:
    notices = [
        {"reason": reason, "result": "sent", "at": day(at), "detail": None, "role": None} for reason, at in mails
    ]
    return [row.what for row in history_rows(history, notices, deals)]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("acknowledged", "Ada has seen it"),
        ("planned", "A plan was sealed by Ada"),
        ("adapted", "The change is to be adapted: the ticket is open again (Ada)"),
        ("reopened", "Reopened by Ada"),
        ("closed", "Closed by Ada as “nothing will be changed”"),
    ],
)
def test_the_history_names_who_worked_on_the_ticket_where_people_sign_in(name: str, what: str) -> None:
    assert told([change(name, "person") | {"who": "Ada"}]) == [what]


@pytest.mark.parametrize(
    ("row", "what", "why"),
    [
        (change("opened"), "The problem began", None),
        (change("grew", reason="to 14"), "The problem grew to 14 deals", None),
        (change("planned", "person"), "A plan was sealed by somebody on this page", None),
        (
            change("rescheduled", "person", "No room"),
            "The change date was moved by somebody on this page",
            "No room",
        ),
        (change("verifying"), "The change date has come: the weeks after it are studied", None),
        (change("verifying", reason="Late events"), "The study goes on", "Late events"),
        (change("verdict", reason="In 95 of 100 pairs."), "The study is over", "In 95 of 100 pairs."),
        (change("adapted", "person", "Less"), "The change is to be adapted: the ticket is open again", "Less"),
        (change("decayed", reason="The gain is lost: weeks"), "The gain is lost", None),
        (change("reopened", reason="The gain is lost: weeks"), "Open again for the next attempt", None),
        (change("reopened"), "The problem came back", None),
        (change("pulled"), "The cord was pulled again", None),
        (change("closed"), "Closed: the problem went away by itself", None),
        (
            change("closed", "person", "No time"),
            "Closed by somebody on this page as “nothing will be changed”",
            "No time",
        ),
        (change("acknowledged", "person"), "Somebody has seen it", None),
    ],
)
def test_history_is_told_in_words(row: dict[str, Any], what: str, why: str | None) -> None:
    (told,) = history_rows([row], [], deals)

    assert (told.what, told.why) == (what, why)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("aging", "The problem grew to 14 deals"),
        ("shift", "The problem grew to 14 of 100 pairs of weeks"),
        ("silence", "The problem grew to 14 expected events"),
        ("cord", "The problem grew to 14 pulls"),
    ],
)
def test_what_grew_is_what_the_problem_counts(kind: str, what: str) -> None:
    (told,) = history_rows([change("grew", reason="to 14")], [], wording.of(kind).counted)

    assert told.what == what


def test_the_days_of_a_form_are_those_of_the_policys_zone() -> None:
    late = datetime(2026, 11, 25, 3, 30, tzinfo=UTC)

    assert view_models.date_after(late, 1, "America/Los_Angeles") == "2026-11-25"
    assert view_models.date_after(late, 1, "Europe/Berlin") == "2026-11-26"
    assert view_models.date_after(late + timedelta(hours=20), 1, "Europe/Berlin") == "2026-11-27"


def test_what_happened_at_once_stands_in_its_order_the_newest_first() -> None:
    assert told([change("opened"), change("cleared", at=1), change("closed", at=1)], ("cleared", 1)) == [
        "Mail to the owner: sent (it is over)",
        "Closed: the problem went away by itself",
        "The problem was over",
        "The problem began",
    ]


def test_a_mail_about_what_was_taken_back_does_not_say_that_it_is_over() -> None:
    history = [
        change("opened"),
        change("cleared", at=1),
        change("closed", at=1),
        change("reopened", at=3),
        change("closed", reason="late events show that there was no problem", at=4),
    ]
    mails = [line for line in told(history, ("cleared", 1.5), ("cleared", 5)) if line.startswith("Mail")]

    assert mails == [
        "Mail to the owner: sent (it is withdrawn)",
        "Mail to the owner: sent (it is over)",
    ]
