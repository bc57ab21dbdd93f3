"""A mail is complete in text and HTML, keeps its thread, and nothing that it quotes can change it."""

from __future__ import annotations

import email
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.mail import Mail, Notice, message_id
from services.notifier.render.compose import Composer, days
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import TicketOutcome
from tests.support.problems import day, evidence, policy, ticket_event

DEAL_OWNER = "61123456"


def mail(
    notice: NoticeReason = NoticeReason.OPENED, seq: int = 1, to: str = "Head of sales", **fields: Any
) -> EmailMessage:
    """The mail as its receiver parses it."""
    facts = ticket_event(seq=seq, **fields).data
    identity = message_id(facts.ticket, seq, "x.example")
    notices = (Notice(facts.ticket, seq, notice, facts),)
    written = Mail(1, identity, to, "head@sales.example", day(0), 1, day(1), notices)
    made = Composer("andon@x.example", "x.example", policy()).compose(written)
    raw = made.as_bytes()
    assert all(len(line) < 998 for line in raw.split(b"\r\n"))
    return email.message_from_bytes(raw, policy=default)  # type: ignore[return-value, unused-ignore]


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("reason", list(NoticeReason))
def test_both_parts_are_complete(reason: NoticeReason) -> None:
    made = mail(reason)

    for kind in ("plain", "html"):
        text = part(made, kind)
        assert "12 deals have been in Proposal for more than 21 days; usually 3." in text
        assert "http://andon.example/tickets/1" in text
        assert "Deal 0" in text
        assert "Monday 2 March, 10:00" in text


def test_the_chart_is_inside_and_has_its_finding_as_alternative_text() -> None:
    made = mail()
    pictures = [p for p in made.walk() if p.get_content_type() == "image/png"]

    assert [p["Content-ID"] for p in pictures] == ["<chart>"]
    assert 'src="cid:chart"' in part(made, "html")
    assert 'alt="Proposal holds 12 deals older than 21 days"' in part(made, "html")
    assert "cid:" not in part(mail(chart=False), "html")


def test_ages_use_the_stages_clock() -> None:
    assert days(30 * 86_400.0) == "30 days"
    assert days(15 * 8 * 3600.0, 8 * 3600) == "15 working days"
    assert days(8 * 3600.0, 8 * 3600) == "1 working day"
    assert days(3700.0, 8 * 3600) == "1 hour"


def test_mails_of_one_ticket_are_one_thread() -> None:
    first, second, other = mail(seq=1), mail(NoticeReason.GREW, seq=4), mail(ticket=2)

    assert first["Subject"] == second["Subject"]
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert first["References"] is None
    assert len({m["Message-ID"] for m in (first, second, other)}) == 3
    assert first["Message-ID"] == message_id(1, 1, "x.example")
    assert first["Auto-Submitted"] == "auto-generated"


def test_a_cleared_problem_asks_for_nothing() -> None:
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
    made = mail(NoticeReason.CLEARED, seq=2, problem=over)

    assert "and ended on Tuesday 3 March, 10:00" in part(made, "plain")
    assert "What to do" not in part(made, "plain") + part(made, "html")
    assert all("not counted as a success" in part(made, kind).replace("\n", " ") for kind in ("plain", "html"))


@pytest.mark.parametrize("why", ["late events show that it never was", "the policy judges this no more"])
def test_a_withdrawn_ticket_is_not_called_over(why: str) -> None:
    made = mail(NoticeReason.CLEARED, seq=2, outcome=TicketOutcome.RETRACTED, reason=why)

    for text in (part(made, "plain"), part(made, "html")):
        assert "This ticket was withdrawn" in text
        assert f"There is nothing left to do: {why}." in text
        assert "The problem is over" not in text


def test_stalled_deals_show_their_last_movement() -> None:
    shown = evidence(2)
    moved = shown.worst[0].model_copy(update={"last_movement_at": day(-20)})
    made = mail(kind="stalled", evidence=shown.model_copy(update={"worst": (moved, shown.worst[1])}))

    for text in ("Without progress for longest", "last movement 10 February", "last movement unknown"):
        assert text in part(made, "plain")
        assert text in part(made, "html")


HOSTILE = st.text(max_size=300) | st.sampled_from(
    [
        "a\r\nBcc: x@y.example",
        "\u202eevil",
        "<script>alert(1)</script>",
        "😀" * 50,
        "a" * 10_000,
        "=?utf-8?q?x?=",
        '"; x',
        "é\x00",
    ]
)


@settings(deadline=None)
# The contract lets no NUL into a title.
@given(HOSTILE.map(lambda text: text.replace("\0", "")), HOSTILE, HOSTILE)
def test_hostile_names_change_neither_headers_nor_pages(title: str, to: str, deal: str) -> None:
    shown = evidence(1)
    worst = shown.worst[0].model_copy(update={"name": deal})
    made = mail(title=title, to=to, evidence=shown.model_copy(update={"worst": (worst,)}))

    assert made.get_all("Bcc") is None
    assert [a.addr_spec for a in made["To"].addresses] == ["head@sales.example"]
    assert "\n" not in made["Subject"]
    assert "<script>" not in part(made, "html")
    assert part(made, "plain")
