"""API tokens: what programs show in place of signing in.

A token is the prefix, by which secret scanners know it, and 256 bits at random. The database has only its hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.access.roles import Role, Visitor
from services.tickets.access.sessions import new_secret

PREFIX = "andon_"
SCOPES = {"read": Role.VIEWER, "work": Role.MEMBER, "own": Role.OWNER}
MAX_DAYS, MAX_NAME, MAX_TOKENS = 365, 100, 20
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class TokenRefused(ValueError):
    """No such token can be made; the text says why and the way out."""


@dataclass(frozen=True)
class TokenWish:
    """A token that somebody wants. Raises TokenRefused where nobody can have it."""

    name: str
    scope: str
    days: int

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME or not self.name.isprintable():
            raise TokenRefused(f"Name the token by what uses it, in 1 to {MAX_NAME} letters.")
        if self.scope not in SCOPES:
            raise TokenRefused(f"{self.scope[:20]!r} is no scope; use {', '.join(SCOPES)}.")
        if not 1 <= self.days <= MAX_DAYS:
            raise TokenRefused(f"A token is valid for 1 to {MAX_DAYS} days.")

    @property
    def role(self) -> Role:
        return SCOPES[self.scope]

    def expires_at(self, now: datetime) -> datetime:
        return now + timedelta(days=self.days)


@dataclass(frozen=True)
class StoredToken:
    """A token as it is kept. `email`, `account_role`: of its account as it is now."""

    id: int
    account: int
    name: str
    role: Role
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    account_name: str
    email: str
    account_role: Role

    @property
    def scope(self) -> str:
        return next(name for name, role in SCOPES.items() if role == self.role)

    @property
    def visitor(self) -> Visitor:
        """Whoever shows it: at most its account."""
        role = min(self.role, self.account_role)
        return Visitor(role, self.account, self.account_name, self.email, token=self.id, ceiling=self.role)


def new_token() -> str:
    return PREFIX + new_secret()


def is_token(text: str) -> bool:
    """Whether it has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def highest_scope(role: Role) -> Role:
    """The most that a token of an account may do. The policy may make a member the owner of a pipeline."""
    return Role.OWNER if role >= Role.MEMBER else role


def scopes_of(role: Role) -> list[str]:
    """The scopes that an account may choose from."""
    return [name for name, wanted in SCOPES.items() if wanted <= highest_scope(role)]
