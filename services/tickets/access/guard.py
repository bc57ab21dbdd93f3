"""Lets a request through to its route only where the visitor has the route's role, and its form is of this session."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.tickets.access.roles import Role, Visitor, current_visitor
from services.tickets.access.route_roles import EXPORTS

CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
_SAFE = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"
Rules = Mapping[tuple[str, str], Role]


def methods_of(route: Route) -> Iterable[str]:
    """The methods of a route; GET stands for HEAD."""
    return {"GET" if method == "HEAD" else method for method in route.methods or ()}


def guard(routes: Iterable[BaseRoute], rules: Rules, door: Door, prefix: str = "") -> None:
    """Put the rules before each of the routes, and those that are mounted."""
    for route in routes:
        if isinstance(route, Route):
            wanted = {method: rules.get((method, prefix + route.path)) for method in methods_of(route)}
            route.app = GuardedRoute(route.app, wanted, door, not prefix, prefix + route.path in EXPORTS)
        elif isinstance(route, Mount) and route.routes:
            guard(route.routes, rules, door, prefix + route.path)
        elif isinstance(route, Mount):
            role = rules.get(("GET", f"{prefix}{route.path}/{{path:path}}"))
            route.app = GuardedRoute(route.app, {"GET": role}, door, is_form=False)


class Door(Protocol):
    """What happens beside letting a request through."""

    async def refused(self, request: Request, status: int) -> Response:
        """The answer to a request that may not be."""

    async def exported(self, request: Request) -> None:
        """Somebody takes data with them."""


class GuardedRoute:
    """One route. `wanted`: the role by method; None: not declared, so nobody may.

    What changes by a browser's session carries its CSRF token: a form in a field or the header, the API in the header.
    """

    def __init__(
        self, app: ASGIApp, wanted: Mapping[str, Role | None], door: Door, is_form: bool, is_export: bool = False
    ) -> None:
        self._app, self.wanted, self._door = app, wanted, door
        self._is_form, self._is_export = is_form, is_export

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, visitor = Request(scope, receive), current_visitor()
        role = self.wanted.get("GET" if request.method == "HEAD" else request.method)
        status = _refused(role, visitor)
        # A form for everybody, such as the one to sign in, asks itself where it comes from.
        if not status and role and visitor.csrf and request.method not in _SAFE:
            body = await request.body()
            status = 0 if _is_of_session(request, body if self._is_form else b"", visitor) else 403
            receive = _again(body, receive)
        if status:
            answer = await self._door.refused(request, status)
            await answer(scope, receive, send)
            return
        if self._is_export:
            await self._door.exported(request)
        await self._app(scope, receive, send)


def _refused(role: Role | None, visitor: Visitor) -> int:
    """0: not refused."""
    if role is None:
        return 403
    if visitor.may(role):
        return 0
    return 403 if visitor.is_signed_in else 401


def _is_of_session(request: Request, body: bytes, visitor: Visitor) -> bool:
    sent = request.headers.get(CSRF_HEADER) or _field(request, body)
    return hmac.compare_digest(sent.encode(), visitor.csrf.encode())


def _field(request: Request, body: bytes) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return ""
    return parse_qs(body.decode("latin-1")).get(CSRF_FIELD, [""])[0]


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand a body that was read out once more."""
    parts = [body]

    async def receive_again() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return receive_again
