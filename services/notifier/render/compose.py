"""Mails about one notice: text and HTML, each complete, with the chart inside; one thread per ticket."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.domain.mail import Mail, Notice, message_id
from shared import wording
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import TicketOutcome
from shared.policy import Policy
from shared.wording.kind import DealOrder

_FOLDER = Path(__file__).parent / "templates"
_HTML = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_TEXT = Environment(loader=FileSystemLoader(_FOLDER), autoescape=False, undefined=StrictUndefined, trim_blocks=True)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
DAY_SECONDS = 86_400
HEADLINES = {
    NoticeReason.OPENED: "A problem was found",
    NoticeReason.GREW: "The problem has grown",
    NoticeReason.REOPENED: "The problem has come back",
    NoticeReason.CLEARED: "The problem is over",
    NoticeReason.OPENED_AND_CLEARED: "A problem was found and is over already",
}
# Not "over": the problem never existed, or no rule covers it any more. The reason follows below.
WITHDRAWN = "This ticket was withdrawn"
_CLOSED_BY_ITSELF = (
    "You do not have to do anything now. The ticket closed by itself. Because nothing was changed, this is not counted"
    " as a success, and the problem may come back."
)
# Follows the sentence, where there is more to say than what the cause asks for.
MORE = {
    NoticeReason.REOPENED: "Its ticket closed a short while ago. It is open again, with its history.",
    NoticeReason.CLEARED: _CLOSED_BY_ITSELF,
    NoticeReason.OPENED_AND_CLEARED: _CLOSED_BY_ITSELF,
}
CHART = "chart"
MAX_DEALS = 3


class Composer:
    """Writes mails. `sender`: the address in From; `domain`: of Message-IDs. Times and ages follow the policy."""

    def __init__(self, sender: str, domain: str, policy: Policy) -> None:
        self._sender, self._domain, self._policy = sender, domain, policy

    def compose(self, mail: Mail) -> EmailMessage:
        """The whole mail about its one notice. Raises ValueError or MessageError for what cannot be written."""
        (notice,) = mail.notices
        message = EmailMessage(policy=SMTP)
        self._add_headers(message, mail, notice)
        values = _values(notice, self._policy.timezone, self._day_seconds(notice))
        message.set_content(_TEXT.get_template("notice.txt").render(values))
        message.add_alternative(_HTML.get_template("notice.html").render(values), subtype="html")
        if notice.facts.chart_png:
            _add_chart(message, notice.facts.chart_png)
        return message

    def _add_headers(self, message: EmailMessage, mail: Mail, notice: Notice) -> None:
        """Header values lose every control character, so that none can add a header."""
        facts = notice.facts
        message["From"] = Address(display_name="Andon", addr_spec=self._sender)
        message["To"] = Address(display_name=one_line(mail.to_name)[:100], addr_spec=mail.to_mail)
        message["Subject"] = one_line(f"[Andon] {facts.title} ({facts.pipeline_name})")[:180]
        message["Date"] = format_datetime(mail.created_at)
        message["Message-ID"] = mail.message_id
        first = message_id(notice.ticket, 1, self._domain)
        if notice.seq > 1:
            message["In-Reply-To"] = first
            message["References"] = first
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"<tickets.andon.{self._domain}>"

    def _day_seconds(self, notice: Notice) -> int:
        """Length of a day on the clock of the ticket's stage."""
        pipeline, stage = notice.facts.pipeline, notice.facts.stage or ""
        return self._policy.day_seconds(pipeline, stage) if self._policy.stage(pipeline, stage) else DAY_SECONDS


def _add_chart(message: EmailMessage, chart: str) -> None:
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(  # type: ignore[union-attr]
        base64.b64decode(chart), "image", "png", cid=f"<{CHART}>", disposition="inline", filename="chart.png"
    )


def one_line(text: str) -> str:
    """Without line breaks and other control characters."""
    return _CONTROL.sub(" ", text).strip()


def _values(notice: Notice, zone: str, day_seconds: int) -> dict[str, Any]:
    """What the templates need."""
    facts = notice.facts
    worst = facts.evidence.worst if facts.evidence else ()
    ended, order = facts.problem.cleared_at, wording.of(facts.kind).deal_order
    by_movement = order is DealOrder.LONGEST_WITHOUT_PROGRESS
    withdrawn = facts.reason if facts.outcome is TicketOutcome.RETRACTED else None
    return {
        "facts": facts,
        "headline": WITHDRAWN if withdrawn else HEADLINES[notice.reason],
        "chart": CHART if facts.chart_png else None,
        "withdrawn": withdrawn,
        "over": ended or withdrawn,
        "began": exact(facts.problem.opened_at, zone),
        "ended": exact(ended, zone) if ended else "",
        "more": MORE.get(notice.reason, ""),
        "worst_first": order.capitalize(),
        "worst": [
            (deal_name(deal), last_movement(deal, zone) if by_movement else days(deal.age_seconds, day_seconds))
            for deal in worst[:MAX_DEALS]
        ],
    }


def exact(moment: datetime, zone: str) -> str:
    """`Monday 3 November, 09:12 CET`"""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B}, {local:%H:%M %Z}"


def last_movement(deal: EvidenceDeal, zone: str) -> str:
    """`last movement 3 November`"""
    if deal.last_movement_at is None:
        return "last movement unknown"
    local = deal.last_movement_at.astimezone(ZoneInfo(zone))
    return f"last movement {local.day} {local:%B}"


def deal_name(deal: EvidenceDeal) -> str:
    """Its name, else the id that its CRM gave it."""
    return one_line(deal.name or deal.deal.partition(":")[2] or deal.deal)[:120]


def days(seconds: float, day_seconds: int = DAY_SECONDS) -> str:
    """`47 days`, `3 working days`, `5 hours`"""
    count, name = int(seconds // day_seconds), "day" if day_seconds == DAY_SECONDS else "working day"
    if not count:
        count, name = int(seconds // 3600), "hour"
    if not count:
        return "less than an hour"
    return f"{count} {name}{'' if count == 1 else 's'}"
