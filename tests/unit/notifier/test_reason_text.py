"""What mails of each reason say, in text and in HTML."""

from __future__ import annotations

import email
import re
from datetime import date
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from services.notifier.domain.links import Links
from services.notifier.domain.mail import CoveredChange, Mail, Notice, Thread
from services.notifier.domain.report import (
    CordReport,
    PipelineReport,
    ReportData,
    ReportedLook,
    ReportedTicket,
    ReportedVerdict,
)
from services.notifier.render.compose import Composer
from services.notifier.render.reason_text import MEANINGS_OF_REASONS
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import StudyFacts, TicketChange, TicketState
from shared.flow.statistics.sealing import NotShown
from shared.policy import parse
from shared.wording.studies import RESTORED, TREND, confounded_note
from tests.support.notices import HEAD, LINKS
from tests.support.plan_facts import plan_facts
from tests.support.problems import POLICY, day, ticket_event

OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
MORE = "\n    ack_within: 2d\n    recipients: [{name: Deputy, mail: deputy@sales.example, role: deputy}]"
RULES = parse(POLICY.replace(OWNER, OWNER + MORE))
STUDY = StudyFacts(
    verdict="verified",
    week=8,
    sentence="Of 100 pairs of a week before and a week after, in 89 the later was better.",
    effect_sentence="3.1 days better, probably between 1.8 and 4.2 days (90 %).",
    result="hit",
    result_sentence="The prediction of 3 days held.",
    notes=(TREND, confounded_note([7]) or ""),
    confounded_with=(7,),
)
CORD = {
    "key": "cord/new/proposal",
    "kind": "cord",
    "title": "Somebody pulled the cord in Proposal",
    "sentence": "Seen in Proposal on 3 March: “Approvals take a week”.",
}
OVER = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
PROBLEM = "When it opened or last grew: 12 deals, usually 3, have been in Proposal for more than 21 days."


def mail(
    why: NoticeReason,
    change: TicketChange,
    at: float = 0,
    to: str = HEAD,
    links: Links = LINKS,
    what: TicketChange | NoticeReason | None = None,
    **fields: Any,
) -> EmailMessage:
    """The mail about one change or occasion, as its receiver parses it."""
    facts = ticket_event(change, seq=5, at=day(at), **fields).data
    covered = CoveredChange.model_validate({"change": what or change, "at": day(at), "count": 12})
    notice = Notice(1, 5, why, facts, (covered,), 1, Thread("[Andon] x", "<1@x.example>"))
    written = Mail(1, "<2@x.example>", "Head", to, day(at), 1, day(99), (notice,))
    return read(written, links)


def read(written: Mail, links: Links = LINKS) -> EmailMessage:
    raw = Composer("andon@x.example", "x.example", RULES, links).compose(written).as_bytes()
    return email.message_from_bytes(raw, policy=default)  # type: ignore[return-value, unused-ignore]


def parts(made: EmailMessage) -> list[str]:
    """Both parts, each as one line of words."""
    bodies = [made.get_body((kind,)) for kind in ("plain", "html")]
    return [" ".join(str(body.get_content()).split()) for body in bodies if body is not None]


def says(made: EmailMessage, *sentences: str) -> bool:
    """Whether both parts have all of it, in order."""
    for text in parts(made):
        at = -1
        for sentence in sentences:
            at = text.find(sentence, at + 1)
            if at < 0:
                return False
    return True


def test_a_verdict_comes_with_the_sentences_of_its_message() -> None:
    made = mail(NoticeReason.VERDICT, TicketChange.VERDICT, plan=plan_facts(), study=STUDY, state=TicketState.VERIFYING)

    assert says(
        made,
        "Verdict: verified",
        "The weeks after the change are better than those before it",
        "The change of Monday 9 March: Proposals above 50,000",
        STUDY.sentence or "",
        "Time in stage (median), Proposal: 3.1 days better, probably",
        "The prediction of 3 days held.",
        "The change of ticket 7 falls into the same weeks",
        TREND,
        PROBLEM,
        "adopt the change, adapt it, or drop it",
    )
    assert all("Deal 0" not in text for text in parts(made))


