"""Links in mails that open one ticket for reading only, without sign-in, until they expire. Keys of the settings sign
them.

A link names a ticket and its end, and no reader: it works for whoever has it. Tickets reads them, the notifier makes
them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field, SecretStr, field_validator

from shared.runtime.instants import micros
from shared.runtime.settings import ServiceSettings

PATH = "/read/"
MIN_KEY = 32
_TOKEN = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{8})-([1-9][0-9]{8,10})-([0-9a-f]{40})")


def ticket_mark(key: str, opened_at: datetime) -> str:
    """Stands for what a ticket is about. Numbers are given again after the database was set back; this is not."""
    return hashlib.sha256(f"{key}\n{micros(opened_at)}".encode()).hexdigest()[:8]


class ReadLinkSettings(ServiceSettings):
    """The keys of these links; without any there are no links."""

    link_keys: SecretStr = Field(
        SecretStr(""),
        description="keys of 32 characters or more that sign links in mails to tickets, for reading without sign-in,"
        " with commas between: the first signs, all open; the same for tickets and notifier. Empty: no such links."
        " ANDON_LINK_KEYS_FILE names a file",
    )
    link_days: int = Field(30, ge=1, le=366, description="days that such a link works")

    @field_validator("link_keys")
    @classmethod
    def _are_long(cls, keys: SecretStr) -> SecretStr:
        if any(len(key) < MIN_KEY for key in _keys(keys)):
            raise ValueError(f"has a key of less than {MIN_KEY} characters; make one with: openssl rand -hex 32")
        return keys

    @property
    def read_links(self) -> ReadLinks:
        return ReadLinks(tuple(key.encode() for key in _keys(self.link_keys)), timedelta(days=self.link_days))


@dataclass(frozen=True)
class LinkedTicket:
    """The ticket that a link opens until `ends_at`."""

    number: int
    mark: str
    ends_at: datetime


@dataclass(frozen=True)
class ReadLinks:
    """`keys`: the first signs, all open. `lasts`: how long a new link works."""

    keys: Sequence[bytes] = ()
    lasts: timedelta = timedelta(days=30)

    def token(self, number: int, mark: str, made_at: datetime) -> str:
        """What follows PATH in the address of a ticket. The same again for the same instant."""
        named = f"{number}-{mark}-{int((made_at + self.lasts).timestamp())}"
        return f"{named}-{_sign(self.keys[0], named)}"

    def opened(self, token: str) -> LinkedTicket | None:
        """What a token opens, or opened until it expired; None: no key of ours signed it."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        named = token.rpartition("-")[0]
        if not any(hmac.compare_digest(_sign(key, named), found[4]) for key in self.keys):
            return None
        return LinkedTicket(int(found[1]), found[2], datetime.fromtimestamp(int(found[3]), UTC))


def _sign(key: bytes, named: str) -> str:
    return hmac.new(key, f"read\n{named}".encode(), hashlib.sha256).hexdigest()[:40]


def _keys(keys: SecretStr) -> list[str]:
    return [key.strip() for key in keys.get_secret_value().split(",") if key.strip()]
