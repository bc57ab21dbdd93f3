"""Mails about one notice: text and HTML, each complete, with the chart inside; one thread per ticket."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.domain.mail import CoveredChange, Mail, Notice, Thread, subject_of
from services.notifier.domain.safe_text import one_line
from services.notifier.render.headers import MAIL, mailbox, unstructured
from services.notifier.render.now_text import now_sentences
from services.notifier.render.times import exact
from shared import wording
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketOutcome
from shared.policy import Policy
from shared.wording.kind import DealOrder
from shared.wording.money import MoneyAtStake, at_stake
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
# None for a new problem: its mail begins with the sentence.
HEADLINES = {
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
# What changed since the last mail, one line each.
CHANGES = {
    TicketChange.OPENED: "it was found, with {count}",
    TicketChange.GREW: "it grew to {count}",
    TicketChange.REOPENED: "it came back, with {count}",
    TicketChange.CLEARED: "it was over",
    TicketChange.CLOSED: "its ticket was withdrawn",
}
OPENED_BY_PERSON = "its ticket was opened again, with {count}"
CAME_BACK_AND_OVER = "The problem came back and is over already"
CHART = "chart"
MAX_DEALS = 3


class Composer:
    """Writes mails. `sender`: the address in From; `domain`: of Message-IDs. Times and ages follow the policy."""

    def __init__(self, sender: str, domain: str, policy: Policy) -> None:
        self._sender, self._domain, self._policy = sender, domain, policy

    def compose(self, mail: Mail) -> EmailMessage:
        """The whole mail about its one notice. Any error means that it cannot be written."""
        (notice,) = mail.notices
        message = EmailMessage(policy=MAIL)
        self._add_headers(message, mail, notice)
        values = _values(notice, self._policy.timezone, self._day_seconds(notice))
        values["owned"] = self._owned(notice.facts, mail.to_mail)
        message.set_content(_TEXT.get_template("notice.txt").render(values))
        message.add_alternative(_HTML.get_template("notice.html").render(values), subtype="html")
        if notice.facts.chart_png:
            _add_chart(message, notice.facts.chart_png)
        return message

    def _add_headers(self, message: EmailMessage, mail: Mail, notice: Notice) -> None:
        thread = notice.thread or Thread(subject_of(notice.facts), mail.message_id)
        message["From"] = mailbox("Andon", self._sender)
        message["To"] = mailbox(one_line(mail.to_name, 100), mail.to_mail)
        message["Subject"] = unstructured(thread.subject)
        message["Date"] = format_datetime(mail.wanted_at)
        message["Message-ID"] = mail.message_id
        if mail.message_id != thread.message_id:
            message["In-Reply-To"] = thread.message_id
            message["References"] = thread.message_id
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"<tickets.andon.{self._domain}>"

    def _owned(self, facts: TicketData, recipient: str) -> str:
        """What the recipient is responsible for: the pipeline; of a source, the recipient's pipelines with its deals,
        else all of the recipient's.
        """
        if facts.source is None:
            return facts.pipeline_name
        known = self._policy.pipelines.items()
        owned = {name: one.name for name, one in known if one.owner and one.owner.mail == recipient}
        fed = [title for name, title in owned.items() if name in facts.pipelines]
        *first, last = fed or list(owned.values()) or [facts.source]
        return f"{', '.join(first)} and {last}" if first else last

    def _day_seconds(self, notice: Notice) -> int:
        """Length of a day on the clock of the ticket's stage."""
        pipeline, stage = notice.facts.pipeline, notice.facts.stage or ""
        return self._policy.day_seconds(pipeline, stage) if self._policy.stage(pipeline, stage) else CALENDAR_DAY


def _add_chart(message: EmailMessage, chart: str) -> None:
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(  # type: ignore[union-attr]
        base64.b64decode(chart), "image", "png", cid=f"<{CHART}>", disposition="inline", filename="chart.png"
    )


def _values(notice: Notice, zone: str, day_seconds: int) -> dict[str, Any]:
    """What the templates need."""
    facts = notice.facts
    evidence = facts.evidence if notice.now is None else notice.now.rule.evidence
    worst = evidence.worst if evidence else ()
    ended, order = facts.problem.cleared_at, wording.of(facts.kind).deal_order
    by_movement = order is DealOrder.LONGEST_WITHOUT_PROGRESS
    withdrawn = facts.reason if facts.outcome is TicketOutcome.RETRACTED else None
    return {
        "facts": facts,
        "headline": WITHDRAWN if withdrawn else _headline(notice),
        "chart": CHART if facts.chart_png else None,
        "withdrawn": withdrawn,
        "over": ended or withdrawn,
        "now": now_sentences(notice.now, zone) if notice.now else [],
        "when": _when(facts, zone),
        "zone": zone,
        "stake": _stake(facts),
        "changes": _changes(notice, zone),
        "earlier_changes": notice.covered - len(notice.changes),
        "more": MORE.get(notice.reason, ""),
        "worst_first": order.capitalize(),
        "worst": [
            (deal_name(deal), last_movement(deal, zone) if by_movement else age(deal.age_seconds, day_seconds))
            for deal in worst[:MAX_DEALS]
        ],
    }


def _when(facts: TicketData, zone: str) -> str:
    """When the problem began or was found, and when it was over, without a full stop."""
    found = found_text(facts.kind, facts.problem, zone)
    if found:
        return found
    ended = f" and ended on {exact(facts.problem.cleared_at, zone)}" if facts.problem.cleared_at else ""
    return f"It began on {exact(facts.problem.opened_at, zone)}{ended}"


def _stake(facts: TicketData) -> MoneyAtStake:
    """What the deals that the message carries are worth: of many, not all."""
    shown = facts.evidence
    return at_stake((*shown.worst, *shown.sample), shown.total) if shown else at_stake((), 0)


def _headline(notice: Notice) -> str | None:
    is_first = notice.seq == 1 or (bool(notice.changes) and notice.changes[0].actor is Actor.PERSON)
    if notice.reason is NoticeReason.OPENED_AND_CLEARED and not is_first:
        return CAME_BACK_AND_OVER
    return HEADLINES.get(notice.reason)


def _changes(notice: Notice, zone: str) -> list[tuple[str, str]]:
    """What changed since the last mail: when, and what."""
    if notice.covered == 1:
        return []
    return [(exact(one.at, zone), _change(one, notice.facts.kind)) for one in notice.changes]


def _change(one: CoveredChange, kind: str) -> str:
    words = OPENED_BY_PERSON if one.actor is Actor.PERSON else CHANGES[one.change]
    return words.format(count=wording.of(kind).counted(one.count))


def last_movement(deal: EvidenceDeal, zone: str) -> str:
    """`last movement 3 November`"""
    if deal.last_movement_at is None:
        return "no movement recorded"
    return f"last movement {date(deal.last_movement_at, zone)}"


def deal_name(deal: EvidenceDeal) -> str:
    """Its name, else the id that its CRM gave it."""
    return one_line(deal.name or "", 120) or one_line(deal.deal.partition(":")[2] or deal.deal, 120)
