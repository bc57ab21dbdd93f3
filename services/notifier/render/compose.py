"""Mails about one notice: text and HTML, each complete, with the chart inside; one thread per ticket."""

from __future__ import annotations

import base64
import hashlib
from binascii import b2a_qp
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.domain.links import Links
from services.notifier.domain.mail import CoveredChange, Mail, Notice, Thread, subject_of
from services.notifier.domain.readers import MailReaders, role_of
from services.notifier.domain.report import MAX_LISTED, ReportData
from services.notifier.domain.safe_text import one_line
from services.notifier.render.headers import MAIL, mailbox, unstructured
from services.notifier.render.now_text import now_sentences
from services.notifier.render.reason_text import DatedNotice, ReasonText, reason_text
from services.notifier.render.report_text import report_subject, report_values
from services.notifier.render.thread_index import thread_index
from services.notifier.render.times import exact
from shared import wording
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketOutcome
from shared.policy import Policy
from shared.runtime.read_links import PATH, ReadLinks, ticket_mark
from shared.wording.kind import DealOrder
from shared.wording.problem_text import found_text
from shared.wording.quantities import CALENDAR_DAY, age, date, keep_together

_FOLDER = Path(__file__).parent / "templates"


def _plain(value: Any) -> Any:
    """Every text in a template becomes one line of plain text, from any source."""
    return one_line(value) if isinstance(value, str) else value


def _unbroken(value: Any) -> Any:
    """The same, for HTML: lines break where the window ends, but not within a count."""
    return keep_together(one_line(value)) if isinstance(value, str) else value


_LOADER = FileSystemLoader(_FOLDER)
_HTML = Environment(loader=_LOADER, autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_unbroken)
_TEXT = Environment(loader=_LOADER, autoescape=False, undefined=StrictUndefined, trim_blocks=True, finalize=_plain)
# Not "over": the problem never existed, or no rule covers it any more. The reason follows below.
WITHDRAWN = "This ticket was withdrawn"
# What changed since the last mail, one line each.
CHANGES: Mapping[TicketChange | NoticeReason, str] = {
    TicketChange.OPENED: "it was found, with {count}",
    TicketChange.GREW: "it grew to {count}",
    TicketChange.REOPENED: "it came back, with {count}",
    TicketChange.CLEARED: "it was over",
    TicketChange.CLOSED: "its ticket was withdrawn",
    TicketChange.VERIFYING: "the verdict on its change was taken back",
    TicketChange.VERDICT: "its study gave a verdict",
    TicketChange.HELD: "the gain of its change was held",
    TicketChange.FADING: "part of the gain of its change may be lost",
    TicketChange.DECAYED: "the gain of its change was lost",
    TicketChange.PULLED: "somebody pulled the cord again",
    NoticeReason.PLAN_DUE: "part of its plan was near its day, or past it",
    NoticeReason.LOOK_DUE: "its change was to be judged in this week",
    NoticeReason.ESCALATED: "nobody had acknowledged it in time",
}
# Before the problem's sentence, where it is not the news: its numbers are of then.
_ABOUT, _ABOUT_OVER = "When it opened or last grew", "The ticket is about"
OPENED_BY_PERSON = "its ticket was opened again, with {count}"
CHART = "chart"
NO_READ_LINKS = ReadLinks()
MAX_DEALS = 3
# Of a part as it goes out. Gmail cuts off what is above 102 kB.
MAX_PART = 96_000
# How many entries a list of a report shows, where fewer must do.
LISTED = (MAX_LISTED, 6, 3, 1, 0)


