"""The roles, from reading to running Andon, and who a request comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from shared.policy import Policy


class Role(IntEnum):
    """Each may do what those before it may."""

    NOBODY = 0
    """Has not signed in."""
    VIEWER = 1
    """Reads all pages."""
    MEMBER = 2
    """Works on tickets: acknowledges, plans, seals, decides."""
    OWNER = 3
    """Changes the policy and the baselines of the pipelines that it owns."""
    ADMIN = 4
    """Manages accounts, tokens and connections to other systems."""


@dataclass(frozen=True)
class Visitor:
    """Who a request comes from. `account`: None where nobody needs to sign in, or nobody has.

    `csrf`: what changes by its session must carry; empty where it has no session. `token`: the API token that it came
    with. `ceiling`: the role that a token may not go beyond, in any pipeline.
    """

    role: Role
    account: int | None = None
    name: str = ""
    email: str = ""
    csrf: str = ""
    token: int | None = None
    ceiling: Role = Role.ADMIN

    @property
    def is_signed_in(self) -> bool:
        return self.account is not None

    def may(self, role: Role) -> bool:
        """Whether it has at least this role everywhere."""
        return self.role >= role

    def role_in(self, pipeline: str, policy: Policy) -> Role:
        """Its role for one pipeline: the policy names each pipeline's owner by mail address."""
        found = policy.pipelines.get(pipeline)
        owns = bool(self.email) and found is not None and found.owner.mail.lower() == self.email.lower()
        return min(max(self.role, Role.OWNER), self.ceiling) if owns and self.role > Role.NOBODY else self.role


NOBODY = Visitor(Role.NOBODY)
THIS_MACHINE = Visitor(Role.ADMIN)
"""Whoever asks where there is no sign-in: then only this machine can."""

_current: ContextVar[Visitor] = ContextVar("visitor", default=NOBODY)


def current_visitor() -> Visitor:
    """Who the request that is being answered comes from."""
    return _current.get()


@contextmanager
def visiting(visitor: Visitor) -> Iterator[None]:
    """Answer a request of this visitor."""
    token = _current.set(visitor)
    try:
        yield
    finally:
        _current.reset(token)
