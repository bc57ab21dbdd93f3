"""Returned mails, however they come: by SMTP or in a mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from services.notifier.bounces.dsn import parse_dsn
from services.notifier.preferences import Preferences
from shared.runtime.log import logger
from shared.runtime.mailbox_poll import MailOutcome, ReadContent

_log = logger(__name__)
# A notification may hold the returned mail, which is below 100 kB.
MAX_BYTES = 1_000_000


async def record_returned(preferences: Preferences, mail: int, raw: bytes) -> None:
    """Store what came to the return path of a mail. An answer of somebody on holiday says nothing."""
    report = parse_dsn(raw)
    if report is None:
        _log.info("an answer to a mail is no notification of a mail server", mail=mail)
        return
    await preferences.record(mail, report)


class BounceMailboxHandler:
    """Takes mails to return paths that we signed, and has them deleted; all others are left alone."""

    name = "returned mails"

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def failed(self) -> None:
        self._preferences.metrics.mailbox_failures.inc()

    async def handle(self, recipients: Sequence[str], read: ReadContent) -> MailOutcome:
        """Store what one says. To read it again, after a crash or by another replica, changes nothing."""
        mails = [mail for one in recipients if (mail := self._preferences.links.mail_of(one)) is not None]
        if not mails:
            return MailOutcome.OTHER
        await record_returned(self._preferences, mails[0], await read(MAX_BYTES))
        return MailOutcome.DONE
