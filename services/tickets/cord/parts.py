"""Puts the parts of the cord together: pages, SMTP door, mailbox."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from services.tickets.changes import TicketChanges
from services.tickets.cord.cords import Cords
from services.tickets.cord.mail_address import CordAddress
from services.tickets.cord.mail_pulls import MailPulls
from services.tickets.cord.mailbox_handler import CordMailboxHandler
from services.tickets.cord.metrics import CordMetrics
from services.tickets.cord.pages import CordPages
from services.tickets.cord.smtp_door import CordMailHandler, SmtpDoor
from services.tickets.settings import TicketsSettings
from shared.policy import Policy
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import Clock
from shared.runtime.mailbox_poll import MailboxPoll

Loop = Callable[[], Coroutine[Any, Any, None]]


class CordParts:
    """Of one replica."""

    def __init__(
        self,
        settings: TicketsSettings,
        pool: Pool,
        policy: Policy,
        changes: TicketChanges,
        clock: Clock,
        registry: CollectorRegistry,
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._policy, self._clock = settings, policy, clock
        self._metrics = CordMetrics(registry)
        self.cords = Cords(pool, policy, changes, clock, settings.pull_rate, self._metrics, changed)
        self.mails = MailPulls(self.cords, clock, self._metrics)

    def pages(self, html: Callable[..., Any]) -> CordPages:
        return CordPages(self.cords, self._policy, self._clock, self._settings.cord_address, html)

    def loops(self) -> Sequence[Loop]:
        """The ways by mail that are switched on."""
        settings = self._settings
        if settings.cord_mail is None:
            return ()
        address, found = CordAddress(settings.cord_mail), list[Loop]()
        if settings.cord_smtp_port:
            handler = CordMailHandler(self.cords, self.mails, address, self._metrics)
            found.append(SmtpDoor(settings.cord_smtp_host, settings.cord_smtp_port, handler, address).run)
        if access := settings.mailbox:
            mailbox = CordMailboxHandler(self.cords, self.mails, address, self._metrics)
            found.append(MailboxPoll(access, mailbox, settings.cord_imap_every_seconds, TRANSIENT).run)
        return found