def test_a_verdict_of_an_older_version_says_what_became_of_the_prediction() -> None:
    older = STUDY.model_copy(update={"result_sentence": None, "notes": ()})
    made = mail(NoticeReason.VERDICT, TicketChange.VERDICT, plan=plan_facts(), study=older)

    assert says(made, "The prediction held.", "The change of ticket 7 falls into the same weeks")


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("no-difference", "The weeks after the change do not tell whether it worked."),
        ("too-few-weeks-before", "There were too few weeks before the change to judge it."),
        ("too-few-weeks-after", "There were too few weeks after the change to judge it."),
        ("no-variation", "This number could not have shown whether the change worked."),
        ("cannot-show", "This number could not have shown whether the change worked."),
        ("same-time-last-year", "It got better, as it did at this time last year."),
        ("balancing", "It got better, but something else got worse."),
        ("worse", "The weeks after the change are worse than those before it."),
        ("of-a-newer-version", "The weeks after the change do not tell whether it worked."),
    ],
)
def test_a_change_that_is_not_shown_to_have_worked_says_what_that_means(reason: str, meaning: str) -> None:
    study = StudyFacts(verdict="not-shown", reason=reason, week=13, sentence="In numbers.")
    made = mail(NoticeReason.VERDICT, TicketChange.VERDICT, plan=plan_facts(), study=study)

    assert says(made, "Verdict: not shown that it worked", meaning, "The change of Monday 9 March", "In numbers.")


def test_every_reason_of_a_verdict_has_a_meaning() -> None:
    assert {*MEANINGS_OF_REASONS} == {*NotShown} - {NotShown.NO_DIFFERENCE}


def test_a_restored_problem_says_that_nobody_knows_why() -> None:
    study = StudyFacts(verdict="restored", week=8, sentence=RESTORED)
    made = mail(NoticeReason.VERDICT, TicketChange.VERDICT, plan=plan_facts(), study=study)

    assert says(made, "The problem is gone; whether the change did it, nobody can say.", RESTORED)


def test_a_verdict_about_a_problem_that_is_over_says_what_it_was() -> None:
    made = mail(NoticeReason.VERDICT, TicketChange.VERDICT, plan=plan_facts(), study=STUDY, problem=OVER)

    assert says(made, "The ticket is about: 12 deals")


def test_a_verdict_that_was_taken_back_says_why() -> None:
    made = mail(
        NoticeReason.VERDICT, TicketChange.VERIFYING, study=StudyFacts(), reason="late events changed the weeks"
    )

    assert says(made, "The verdict was taken back", "Late events changed the weeks.", "The study goes on.")


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (1, ("Thursday 5 March: Tell all teams (sales operations)",)),
        (3, ("Thursday 5 March, today: Tell all teams (sales operations)",)),
        (6, ("Thursday 5 March, past: Tell all teams", "Monday 9 March, tomorrow: The change: Proposals above 50,000")),
    ],
)
def test_a_plan_lists_what_is_near_or_past(at: float, due: tuple[str, ...]) -> None:
    made = mail(NoticeReason.PLAN_DUE, TicketChange.PLANNED, at, what=NoticeReason.PLAN_DUE, plan=plan_facts())
    plain = parts(made)[0]

    assert says(made, "The plan is due", PROBLEM)
    assert all(one in plain for one in due)
    assert plain.count("March, ") - plain.count("2 March, 10:00") == sum("," in one.partition(":")[0] for one in due)


def test_a_look_says_what_will_be_asked() -> None:
    made = mail(NoticeReason.LOOK_DUE, TicketChange.VERIFYING, 35, what=NoticeReason.LOOK_DUE, plan=plan_facts())

    assert says(made, "On Monday 6 April the weeks", "did time in stage (median), Proposal get better?", PROBLEM)


