"""The page of one's own account, and its forms: sessions, password, tokens, calendar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.cookies import SecretCookie
from services.tickets.access.fields import EMPTY, fields_of, too_often
from services.tickets.access.identity import network_of
from services.tickets.access.passwords import SHORTEST, WeakPassword, check_strength
from services.tickets.access.roles import current_visitor
from services.tickets.access.sign_in import SignIn, SignInRefused
from services.tickets.access.tokens import MAX_DAYS, MAX_NAME, TokenRefused, TokenWish, scopes_of
from services.tickets.domain.rates import TooOften
from services.tickets.settings import TicketsSettings
from services.tickets.store import api_tokens, calendar, sessions
from services.tickets.web.page_context import PageContext
from shared.runtime.clock import Clock

# Postgres counts tokens in an int.
_MAX_NUMBER = 2**31


class AccountPages:
    """`cookie`: that of sessions."""

    def __init__(
        self, context: PageContext, settings: TicketsSettings, sign_in: SignIn, cookie: SecretCookie, wall: Clock
    ) -> None:
        self._settings, self._sign_in, self._cookie, self._wall = settings, sign_in, cookie, wall
        self._pool, self._html, self.error = context.pool, context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/account", self.account, methods=["GET"]),
            Route("/account/password", self.change_password, methods=["POST"]),
            Route("/account/sessions", self.end_sessions, methods=["POST"]),
            Route("/account/tokens", self.make_token, methods=["POST"]),
            Route("/account/tokens/{number:int}", self.revoke_token, methods=["POST"]),
            Route("/account/calendar", self.make_calendar, methods=["POST"]),
            Route("/account/calendar/revoke", self.revoke_calendar, methods=["POST"]),
        ]

    async def sign_out(self, request: Request) -> Response:
        account, answer = current_visitor().account, self._signed_out()
        if account is not None:
            await self._sign_in.sign_out(self._cookie.read(request), account)
        return answer

    async def account(self, request: Request) -> Response:
        return await self._account()

    async def change_password(self, request: Request) -> Response:
        form, visitor = await fields_of(request), current_visitor()
        if visitor.account is None:
            return self.error(404, "There is no account", "Nobody signs in here.")
        try:
            # First: whoever shows the right one begins a session, which is not to stay where no other follows.
            check_strength(form.get("password", ""), visitor.email)
            await self._sign_in.by_password(visitor.email, form.get("current", ""), network_of(request, self._settings))
            secret = await self._sign_in.change_password(visitor.account, visitor.email, form.get("password", ""))
        except (SignInRefused, WeakPassword) as error:
            text = str(error) if isinstance(error, WeakPassword) else "This is not your current password."
            return await self._account(422, text)
        except TooOften as error:
            return await self._account(429, too_often(error))
        answer = RedirectResponse("/account", 303)
        self._cookie.put(answer, secret)
        return answer

    async def end_sessions(self, request: Request) -> Response:
        """Sign out in all browsers; the other button also ends what programs have."""
        account, form = current_visitor().account, await fields_of(request)
        if account is not None:
            await self._sign_in.sign_out_everywhere(account, with_programs=form.get("programs") == "end")
        return self._signed_out()

    async def make_token(self, request: Request) -> Response:
        """A token for a program was asked for: the answer shows it, once."""
        form, visitor, now = await fields_of(request), current_visitor(), self._wall.now()
        if visitor.account is None:
            return self.error(404, "There is no account", "Nobody signs in here, so programs need no token.")
        days = form.get("days", "").strip()
        try:
            wish = TokenWish(
                form.get("name", "").strip(), form.get("scope", ""), int(days[:4]) if days.isdecimal() else 0
            )
            async with self._pool.acquire() as connection, connection.transaction():
                token = await api_tokens.add(connection, visitor.account, wish, now, visitor.account)
        except TokenRefused as error:
            return await self._account(422, str(error), form)
        return await self._account(token=token)

    async def revoke_token(self, request: Request) -> Response:
        number, account = request.path_params["number"], current_visitor().account
        if account is None:
            return self.error(404, "There is no account", "Nobody signs in here, so programs need no token.")
        async with self._pool.acquire() as connection, connection.transaction():
            found = number < _MAX_NUMBER and await api_tokens.revoke(connection, number, self._wall.now(), account)
        if not found:
            return self.error(404, "You have no such token", "It was revoked, or has expired.")
        return RedirectResponse("/account", 303)

    async def make_calendar(self, request: Request) -> Response:
        """The address of one's calendar was asked for, or another one: the answer shows it, once."""
        account = current_visitor().account
        if account is None:
            return self.error(404, "There is no account", "Nobody signs in here, so nobody has a calendar.")
        async with self._pool.acquire() as connection, connection.transaction():
            token = await calendar.make(connection, account, self._wall.now())
        return await self._account(calendar_at=f"{self._settings.tickets_url.rstrip('/')}/calendar/{token}.ics")

    async def revoke_calendar(self, request: Request) -> Response:
        account = current_visitor().account
        if account is None:
            return self.error(404, "There is no account", "Nobody signs in here, so nobody has a calendar.")
        async with self._pool.acquire() as connection, connection.transaction():
            await calendar.revoke(connection, account, self._wall.now())
        return RedirectResponse("/account", 303)

    def _signed_out(self) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        self._cookie.drop(answer)
        # What a page kept in the browser is not for the next one at this machine.
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    async def _account(
        self,
        status: int = 200,
        fault: str = "",
        form: Mapping[str, str] = EMPTY,
        token: str = "",
        calendar_at: str = "",
    ) -> Response:
        """`token`, `calendar_at`: a new token, and the address of a new calendar, which are shown this once."""
        visitor = current_visitor()
        values: dict[str, Any] = {"scopes": scopes_of(visitor.role), "days": MAX_DAYS, "name_length": MAX_NAME}
        values |= await self._kept(visitor.account) if visitor.account is not None else {}
        has_password = self._settings.sign_in in ("password", "provider") and visitor.is_signed_in
        values |= {"has_password": has_password, "shortest": SHORTEST, "calendar_at": calendar_at}
        return self._html("account.html", status, **values, fault=fault, form=form, token=token)

    async def _kept(self, account: int) -> Mapping[str, Any]:
        """What an account has."""
        return {
            "sessions": await sessions.count(self._pool, account),
            "tokens": await api_tokens.valid(self._pool, self._wall.now(), account),
            "calendar": await calendar.state(self._pool, account),
        }
