"""Signed tokens: of the page on which a reader chooses mails, of the page of all addresses for whoever runs Andon, and
of the address to which a mail is returned. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

_TOKEN = re.compile(r"[0-9a-f]{40}")
_OPERATOR = re.compile(r"([1-9][0-9]{8,10})-([0-9a-f]{40})")
# How long a link to the page of all addresses works.
OPERATOR_LASTS = timedelta(hours=1)
# The local part of an address has at most 64 characters.
_RETURN = re.compile(r"^bounce\+([1-9][0-9]{0,17})-([0-9a-f]{20})@", re.IGNORECASE)


@dataclass(frozen=True)
class Links:
    """`url`: of the pages of preferences, empty: there are none. `bounce_domain`: of the addresses to which mails are
    returned; empty: they are returned to the sender.
    """

    key: bytes
    url: str = ""
    bounce_domain: str = ""

    def page(self, address: str) -> str | None:
        """The page of an address. Its token names no address: it ends up in logs of servers."""
        return f"{self.url.rstrip('/')}/mail/{self.token(address)}" if self.url else None

    def token(self, address: str) -> str:
        return self._sign("preferences", address.lower())[:40]

    def address_of(self, token: str, known: Iterable[str]) -> str | None:
        """Which of the known addresses a token stands for."""
        if not _TOKEN.fullmatch(token):
            return None
        return next((one for one in known if hmac.compare_digest(self.token(one), token)), None)

    def operator_token(self, now: datetime) -> str:
        """A token of the page of all addresses, which works for an hour. It begins with its end."""
        ends = str(int((now + OPERATOR_LASTS).timestamp()))
        return f"{ends}-{self._sign('addresses', ends)[:40]}"

    def is_operator(self, token: str, now: datetime) -> bool:
        """Whether it is such a token, and works still."""
        found = _OPERATOR.fullmatch(token)
        if found is None or not hmac.compare_digest(self._sign("addresses", found[1])[:40], found[2]):
            return False
        return now.timestamp() < int(found[1])

    def return_path(self, mail: int) -> str | None:
        """The address to which a mail is returned."""
        if not self.bounce_domain:
            return None
        return f"bounce+{mail}-{self._sign('bounce', str(mail))[:20]}@{self.bounce_domain}"

    def mail_of(self, return_path: str) -> int | None:
        """The mail that was returned to an address."""
        found = _RETURN.match(return_path)
        if found is None:
            return None
        signed = self._sign("bounce", found[1])[:20]
        return int(found[1]) if hmac.compare_digest(signed, found[2].lower()) else None

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()
