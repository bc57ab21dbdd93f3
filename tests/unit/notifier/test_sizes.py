"""Each part of a mail is complete and below 100 kB, whatever names, plans and sentences are in it."""

from __future__ import annotations

import base64
import email
from datetime import date
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.mail import CoveredChange, Mail, Notice, Thread
from services.notifier.domain.report import (
    MAX_CHARTS,
    MAX_LISTED,
    AlarmBudget,
    ChartImage,
    PipelineReport,
    ReportData,
    ReportedLook,
    ReportedTicket,
    ReportedVerdict,
)
from services.notifier.render.compose import Composer
from services.notifier.reports import MAX_CHART, MAX_SENTENCE, MAX_TITLE
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import PlanFacts, StudyFacts, TicketChange, TicketState
from tests.support.notices import HEAD, LINKS
from tests.support.plan_facts import plan_facts
from tests.support.problems import PIXEL, day, policy, ticket_event

LIMIT = 100_000
LONG = ["x" * 3000, "<&\"'>" * 600, "ü€😀" * 800, "a " * 1500]
URL = "https://andon.example/tickets/1"


def parts(mail: Mail) -> dict[str, int]:
    """The length of the text and of the HTML, as they go out."""
    raw = Composer("andon@x.example", "x.example", policy(), LINKS).compose(mail).as_bytes()
    read = email.message_from_bytes(raw, policy=default)
    found = {kind: read.get_body((kind,)) for kind in ("plain", "html")}  # type: ignore[attr-defined]
    return {kind: len(part.as_bytes()) for kind, part in found.items() if part is not None}


def plan(text: str) -> PlanFacts:
    tasks = [{"what": text, "who": text, "by": date(2026, 3, 1)} for _ in range(60)]
    return plan_facts(measure_words=text, change=text, tasks=tasks)


@given(
    reason=st.sampled_from([one for one in NoticeReason if one is not NoticeReason.WEEKLY_REPORT]),
    text=st.text(min_size=1, max_size=500) | st.sampled_from(LONG),
)
def test_a_mail_of_any_reason_is_small(reason: NoticeReason, text: str) -> None:
    text = text.replace("\x00", "")
    study = StudyFacts(verdict="not-shown", week=13, sentence=text, effect_sentence=text, confounded_with=(1, 2, 3))
    names = dict.fromkeys(("title", "sentence", "asks_for", "pipeline_name", "chart_alt", "reason"), text or "x")
    facts = ticket_event(state=TicketState.VERIFYING, plan=plan(text or "x"), study=study, **names).data
    changes = tuple(CoveredChange(change=TicketChange.GREW, at=day(n), count=10**6) for n in range(8))
    notice = Notice(1, 9, reason, facts, changes, 1000, Thread("[Andon] x", "<1@x.example>"))
    sizes = parts(Mail(1, "<2@x.example>", text, HEAD, day(0), 1, day(1), (notice,)))

    assert all(size < LIMIT for size in sizes.values())


def test_a_chart_that_is_too_large_is_left_out() -> None:
    large = base64.b64encode(base64.b64decode(PIXEL) + b"\x00" * 200_000).decode()
    facts = ticket_event(chart_png=large).data
    notice = Notice(1, 1, NoticeReason.OPENED, facts)
    raw = Composer("andon@x.example", "x.example", policy(), LINKS).compose(
        Mail(1, "<2@x.example>", "Head", HEAD, day(0), 1, day(1), (notice,))
    )

    assert len(raw.as_bytes()) < LIMIT
    assert "cid:" not in raw.as_string()


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("pipelines", [1, 3, 20])
def test_a_report_of_any_number_of_full_pipelines_is_small(text: str, pipelines: int) -> None:
    named = {"ticket": 1, "title": text[:MAX_TITLE], "url": URL}
    waiting = ReportedTicket(**named, state=TicketState.OPEN, since=day(0), opened_at=day(0))
    full = PipelineReport(
        name=text[:100],
        waiting=(waiting,) * MAX_LISTED,
        waiting_total=10_000,
        verdicts=(ReportedVerdict(**named, outcome="not-shown", sentence=text[:MAX_SENTENCE]),) * MAX_LISTED,
        verdicts_total=99,
        looks=(ReportedLook(**named, measure=text[:MAX_TITLE], on=date(2026, 3, 10)),) * MAX_LISTED,
        looks_total=99,
        budget=AlarmBudget(opened=3, allowed="1"),
    )
    png = base64.b64encode(base64.b64decode(PIXEL) + b"\x00" * (MAX_CHART * 3 // 4 - 200)).decode()
    assert len(png) <= MAX_CHART
    charts = (ChartImage(**named, png=png, alt=text[:200]),) * MAX_CHARTS
    report = ReportData(begin=day(0), end=day(7), zone="UTC", pipelines=(full,) * pipelines, charts=charts)
    sizes = parts(Mail(1, "<2@x.example>", "Head", HEAD, day(0), 1, day(1), (), report=report))

    assert sizes["plain"] < LIMIT
    assert sizes["html"] < LIMIT