class Composer:
    """Writes mails. `sender`: the address in From; `domain`: of Message-IDs. `links`: to the reader's
    preferences. `read_links`: to tickets, for reading without sign-in. Times and ages follow the policy.
    """

    def __init__(
        self, sender: str, domain: str, policy: Policy, links: Links, read_links: ReadLinks = NO_READ_LINKS
    ) -> None:
        self._sender, self._domain, self._policy, self._links = sender, domain, policy, links
        self._read_links = read_links
        self._readers = MailReaders(policy)

    def compose(self, mail: Mail) -> EmailMessage:
        """The whole mail about its one notice, or the weekly report. Any error means that it cannot be written."""
        message = EmailMessage(policy=MAIL)
        if mail.report is not None:
            thread = Thread(report_subject(mail.report), mail.message_id)
            self._add_headers(message, mail, thread, mail.report.end)
            self._add_parts(message, "report", _short_values(mail.report), mail)
            for number, image in enumerate(mail.report.charts):
                _add_chart(message, image.png, f"{CHART}{number}")
            return _with_boundaries(message, mail.message_id)
        (notice,) = mail.notices
        thread = notice.thread or Thread(subject_of(notice.facts), mail.message_id)
        self._add_headers(message, mail, thread, notice.facts.opened_at)
        self._add_parts(message, "notice", self._notice_values(notice, mail), mail)
        if chart := _chart_of(notice.facts):
            _add_chart(message, chart, CHART)
        return _with_boundaries(message, mail.message_id)

    def _add_parts(self, message: EmailMessage, template: str, values: dict[str, Any], mail: Mail) -> None:
        """Text and HTML, each complete."""
        values = values | {"preferences": self._links.page(mail.to_mail)}
        message.set_content(_TEXT.get_template(f"{template}.txt").render(values))
        message.add_alternative(_HTML.get_template(f"{template}.html").render(values), subtype="html")

    def _notice_values(self, notice: Notice, mail: Mail) -> dict[str, Any]:
        text = reason_text(self._asked(notice))
        values = notice_values(notice, text, self._policy.timezone, self._day_seconds(notice))
        owned = self._why(notice.facts, mail.to_mail.lower())
        return values | {"owned": owned, "read_link": self._read_link(notice.facts, mail.wanted_at)}

    def _read_link(self, facts: TicketData, at: datetime) -> str:
        """Where the ticket can be read without sign-in; empty where there are no such links."""
        if not self._read_links.keys:
            return ""
        pages = facts.url.rpartition("/tickets/")[0]
        token = self._read_links.token(facts.ticket, ticket_mark(facts.key, facts.opened_at), at)
        return f"{pages}{PATH}{token}"

    def _asked(self, notice: Notice) -> DatedNotice:
        """The notice as of the latest thing that it reports."""
        at = notice.changes[-1].at if notice.changes else notice.facts.at
        home = self._policy.pipelines.get(self._readers.home(notice.facts) or "")
        within = home.ack_within.words() if home and home.ack_within else None
        return DatedNotice(notice, at.astimezone(ZoneInfo(self._policy.timezone)).date(), within)

    def _add_headers(self, message: EmailMessage, mail: Mail, thread: Thread, began: datetime) -> None:
        """Gmail groups by subject and References, Apple Mail by References, Outlook by Thread-Index."""
        message["From"] = mailbox("Andon", self._sender)
        message["To"] = mailbox(one_line(mail.to_name, 100), mail.to_mail)
        message["Subject"] = unstructured(thread.subject)
        message["Date"] = format_datetime(mail.wanted_at)
        message["Message-ID"] = mail.message_id
        if mail.message_id != thread.message_id:
            message["In-Reply-To"] = thread.message_id
            message["References"] = thread.message_id
        message["Thread-Topic"] = unstructured(thread.subject, "Thread-Topic")
        message["Thread-Index"] = thread_index(thread.message_id, began, mail.message_id, mail.wanted_at)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"<tickets.andon.{self._domain}>"
        page = self._links.page(mail.to_mail)
        if page is not None:
            message["List-Unsubscribe"] = f"<{page}>"
        if page is not None and page.startswith("https:"):
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"

    def _why(self, facts: TicketData, address: str) -> str:
        """Why the recipient gets it: `you are responsible for New business`."""
        home = self._policy.pipelines.get(self._readers.home(facts) or "")
        role = next((role_of(one) for one in home.subscribers if one.address == address), "owner") if home else "owner"
        of = self._owned(facts, address)
        return f"you are responsible for {of}" if role == "owner" else f"the policy lists you as {role} of {of}"

    def _owned(self, facts: TicketData, address: str) -> str:
        """What it is about: the pipeline; of a source, the recipient's pipelines with its deals, else all of them."""
        if facts.source is None:
            return facts.pipeline_name
        owned = {name: one.name for name, one in self._readers.pipelines_of(address).items()}
        fed = [title for name, title in owned.items() if name in facts.pipelines]
        *first, last = fed or list(owned.values()) or [facts.source]
        return f"{', '.join(first)} and {last}" if first else last

    def _day_seconds(self, notice: Notice) -> int:
        """Length of a day on the clock of the ticket's stage."""
        pipeline, stage = notice.facts.pipeline, notice.facts.stage or ""
        return self._policy.day_seconds(pipeline, stage) if self._policy.stage(pipeline, stage) else CALENDAR_DAY


def _chart_of(facts: TicketData) -> str | None:
    """The chart in base64; None without one, and for one that would make the mail too large."""
    chart = facts.chart_png
    return chart if chart and len(chart) <= MAX_PART else None


