"""A mailbox over IMAP, blocking: to be used in a thread. Knows of each mail to whom it is addressed, and its bytes.

Source: RFC 3501 (IMAP4rev1), RFC 4315 (UIDPLUS).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import compat32
from email.utils import getaddresses
from imaplib import IMAP4, IMAP4_SSL
from pathlib import Path
from typing import Any

# Of each answer of the server. A stop of the service waits for no longer.
TIMEOUT_SECONDS = 8
# Bytes of all headers with recipients, letters of one: reading them takes time that grows with the square of that.
MAX_HEADERS, MAX_HEADER = 64 * 1024, 10_000
# Where servers write whom a mail was delivered to.
_RECIPIENTS = ("TO", "CC", "DELIVERED-TO", "X-ORIGINAL-TO", "ENVELOPE-TO", "X-ENVELOPE-TO")
_HEADERS = f"(BODY.PEEK[HEADER.FIELDS ({' '.join(_RECIPIENTS)})])"
_UNQUOTED = re.compile(r'["\\\r\n]')


class MailboxRefused(Exception):
    """The server does not do what was asked."""


@dataclass(frozen=True)
class MailboxAccess:
    """Where the mailbox is, and how to open it. `ca`: certificates of a private CA; without `tls` it is plain text."""

    host: str
    port: int
    user: str
    password: str
    folder: str
    tls: bool = True
    ca: Path | None = None


class CordMailbox:
    """An open mailbox. Raises MailboxRefused, OSError and IMAP4.error."""

    def __init__(self, access: MailboxAccess) -> None:
        self._imap = _connect(access)
        try:
            self._imap.login(access.user, access.password)
            _done(self._imap.select(f'"{_UNQUOTED.sub("", access.folder)}"'))
        except BaseException:
            self.close()
            raise
        self._has_uidplus = "UIDPLUS" in self._imap.capabilities
        # Numbers of mails are those of this epoch.
        self.epoch = str(self._imap.response("UIDVALIDITY")[1])

    def numbers(self) -> Sequence[str]:
        """The mails that are not deleted, the oldest first."""
        (found,) = _done(self._imap.uid("SEARCH", "UNDELETED"))[:1] or (b"",)
        return (found or b"").decode("ascii", "replace").split()

    def recipients(self, number: str) -> Sequence[str]:
        """The addresses that a mail was sent or delivered to."""
        headers = message_from_bytes(self._fetch(number, _HEADERS)[:MAX_HEADERS], policy=compat32)
        written = [str(value)[:MAX_HEADER] for name in _RECIPIENTS for value in headers.get_all(name, [])]
        return [address for _, address in getaddresses(written[:50])]

    def content(self, number: str, limit: int) -> bytes:
        """The first bytes of a mail. It stays unread."""
        return self._fetch(number, f"(BODY.PEEK[]<0.{limit}>)")

    def delete(self, number: str) -> None:
        """Delete a mail for good."""
        _done(self._imap.uid("STORE", number, "+FLAGS.SILENT", r"(\Deleted)"))
        _done(self._imap.uid("EXPUNGE", number) if self._has_uidplus else self._imap.expunge())

    def close(self) -> None:
        """Leave, whatever the server says."""
        try:
            self._imap.logout()
        except (OSError, IMAP4.error):
            self._imap.shutdown()

    def _fetch(self, number: str, what: str) -> bytes:
        """The one literal of the answer; empty where the mail is gone."""
        found = _done(self._imap.uid("FETCH", number, what))
        return next((one[1] for one in found if isinstance(one, tuple) and isinstance(one[1], bytes)), b"")


def _connect(access: MailboxAccess) -> IMAP4:
    if not access.tls:
        return IMAP4(access.host, access.port, timeout=TIMEOUT_SECONDS)
    context = ssl.create_default_context(cafile=str(access.ca) if access.ca else None)
    return IMAP4_SSL(access.host, access.port, ssl_context=context, timeout=TIMEOUT_SECONDS)


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    status, found = answer
    if status != "OK":
        raise MailboxRefused(status)
    return found
