"""Signs people in and out: by password, by a link that works once, by a name that somebody trusted vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.access import names, passwords
from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import Role
from services.tickets.access.sessions import new_secret
from services.tickets.domain.rates import Rate, Rates, TooOften
from services.tickets.store import accounts, api_tokens, audit, calendar, sessions
from services.tickets.store.accounts import Account, Subject
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import Clock

LINK_LASTS = timedelta(days=2)
# Slowed, not locked: else anyone could lock anyone else out.
_NO_FIT = "This mail address and password do not fit. Try again, or ask who runs Andon for a link."
PER_ACCOUNT, PER_ADDRESS = Rate(5, timedelta(seconds=30)), Rate(20, timedelta(seconds=10))


class SignInRefused(Exception):
    """Says what to do, and never whether there is such an account."""


@dataclass(frozen=True)
class Vouched:
    """A person whom an identity provider or a proxy vouches for. `subject`: None where it gives no lasting name."""

    email: str
    name: str
    subject: Subject | None = None


class SignIn:
    """`new_role`: of whom a provider or proxy brings for the first time; None: they get in only with an account."""

    def __init__(self, pool: Pool, wall: Clock, new_role: Role | None) -> None:
        self._pool, self._wall, self._new_role = pool, wall, new_role
        self._by_account, self._by_address = Rates[str](PER_ACCOUNT), Rates[str](PER_ADDRESS)

    async def by_password(self, email: str, password: str, address: str) -> str:
        """The secret of a new session. Raises SignInRefused, and TooOften."""
        # Postgres keeps no NUL character, and no address is longer.
        now, key = self._wall.now(), email.strip().lower().replace("\x00", "")[: names.LONGEST_ADDRESS + 1]
        self._by_address.take(address, now)
        self._by_account.take(key, now)
        account = await accounts.by_mail(self._pool, key)
        matches = await passwords.is_password(account.password if account else None, password[: passwords.LONGEST + 1])
        if account is None or not matches or account.disabled_at:
            known = account.id if account else None
            await audit.note(self._pool, now, AuditEvent.SIGN_IN_REFUSED, known, address=address)
            raise SignInRefused(_NO_FIT)
        self._by_account.clear(key)
        async with self._pool.acquire() as connection, connection.transaction():
            return await self._begin(connection, account.id, now, "password")

    async def by_link(self, token: str, email: str, name: str, password: str) -> str:
        """Choose a password at a link; the first admin also says who they are.

        Raises SignInRefused, WeakPassword, UnusableName.
        """
        now = self._wall.now()
        async with self._pool.acquire() as connection, connection.transaction():
            link = await accounts.use_link(connection, token, now)
            if link is None:
                raise SignInRefused("This link was used, or has expired. Ask who runs Andon for another.")
            if link.account is None:
                number = await self._first(connection, email.strip(), name.strip(), password, now)
            else:
                number = link.account
                await self._set_password(connection, number, link.email, password)
                # Whoever lost the password may have lost these with it.
                await _end_programs(connection, number, now)
            return await self._begin(connection, number, now, "link")

    async def vouched(self, person: Vouched) -> str:
        """Raises SignInRefused."""
        now = self._wall.now()
        async with self._pool.acquire() as connection, connection.transaction():
            account = await self._account_of(connection, person)
            number = account.id if account else await self._make(connection, person, now)
            if number is None or (account is not None and account.disabled_at):
                raise SignInRefused("You have no account here. Ask who runs Andon for one.")
            return await self._begin(connection, number, now, person.subject.issuer if person.subject else "proxy")

    async def note_refused(self, by: str, address: str) -> None:
        """Write down that nobody got in by a link, the provider or the proxy: as often as this address may try."""
        now = self._wall.now()
        try:
            self._by_address.take(address, now)
        except TooOften:
            return
        await audit.note(self._pool, now, AuditEvent.SIGN_IN_REFUSED, None, address=address, by=by)

    async def change_password(self, account: int, email: str, password: str) -> str:
        """Ends all sessions of the account; returns the secret of a new one. Raises WeakPassword."""
        passwords.check_strength(password, email)
        hashed, now = await passwords.hash_password(password), self._wall.now()
        async with self._pool.acquire() as connection, connection.transaction():
            await accounts.set_password(connection, account, hashed)
            await sessions.end_all(connection, account)
            await audit.record(connection, now, AuditEvent.PASSWORD_CHANGED, account)
            return await self._begin(connection, account, now, "new password")

    async def sign_out(self, secret: str, account: int) -> None:
        """End a session."""
        async with self._pool.acquire() as connection, connection.transaction():
            await sessions.end(connection, secret)
            await audit.record(connection, self._wall.now(), AuditEvent.SIGNED_OUT, account, everywhere=False)

    async def sign_out_everywhere(self, account: int, with_programs: bool) -> None:
        """End all sessions of an account. `with_programs`: its tokens and its calendar's address, too."""
        now = self._wall.now()
        async with self._pool.acquire() as connection, connection.transaction():
            await sessions.end_all(connection, account)
            if with_programs:
                await _end_programs(connection, account, now)
            await audit.record(connection, now, AuditEvent.SIGNED_OUT, account, everywhere=True)

    async def _first(self, connection: Connection, email: str, name: str, password: str, now: datetime) -> int:
        await accounts.lock_first(connection)
        if await accounts.is_any(connection):
            raise SignInRefused("Andon has accounts already. Sign in, or ask who runs Andon for a link.")
        names.check_mail_address(email)
        names.check_name(name)
        passwords.check_strength(password, email)
        hashed = await passwords.hash_password(password)
        number = await accounts.add(connection, email, name or email, Role.ADMIN, now, hashed)
        if number is None:
            raise SignInRefused("This mail address has an account already.")
        return number

    async def _set_password(self, connection: Connection, account: int, email: str, password: str) -> None:
        passwords.check_strength(password, email)
        await accounts.set_password(connection, account, await passwords.hash_password(password))
        await sessions.end_all(connection, account)

    async def _account_of(self, connection: Connection, person: Vouched) -> Account | None:
        if person.subject is None:
            return await accounts.by_mail(connection, person.email)
        found = await accounts.by_subject(connection, person.subject)
        return found or await accounts.claim(connection, person.email, person.subject)

    async def _make(self, connection: Connection, person: Vouched, now: datetime) -> int | None:
        if self._new_role is None:
            return None
        name = names.shown_name(person.name, person.email)
        return await accounts.add(connection, person.email, name, self._new_role, now, subject=person.subject)

    async def _begin(self, connection: Connection, account: int, now: datetime, by: str) -> str:
        secret = new_secret()
        await sessions.begin(connection, secret, account, now)
        await audit.record(connection, now, AuditEvent.SIGNED_IN, account, by=by)
        return secret


async def _end_programs(connection: Connection, account: int, now: datetime) -> None:
    """Take everything out of use that an account gave to programs."""
    await api_tokens.revoke_all(connection, account, now)
    await calendar.revoke(connection, account, now)