def _add_chart(message: EmailMessage, chart: str, name: str) -> None:
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(  # type: ignore[union-attr]
        base64.b64decode(chart), "image", "png", cid=f"<{name}>", disposition="inline", filename=f"{name}.png"
    )


def _short_values(report: ReportData) -> dict[str, Any]:
    """What the templates of a report need, with lists as long as its parts stay short."""
    values: dict[str, Any] = {}
    for listed in LISTED:
        values = report_values(report, listed)
        written = _HTML.get_template("report.html").render(values | {"preferences": None})
        if len(b2a_qp(written.encode())) <= MAX_PART:
            break
    return values


def _with_boundaries(message: EmailMessage, identity: str) -> EmailMessage:
    """A mail that is sent again has the same bytes; the library would draw its boundaries anew."""
    digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{digest}-{number}")
    return message


def notice_values(notice: Notice, text: ReasonText, zone: str, day_seconds: int) -> dict[str, Any]:
    """What the templates need."""
    facts = notice.facts
    withdrawn = facts.reason if facts.outcome is TicketOutcome.RETRACTED else None
    over = bool(facts.problem.cleared_at or withdrawn)
    shows_deals = text.shows_deals and not over
    return {
        "facts": facts,
        "headline": WITHDRAWN if withdrawn else text.headline,
        "chart": CHART if _chart_of(facts) else None,
        "withdrawn": withdrawn,
        "text": text,
        "now": now_sentences(notice.now, zone) if notice.now and shows_deals else [],
        "when": _when(facts, zone),
        "about": _ABOUT_OVER if over else _ABOUT,
        "zone": zone,
        # Of many deals, the message does not carry all.
        "stake": wording.of(facts.kind).stake(facts.evidence if shows_deals else None),
        "changes": [] if withdrawn else _changes(notice, zone),
        "earlier_changes": notice.covered - len(notice.changes),
        "todo": _todo(facts, text, over, bool(withdrawn)),
        "worst_first": wording.of(facts.kind).deal_order.capitalize(),
        "worst": _worst(notice, zone, day_seconds) if shows_deals else [],
    }


def _todo(facts: TicketData, text: ReasonText, over: bool, withdrawn: bool) -> str:
    """What to do: what the reason asks for, else what the cause of a problem that goes on does."""
    if withdrawn:
        return ""
    if text.todo is not None:
        return text.todo
    return "" if over else f"{facts.asks_for} {text.by_when}".rstrip()


def _worst(notice: Notice, zone: str, day_seconds: int) -> list[tuple[str, str]]:
    """The deals at the top, each with its age or its last movement."""
    evidence = notice.facts.evidence if notice.now is None else notice.now.rule.evidence
    by_movement = wording.of(notice.facts.kind).deal_order is DealOrder.LONGEST_WITHOUT_PROGRESS
    return [
        (deal_name(deal), last_movement(deal, zone) if by_movement else age(deal.age_seconds, day_seconds))
        for deal in (evidence.worst if evidence else ())[:MAX_DEALS]
    ]


def _when(facts: TicketData, zone: str) -> str:
    """When the problem began or was found, and when it was over, without a full stop."""
    found = found_text(facts.kind, facts.problem, zone)
    if found:
        return found
    ended = f" and ended on {exact(facts.problem.cleared_at, zone)}" if facts.problem.cleared_at else ""
    return f"{wording.of(facts.kind).began} on {exact(facts.problem.opened_at, zone)}{ended}"


def _changes(notice: Notice, zone: str) -> list[tuple[str, str]]:
    """What changed since the last mail: when, and what."""
    if notice.covered == 1:
        return []
    return [(exact(one.at, zone), _change(one, notice.facts.kind)) for one in notice.changes]


def _change(one: CoveredChange, kind: str) -> str:
    is_opened = one.actor is Actor.PERSON and one.change in (TicketChange.REOPENED, TicketChange.UNDONE)
    words = OPENED_BY_PERSON if is_opened else CHANGES[one.change]
    return words.format(count=wording.of(kind).counted(one.count))


def last_movement(deal: EvidenceDeal, zone: str) -> str:
    """`last movement 3 November`"""
    if deal.last_movement_at is None:
        return "no movement recorded"
    return f"last movement {date(deal.last_movement_at, zone)}"


def deal_name(deal: EvidenceDeal) -> str:
    """Its name, else the id that its CRM gave it."""
    return one_line(deal.name or "", 120) or one_line(deal.deal.partition(":")[2] or deal.deal, 120)
