"""Notices and mails to the owner of the tests' policy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.notifier.domain.decide import Decision, decide
from services.notifier.domain.links import Links
from services.notifier.domain.mail import message_id, notice_name
from services.notifier.domain.readers import Addressee, MailReaders
from services.notifier.domain.reasons import reason_of
from services.notifier.handlers import NoticeHandler
from services.notifier.hooks.writing import HookWriter
from services.notifier.store import notices as store
from services.notifier.store.notices import News
from services.notifier.writing import NoticeWriter
from shared.contracts.tickets import TicketData
from shared.contracts.topics import NOTICES
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock, SystemClock
from tests.support.problems import policy

HEAD = "head@sales.example"
DOMAIN = "localhost.localdomain"
LINKS = Links(b"a key of the tests", "https://andon.example", "")


def id_of(facts: TicketData, address: str = HEAD, domain: str = DOMAIN) -> str:
    """The Message-ID of the mail that one change begins."""
    return message_id(notice_name(facts, address), domain)


def head(facts: TicketData) -> Addressee:
    """The owner, as a recipient of a ticket's mails."""
    return MailReaders(policy()).addressees(facts, {})[0]


async def write_change(
    connection: Connection, facts: TicketData, now: datetime, every: timedelta, domain: str = DOMAIN
) -> Decision | None:
    """Decide about one change for the owner, and write that."""
    history = await store.history(connection, facts, HEAD)
    decision = decide(facts.change, reason_of(facts, None), now, history, every, facts.outcome)
    if decision is not None:
        await store.apply(connection, News.of(facts), decision, head(facts), domain)
    return decision


def writer_of(rules: Policy, every: timedelta = timedelta(hours=1), clock: Clock | None = None) -> NoticeWriter:
    """A writer for a policy."""
    return NoticeWriter(MailReaders(rules), every, DOMAIN, NOTICES, clock or SystemClock())


def handler_of(
    writer: NoticeWriter, written: Callable[[], None] = lambda: None, hooks: HookWriter | None = None
) -> NoticeHandler:
    """A handler that writes with it."""
    return NoticeHandler(writer, hooks or HookWriter(), "Europe/Berlin", follows_log=False, written=written)


class NoticeClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at
