"""A notice as a mail: text and HTML, each complete, the chart inside, one thread for a ticket in every program."""

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

from shared import wording
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import TicketData, TicketOutcome
from shared.wording.kind import DealOrder

_FOLDER = Path(__file__).parent / "templates"
_HTML = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_TEXT = Environment(loader=FileSystemLoader(_FOLDER), autoescape=False, undefined=StrictUndefined, trim_blocks=True)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
HEADLINES = {
    NoticeReason.OPENED: "A problem was found",
    NoticeReason.GREW: "The problem has grown",
    NoticeReason.REOPENED: "The problem has come back",
    NoticeReason.CLEARED: "The problem is over",
    NoticeReason.OPENED_AND_CLEARED: "A problem was found, and is over already",
}
# A problem that never was, or that is judged no more, is not over; why it is taken back stands below.
TAKEN_BACK = "This ticket is taken back"
# What comes after the sentence, where there is more to say than what the cause asks for.
MORE = {
    NoticeReason.REOPENED: "Its ticket had closed a short while ago, and is open again with its history.",
    NoticeReason.CLEARED: (
        "Nothing is asked of you now. The ticket has closed by itself; as nothing was changed, this is not counted as a"
        " success, and the problem may come back."
    ),
}
MORE[NoticeReason.OPENED_AND_CLEARED] = MORE[NoticeReason.CLEARED]
CHART = "chart"
SHOWN = 3


def message_id(ticket: int, seq: int, domain: str) -> str:
    """The same for the same change of a ticket, however often it is sent."""
    return f"<andon.ticket-{ticket}.{seq}@{domain}>"


def compose(
    about: TicketData,
    reason: NoticeReason,
    to_name: str,
    to_mail: str,
    sender: str,
    domain: str,
    written: datetime,
    zone: str,
    seq: int,
    day_seconds: int = 86_400,
) -> EmailMessage:
    """The whole mail. Header values lose every control character, so nothing can be added to the headers.

    `day_seconds`: length of a day on the stage's clock, by which ages are told.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name="Andon", addr_spec=sender)
    mail["To"] = Address(display_name=one_line(to_name)[:100], addr_spec=to_mail)
    mail["Subject"] = one_line(f"[Andon] {about.title} ({about.pipeline_name})")[:180]
    mail["Date"] = format_datetime(written)
    mail["Message-ID"] = message_id(about.ticket, seq, domain)
    root = message_id(about.ticket, 1, domain)
    if seq > 1:
        mail["In-Reply-To"] = root
        mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"<tickets.andon.{domain}>"
    values = _values(about, reason, zone, day_seconds)
    mail.set_content(_TEXT.get_template("notice.txt").render(values))
    mail.add_alternative(_HTML.get_template("notice.html").render(values), subtype="html")
    if about.chart_png:
        html: Any = mail.get_payload()[1]  # type: ignore[index]
        html.add_related(
            base64.b64decode(about.chart_png),
            "image",
            "png",
            cid=f"<{CHART}>",
            disposition="inline",
            filename="chart.png",
        )
    return mail


def one_line(text: str) -> str:
    """Without line breaks and other control characters."""
    return _CONTROL.sub(" ", text).strip()


def _values(about: TicketData, reason: NoticeReason, zone: str, day_seconds: int) -> dict[str, Any]:
    worst = about.evidence.worst if about.evidence else ()
    over, order = about.problem.cleared_at, wording.of(about.kind).deal_order
    by_movement = order is DealOrder.LONGEST_WITHOUT_PROGRESS
    taken_back = about.reason if about.outcome is TicketOutcome.RETRACTED else None
    return {
        "about": about,
        "headline": TAKEN_BACK if taken_back else HEADLINES[reason],
        "chart": CHART if about.chart_png else None,
        "taken_back": taken_back,
        "over": over or taken_back,
        "began": exact(about.problem.opened_at, zone),
        "ended": exact(over, zone) if over else "",
        "more": MORE.get(reason, ""),
        "worst_first": order.capitalize(),
        "worst": [
            (deal_name(deal), moved(deal, zone) if by_movement else days(deal.age_seconds, day_seconds))
            for deal in worst[:SHOWN]
        ],
    }


def exact(moment: datetime, zone: str) -> str:
    """`Monday 3 November, 09:12 CET`"""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B}, {local:%H:%M %Z}"


def moved(deal: EvidenceDeal, zone: str) -> str:
    """`last movement 3 November`"""
    if deal.last_movement_at is None:
        return "last movement not known"
    local = deal.last_movement_at.astimezone(ZoneInfo(zone))
    return f"last movement {local.day} {local:%B}"


def deal_name(deal: EvidenceDeal) -> str:
    return one_line(deal.name or deal.deal.partition(":")[2] or deal.deal)[:120]


def days(seconds: float, day_seconds: int = 86_400) -> str:
    """`47 days`, `3 working days`, `5 hours`"""
    count, name = int(seconds // day_seconds), "day" if day_seconds == 86_400 else "working day"
    if not count:
        count, name = int(seconds // 3600), "hour"
    if not count:
        return "less than an hour"
    return f"{count} {name}{'' if count == 1 else 's'}"
