"""The audit log: what is written down, and how one row is chained to the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

import orjson

BEGINNING = bytes(32)
"""Stands for the row before the first."""


class AuditEvent(StrEnum):
    """What happened. Measures never read it."""

    SIGNED_IN = "signed-in"
    SIGN_IN_REFUSED = "sign-in-refused"
    SIGNED_OUT = "signed-out"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    ACCOUNT_CHANGED = "account-changed"
    TOKEN_CHANGED = "token-changed"  # noqa: S105
    TICKET_CHANGED = "ticket-changed"
    BASELINE_CHANGED = "baseline-changed"
    POLICY_CHANGED = "policy-changed"
    REFUSED = "refused"
    EXPORTED = "exported"


@dataclass(frozen=True)
class AuditRow:
    """One row as it is kept. `account`: None where nobody had signed in."""

    id: int
    at: datetime
    event: str
    account: int | None
    detail: Mapping[str, Any]
    previous: bytes
    hash: bytes

    @property
    def is_whole(self) -> bool:
        """Whether its hash is that of what it says."""
        return self.hash == row_hash(self.previous, self.id, self.at, self.event, self.account, self.detail)


def row_hash(
    previous: bytes, number: int, at: datetime, event: str, account: int | None, detail: Mapping[str, Any]
) -> bytes:
    """SHA-256 over the hash before it and the row as JSON with sorted keys."""
    said = [number, at.isoformat(timespec="microseconds"), event, account, detail]
    return hashlib.sha256(previous + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def first_fault(rows: Iterable[AuditRow]) -> str | None:
    """Where the chain breaks, in words; None where it does not. Retention may have taken the rows before the first."""
    rows = list(rows)
    for row in rows:
        if not row.is_whole:
            return f"row {row.id} of {row.at:%Y-%m-%d %H:%M} was changed"
    for before, row in pairwise(rows):
        if row.previous != before.hash or row.id != before.id + 1:
            return f"rows are missing between {before.id} and {row.id}"
    return None
