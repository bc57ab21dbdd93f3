"""A mail is complete in text and HTML, keeps its thread, and nothing that it quotes can change it."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.mail import CoveredChange, Mail, Notice, Thread, message_id, notice_name
from services.notifier.domain.reasons import OF_PROBLEM
from services.notifier.domain.safe_text import one_line
from services.notifier.render.compose import Composer
from services.notifier.render.headers import MAIL, mailbox, unstructured
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome
from tests.support.notices import HEAD, LINKS
from tests.support.problems import day, evidence, policy, ticket_event

DEAL_OWNER = "61123456"
# The others are about a plan or its study.
ABOUT_DEALS = (*OF_PROBLEM, NoticeReason.CORD, NoticeReason.ESCALATED)


def mail(
    notice: NoticeReason = NoticeReason.OPENED, seq: int = 1, to: str = "Head of sales", **fields: Any
) -> EmailMessage:
    """The mail as its receiver parses it."""
    raw = raw_mail(notice, seq, to, **fields)
    return email.message_from_bytes(raw, policy=default)  # type: ignore[return-value, unused-ignore]


def raw_mail(
    notice: NoticeReason = NoticeReason.OPENED,
    seq: int = 1,
    to: str = "Head of sales",
    domain: str = "x.example",
    thread: Thread | None = None,
    changes: tuple[CoveredChange, ...] = (),
    covered: int = 1,
    **fields: Any,
) -> bytes:
    """The mail as it goes out."""
    facts = ticket_event(seq=seq, **fields).data
    notices = (Notice(facts.ticket, seq, notice, facts, changes, covered, thread),)
    written = Mail(
        1, message_id(notice_name(facts, HEAD), domain), to, "head@sales.example", day(0), 1, day(1), notices
    )
    raw = Composer(f"andon@{domain}", domain, policy(), LINKS).compose(written).as_bytes()
    assert all(len(line) < 998 for line in raw.split(b"\r\n"))
    assert raw.isascii()
    return raw


def headers(raw: bytes) -> dict[str, str]:
    """The header fields as a program sees them that decodes nothing."""
    fields = re.split(r"\r\n(?![ \t])", raw.partition(b"\r\n\r\n")[0].decode("ascii"))
    names = [field.partition(": ")[0] for field in fields]
    assert len(set(names)) == len(names)
    return {name: field.partition(": ")[2] for name, field in zip(names, fields, strict=True)}


def part(message: EmailMessage, kind: str) -> str:
    """The text of a part; no-break spaces are told as others."""
    return written(message, kind).replace("\u00a0", " ")


def written(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("reason", [one for one in NoticeReason if one is not NoticeReason.WEEKLY_REPORT])
def test_both_parts_are_complete(reason: NoticeReason) -> None:
    made = mail(reason)

    for kind in ("plain", "html"):
        text = part(made, kind)
        assert "12 deals, usually 3, have been in Proposal for more than 21 days." in text
        assert "http://andon.example/tickets/1" in text
        assert ("Deal 0" in text) is (reason in ABOUT_DEALS)
        assert "Monday 2 March, 10:00" in text


def test_the_chart_is_inside_and_has_its_finding_as_alternative_text() -> None:
    made = mail()
    pictures = [p for p in made.walk() if p.get_content_type() == "image/png"]

    assert [p["Content-ID"] for p in pictures] == ["<chart>"]
    assert 'src="cid:chart"' in part(made, "html")
    assert 'alt="Proposal holds 12 deals older than 21 days"' in part(made, "html")
    assert "cid:" not in part(mail(chart=False), "html")


def test_mails_of_one_ticket_are_one_thread() -> None:
    first, other = mail(seq=1), mail(ticket=2)
    thread = Thread(str(first["Subject"]), str(first["Message-ID"]))
    second = mail(NoticeReason.GREW, seq=4, thread=thread)

    assert first["Subject"] == second["Subject"]
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert first["References"] is None
    assert len({m["Message-ID"] for m in (first, second, other)}) == 3
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

    for text in ("Without progress for longest", "last movement 10 February", "no movement recorded"):
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


FIELDS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Thread-Index",
    "Thread-Topic",
    "MIME-Version",
    "Content-Type",
}
FORGED = (
    "=?utf-8?q?x=0d=0aReply-To:_evil@x.example=0d=0a?=",
    "=?utf-8?q?x=0d=0a=0d=0a<h1>forged</h1>?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQHguZXhhbXBsZQ0K?=",
    "a =?iso-8859-1?Q?=0D=0A=0D=0Ab?= =?utf-8?q?c?=",
    "==?utf-8?q?x=0aBcc:y?=",
    "=?=?utf-8?q?x=0aBcc:y?=?=",
    "=\u200b?utf-8?q?x=0aBcc:y?=",
    "x\r\nBcc: evil@x.example\r\n\r\n<h1>forged</h1>",
)


@pytest.mark.parametrize("name", FORGED)
def test_an_encoded_word_in_a_name_forges_nothing(name: str) -> None:
    raw = raw_mail(
        to=name,
        seq=2,
        title=f"Deals wait too long in {name}",
        pipeline_name=name,
        stage_name=name,
        sentence=f"12 deals are in {name}.",
        asks_for=name,
        chart_alt=name,
    )
    twice = email.message_from_bytes(email.message_from_bytes(raw, policy=default).as_bytes(), policy=default)

    assert set(headers(raw)) <= FIELDS
    for read in (email.message_from_bytes(raw, policy=default), twice):
        assert set(read.keys()) <= FIELDS
        assert not any("\n" in str(value) or "=?" in str(value) for value in read.values())
        for kind in ("plain", "html"):
            assert "<h1>forged" not in part(read, kind) or kind == "plain"  # type: ignore[arg-type, unused-ignore]
            assert "=?" not in part(read, kind)  # type: ignore[arg-type, unused-ignore]


@pytest.mark.parametrize(
    "name",
    [
        "\ud800",
        "\udc80x",
        "a\x00b",
        "x" * 10_000,
        "ü" * 10_000,
        "\u202e\u2066evil\u2069",
        "\n\r\x0b\x0c\x85\u2028",
        "",
        "😀" * 300,
        "\u0301" * 500,
        "\ufffe\U0010ffff",
        "a, b <c@d>; e",
        '"\\"',
        "(x",
        "Zoë  Ångström",
    ],
)
def test_no_text_makes_a_mail_unsendable(name: str) -> None:
    plain = one_line(name)
    facts = ticket_event().data.model_copy(
        update={"title": name, "pipeline_name": name, "sentence": name, "asks_for": name, "chart_alt": name}
    )
    shown = evidence(1).model_copy(update={"worst": (evidence(1).worst[0].model_copy(update={"name": name}),)})
    facts = facts.model_copy(update={"evidence": shown})
    notice = Notice(1, 1, NoticeReason.OPENED, facts)
    written = Mail(
        1, message_id(notice_name(facts, HEAD), "x.example"), name, "head@sales.example", day(0), 1, day(1), (notice,)
    )

    raw = Composer("andon@x.example", "x.example", policy(), LINKS).compose(written).as_bytes()
    read = email.message_from_bytes(raw, policy=default)

    assert raw.isascii()
    assert len(raw) < 60_000
    assert all(len(line) < 998 for line in raw.split(b"\r\n"))
    assert [a.addr_spec for a in read["To"].addresses] == ["head@sales.example"]
    assert plain[:50] in part(read, "plain")  # type: ignore[arg-type, unused-ignore]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", part(read, "html"))  # type: ignore[arg-type, unused-ignore]


def test_names_arrive_as_they_are() -> None:
    made = mail(
        to="Zoë Ångström, Vertrieb", title="Zu lange in „Angebot“ 😀", pipeline_name="Neugeschäft, " * 8 + "Süd"
    )

    assert made["To"].addresses[0].display_name == "Zoë Ångström, Vertrieb"
    assert made["Subject"] == f"[Andon] Zu lange in „Angebot“ 😀 ({'Neugeschäft, ' * 8}Süd)"


@pytest.mark.parametrize("domain", ["x.example", f"{'mail.' * 40}example", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.example"])
def test_ids_and_addresses_of_a_long_domain_are_never_encoded(domain: str) -> None:
    first = message_id(notice_name(ticket_event().data, HEAD), domain)
    raw = raw_mail(seq=4, domain=domain, thread=Thread("[Andon] Deals wait too long", first))
    fields = headers(raw)

    assert fields["In-Reply-To"] == fields["References"] == first
    assert fields["Message-ID"] == message_id(notice_name(ticket_event(seq=4).data, HEAD), domain)
    assert fields["List-Id"] == f"<tickets.andon.{domain}>"
    assert fields["From"].split() == ["Andon", f"<andon@{domain}>"]
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]


def test_the_thread_keeps_the_subject_and_the_id_of_its_first_mail() -> None:
    thread = Thread("[Andon] Deals wait too long in Proposal (New business)", "<andon.ticket-1-1@old.example>")
    fields = headers(raw_mail(seq=2, title="Deals wait too long in Offer", pipeline_name="Sales", thread=thread))

    assert fields["Subject"].replace("\r\n", "") == thread.subject
    assert fields["In-Reply-To"] == fields["References"] == thread.message_id


def test_a_digest_lists_what_changed_since_the_last_mail() -> None:
    kinds = (TicketChange.CLEARED, TicketChange.REOPENED, TicketChange.GREW)
    changes = tuple(CoveredChange(change=kind, at=day(n), count=40 + n) for n, kind in enumerate(kinds))
    raw = raw_mail(NoticeReason.REOPENED, seq=9, changes=changes, covered=12)
    made = email.message_from_bytes(raw, policy=default)

    for kind in ("plain", "html"):
        text = part(made, kind)  # type: ignore[arg-type, unused-ignore]
        assert "earlier changes, not listed: 9" in text
        for line in ("it was over", "it came back, with 41 deals", "it grew to 42 deals"):
            assert line in text
    assert "- Tuesday 3 March, 10:00: it came back, with 41 deals\r\n" in part(made, "plain")  # type: ignore[arg-type, unused-ignore]
    assert "Since the last mail" not in part(mail(), "plain")


def test_a_problem_that_came_back_and_is_over_is_no_new_one() -> None:
    assert "A problem was found and is over already" in part(mail(NoticeReason.OPENED_AND_CLEARED), "plain")
    assert "The problem came back and is over already" in part(mail(NoticeReason.OPENED_AND_CLEARED, seq=3), "plain")


def test_money_at_stake_is_summed_by_currency_and_never_breaks() -> None:
    shown = evidence(3)
    deals = (shown.worst[0], shown.worst[1].model_copy(update={"currency": "USD"}), shown.worst[2])
    facts = {"evidence": shown.model_copy(update={"worst": deals, "sample": (), "total": 9})}
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)

    for kind in ("plain", "html"):
        text = written(mail(**facts), kind)
        assert "Money at stake in 3 of these 9" in text
        assert "19,000\u00a0EUR and 9,500\u00a0USD" in text
        assert "Money at stake" not in part(mail(NoticeReason.CLEARED, seq=2, problem=over, **facts), kind)
        assert "Money at stake" not in written(mail(kind="wip-low", **facts), kind)


def test_no_line_of_html_ends_between_a_number_and_what_it_counts() -> None:
    html = written(mail(), "html")

    assert "12\u00a0deals, usually\u00a03, have been in Proposal for more than 21\u00a0days." in html
    assert "Monday 2\u00a0March, 10:00" in html
    assert not re.search(r"\d (deals?|days?|March)\b", html)


def test_times_name_their_zone() -> None:
    for kind in ("plain", "html"):
        text = part(mail(), kind)
        assert "Monday 2 March, 10:00" in text
        assert "Dates and times are those of Europe/Berlin." in text
        assert "CET" not in text


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nb", "a\r\n b\r\n\r\nc", "ü", "a\r\n "])
def test_no_header_holds_a_line_break_of_its_own(value: str) -> None:
    message = EmailMessage(policy=MAIL)
    message["X-Test"] = value

    with pytest.raises(ValueError, match="X-Test"):
        message.as_bytes()


@given(HOSTILE | st.sampled_from(FORGED))
def test_any_text_makes_one_header(text: str) -> None:
    message = EmailMessage(policy=MAIL)
    message["Subject"], message["To"] = unstructured(text), mailbox(text, "a@x.example")
    message.set_content("x")

    read = email.message_from_bytes(message.as_bytes(), policy=default)

    assert read["Subject"] == one_line(text)
    assert set(read.keys()) <= FIELDS | {"Content-Transfer-Encoding"}


@pytest.mark.parametrize("change", [TicketChange.UNDONE, TicketChange.REOPENED])
def test_a_first_mail_after_a_person_opened_the_ticket_again_does_not_say_that_the_problem_came_back(
    change: TicketChange,
) -> None:
    changes = (
        CoveredChange(change=change, at=day(0), count=12, actor=Actor.PERSON),
        CoveredChange(change=TicketChange.CLEARED, at=day(1), count=9),
    )
    raw = raw_mail(NoticeReason.OPENED_AND_CLEARED, seq=3, changes=changes, covered=2)
    text = part(email.message_from_bytes(raw, policy=default), "plain")  # type: ignore[arg-type, unused-ignore]

    assert "A problem was found and is over already" in text
    assert "its ticket was opened again, with 12" in text
    assert "came back" not in text


def test_a_mail_about_a_source_names_it_in_place_of_a_pipeline() -> None:
    source = {"kind": "silence", "key": "silence/crm-eu", "pipeline": "", "pipeline_name": "crm-eu", "source": "crm-eu"}
    title = "No event from crm-eu"
    words = "No event from crm-eu since 1 March 16:31; 12 were to be expected by now."
    message = mail(
        NoticeReason.OPENED, **source, stage=None, stage_name=None, title=title, sentence=words, evidence=None
    )

    assert message["Subject"] == "[Andon] No event from crm-eu"
    for kind in ("plain", "html"):
        assert words in part(message, kind)
        assert "You receive this because you are responsible for New business in Andon." in part(message, kind)
