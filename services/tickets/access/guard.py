"""Lets a request through to its route only where the visitor has the route's role, and its form is of this session."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.tickets.access.roles import Role, Visitor, current_visitor

# More than the longest form of a page has.
MAX_FORM_BYTES = 512 * 1024
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
_SAFE = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"
Refuse = Callable[[Request, int], Response]
Rules = Mapping[tuple[str, str], Role]


def methods_of(route: Route) -> Iterable[str]:
    """The methods of a route; GET stands for HEAD."""
    return {"GET" if method == "HEAD" else method for method in route.methods or ()}


def guard(routes: Iterable[BaseRoute], rules: Rules, refuse: Refuse, prefix: str = "") -> None:
    """Put the rules before each of the routes, and those that are mounted. `refuse` makes the answer of a status."""
    for route in routes:
        if isinstance(route, Route):
            wanted = {method: rules.get((method, prefix + route.path)) for method in methods_of(route)}
            route.app = GuardedRoute(route.app, wanted, refuse, is_form=not prefix)
        elif isinstance(route, Mount) and route.routes:
            guard(route.routes, rules, refuse, prefix + route.path)
        elif isinstance(route, Mount):
            role = rules.get(("GET", f"{prefix}{route.path}/{{path:path}}"))
            route.app = GuardedRoute(route.app, {"GET": role}, refuse, is_form=False)


class GuardedRoute:
    """One route. `wanted`: the role by method; None: not declared, so nobody may. `is_form`: POSTs carry a token."""

    def __init__(self, app: ASGIApp, wanted: Mapping[str, Role | None], refuse: Refuse, is_form: bool) -> None:
        self._app, self.wanted, self._refuse, self._is_form = app, wanted, refuse, is_form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, visitor = Request(scope, receive), current_visitor()
        role = self.wanted.get("GET" if request.method == "HEAD" else request.method)
        status = _refused(role, visitor)
        # A form for everybody, such as the one to sign in, asks itself where it comes from.
        if not status and role and self._is_form and visitor.csrf and request.method not in _SAFE:
            body = await _body(request)
            status = 413 if body is None else 0 if _is_of_session(request, body, visitor) else 403
            receive = _again(body or b"", receive)
        if status:
            await self._refuse(request, status)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _refused(role: Role | None, visitor: Visitor) -> int:
    """0: not refused."""
    if role is None:
        return 403
    if visitor.may(role):
        return 0
    return 403 if visitor.is_signed_in else 401


async def _body(request: Request) -> bytes | None:
    """None: too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            return None
    return body


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