@pytest.mark.parametrize(
    ("reason", "change", "headline"),
    [
        (NoticeReason.HELD, TicketChange.HELD, "The gain holds"),
        (NoticeReason.FADING, TicketChange.FADING, "Part of the gain may be lost"),
        (NoticeReason.DECAYED, TicketChange.DECAYED, "The gain is lost"),
    ],
)
def test_a_gain_says_what_became_of_it_once(reason: NoticeReason, change: TicketChange, headline: str) -> None:
    with_own = mail(reason, change, plan=plan_facts(), reason=f"{headline.lower()}")
    other = mail(reason, change, plan=plan_facts(), reason="weeks 9 to 21 say so")

    longer = mail(reason, change, plan=plan_facts(), reason=f"{headline}: weeks 9 to 21 say so.")
    for made in (with_own, other, longer):
        assert says(made, headline, "The change of Monday 9 March")
        assert parts(made)[0].count(headline) == 1
    assert says(other, "Weeks 9 to 21 say so.")
    assert says(longer, "Weeks 9 to 21 say so.")


def test_an_escalation_says_how_long_nobody_took_it_and_shows_the_deals() -> None:
    made = mail(NoticeReason.ESCALATED, TicketChange.OPENED, what=NoticeReason.ESCALATED, to="deputy@sales.example")

    assert says(made, "Nobody has acknowledged this ticket within 2 days.", PROBLEM, "What to do:", "Deal 0")
    assert says(made, "Acknowledge it on the ticket", "find it before you change")
    assert says(made, "the policy lists you as deputy of New business in Andon")


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (NoticeReason.OPENED, TicketChange.OPENED),
        (NoticeReason.REOPENED, TicketChange.REOPENED),
        (NoticeReason.CORD, TicketChange.OPENED),
    ],
)
def test_a_mail_that_asks_anew_says_until_when(reason: NoticeReason, change: TicketChange) -> None:
    by_when = "Acknowledge the ticket within 2 days; after that it is escalated."

    assert says(mail(reason, change), "What to do:", "find it before you change anything.", by_when)
    taken = mail(reason, change, state=TicketState.ACKNOWLEDGED)
    assert all("Acknowledge" not in text for text in parts(taken))
    over = mail(NoticeReason.OPENED_AND_CLEARED, change, problem=OVER)
    assert all("Acknowledge" not in text for text in parts(over))


def test_a_cord_that_is_pulled_again_is_not_a_reopening() -> None:
    assert says(mail(NoticeReason.CORD, TicketChange.PULLED, **CORD), "The cord was pulled again")
    assert "again" not in parts(mail(NoticeReason.CORD, TicketChange.OPENED, **CORD))[0]


@pytest.mark.parametrize("reason", [one for one in NoticeReason if one is not NoticeReason.WEEKLY_REPORT])
def test_no_mail_says_a_thing_twice(reason: NoticeReason) -> None:
    """No sentence comes twice, and of the mail about a cord its title is said once, by the heading."""
    made = mail(reason, TicketChange.OPENED, plan=plan_facts(), study=STUDY, **CORD)
    plain, html = parts(made)
    sentences = [one.strip() for one in re.split(r"[.:?] ", plain.partition("--")[0]) if len(one) > 12]

    assert len(set(sentences)) == len(sentences)
    assert plain.count("pulled the cord") == 0
    assert re.sub("<title>.*?</title>|<img.*?>", "", html).count("pulled the cord") == 1
    assert says(
        made, "Seen in Proposal on 3 March: “Approvals take a week”.", "The cord was first pulled on Monday 2 March"
    )


def test_a_problem_that_clears_while_its_change_is_studied_leaves_the_ticket_open() -> None:
    made = mail(NoticeReason.CLEARED, TicketChange.CLEARED, problem=OVER, state=TicketState.VERIFYING)

    assert says(made, "The problem is over", "The ticket stays open")
    assert all("closed by itself" not in text for text in parts(made))


