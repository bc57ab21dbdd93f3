"""Sessions: kept in the database, known to a browser by a secret in a cookie.

The database has only the secret's hash. A new sign-in gets a new secret, whatever cookie the browser came with.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.access.roles import Role, Visitor

# A use is written down once in so long, not with each request.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SessionLimits:
    """When a session ends: after so long without a request, and in any case."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True)
class StoredSession:
    """A session with what its account is allowed now."""

    account: int
    name: str
    email: str
    role: Role
    began_at: datetime
    seen_at: datetime

    def is_over(self, now: datetime, limits: SessionLimits) -> bool:
        return now >= self.seen_at + limits.idle or now >= self.began_at + limits.absolute

    def visitor(self, secret: str) -> Visitor:
        return Visitor(self.role, self.account, self.name, self.email, csrf_token(secret))


def new_secret() -> str:
    """256 bits at random."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What the database has in place of a secret, which has too many bits to be found by trying."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(secret: str) -> str:
    """What the forms of a session carry. It does not give the session's secret away."""
    return hashlib.sha256(b"csrf:" + secret.encode()).hexdigest()