def report(*pipelines: PipelineReport) -> EmailMessage:
    data = ReportData(begin=day(0), end=day(7), zone="Europe/Berlin", pipelines=pipelines)
    return read(Mail(1, "<2@x.example>", "Head", HEAD, day(7), 1, day(9), (), report=data))


def test_a_report_lists_what_to_chase() -> None:
    named = {"ticket": 1, "title": "Deals wait too long", "url": "https://andon.example/tickets/1"}
    open_since = {"since": day(-5), "opened_at": day(-5)}
    snoozed = {"state": TicketState.SNOOZED, "snoozed_until": day(9)}
    made = report(
        PipelineReport(
            name="New business",
            waiting=(
                ReportedTicket(**named, **open_since, state=TicketState.OPEN),
                ReportedTicket(**named, **open_since, **snoozed),
            ),
            waiting_total=5,
            verdicts=(ReportedVerdict(**named, outcome="not-shown", sentence="The weeks do not show a change."),),
            verdicts_total=1,
            looks=(ReportedLook(**named, measure="Time in stage, Legal", on=date(2026, 3, 12)),),
            looks_total=1,
        ),
        PipelineReport(name="Renewals"),
    )

    assert made["Subject"] == "[Andon] Week to 9 March: 5 open tickets"
    assert says(
        made,
        "The week from 2 March to 9 March",
        "waits for somebody to acknowledge it, for 12 days",
        "snoozed until 11 March",
        "and 3 more",
        "Not shown. The weeks do not show a change.",
        "Thursday 12 March: did time in stage, Legal get better?",
        "Renewals",
        "There is nothing to chase here.",
    )


@pytest.mark.parametrize(
    ("cords", "words"),
    [
        (
            {"answered": 1, "median": 14400, "longest": 14400, "waiting": 0},
            "Pulled cords: 1 was answered in this week, after 4 hours.",
        ),
        (
            {"answered": 3, "median": 7200, "longest": 2 * 86_400, "waiting": 1, "waiting_longest": 60},
            "Pulled cords: 3 were answered in this week: the median wait was 2 hours, the longest 2 days; 1 still waits"
            " for an answer, for less than an hour.",
        ),
        (
            {"answered": 0, "waiting": 2, "waiting_longest": 3 * 86_400},
            "Pulled cords: 2 still wait for an answer, the longest for 3 days.",
        ),
    ],
)
def test_a_report_says_how_long_pulled_cords_waited(cords: dict[str, Any], words: str) -> None:
    assert says(report(PipelineReport(name="New business", cords=CordReport(**cords))), words)
    assert all("cord" not in text for text in parts(report(PipelineReport(name="New business"))))


def test_a_report_says_so_when_there_is_nothing_to_chase() -> None:
    made = report(PipelineReport(name="New business"))

    assert made["Subject"] == "[Andon] Week to 9 March: nothing to chase"
    assert says(made, "There is nothing to chase: no ticket is open, and no change is being judged.")


@pytest.mark.parametrize(
    ("url", "link", "one_click"),
    [
        ("https://andon.example", True, "List-Unsubscribe=One-Click"),
        ("http://127.0.0.1:8084", True, None),
        ("", False, None),
    ],
)
def test_one_click_needs_https(url: str, link: bool, one_click: str | None) -> None:
    """RFC 8058, 3.1."""
    made = mail(NoticeReason.OPENED, TicketChange.OPENED, links=Links(b"key", url))

    assert (made["List-Unsubscribe"] is not None) is link
    assert made["List-Unsubscribe-Post"] == one_click
    assert all(("unsubscribe" in text) is link for text in parts(made))


def test_the_same_mail_has_the_same_bytes() -> None:
    one, again = (mail(NoticeReason.GREW, TicketChange.GREW).as_bytes() for _ in range(2))

    assert one == again
