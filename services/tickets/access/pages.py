"""The pages of sign-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from math import ceil
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.back_to import START, safe_address
from services.tickets.access.cookies import Cookies
from services.tickets.access.fields import EMPTY, fields_of, too_often
from services.tickets.access.identity import named_by_proxy, network_of
from services.tickets.access.names import UnusableName
from services.tickets.access.passwords import SHORTEST, WeakPassword
from services.tickets.access.provider import Provider
from services.tickets.access.roles import current_visitor
from services.tickets.access.sessions import new_secret
from services.tickets.access.settings import AccessSettings
from services.tickets.access.sign_in import SignIn, SignInRefused, Vouched
from services.tickets.domain.rates import TooOften
from services.tickets.store import accounts, sessions
from services.tickets.web.forms import is_same_origin
from services.tickets.web.page_context import PageContext
from shared.runtime.clock import Clock

Handler = Callable[..., Awaitable[Response]]
_STATE_SECONDS = 600


def _of_these_pages(handler: Handler) -> Handler:
    """Take a form only from these pages: else another site could sign a browser in as somebody else."""

    @wraps(handler)
    async def checked(self: SignInPages, request: Request) -> Response:
        if not is_same_origin(request):
            return self.error(403, "This form came from another site", "Open the page again and use its form.")
        return await handler(self, request)

    return checked


class SignInPages:
    """`provider`: None where there is none."""

    def __init__(
        self,
        context: PageContext,
        settings: AccessSettings,
        sign_in: SignIn,
        provider: Provider | None,
        cookies: Cookies,
        wall: Clock,
    ) -> None:
        self._settings, self._sign_in, self._provider = settings, sign_in, provider
        self._cookie, self._visit_cookie = cookies.session, cookies.visit
        self._pool, self._wall, self._html, self.error = context.pool, wall, context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sign-in", self.form, methods=["GET"]),
            Route("/sign-in", self.send, methods=["POST"]),
            Route("/sign-in/link/{token}", self.link, methods=["GET"]),
            Route("/sign-in/link/{token}", self.choose, methods=["POST"]),
            Route("/sign-in/provider", self.leave, methods=["GET"]),
            Route("/sign-in/provider/answer", self.come_back, methods=["GET"]),
        ]

    def refuse(self, request: Request, status: int) -> Response:
        """The answer to a request that may not be: whoever has not signed in is asked to."""
        if status == 401 and request.method in ("GET", "HEAD"):
            wanted = quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?{urlencode({'to': wanted})}", 303)
        if status == 401:
            return self.error(401, "Sign in first", "Your session has ended. Sign in, and send the form again.")
        if current_visitor().is_signed_in and request.method in ("GET", "HEAD"):
            return self.error(403, "This page is not for your role", "Ask who runs Andon if you need it.")
        return self.error(403, "This was not done", "Your role does not allow it, or the page is old: load it anew.")

    async def form(self, request: Request) -> Response:
        to = safe_address(request.query_params.get("to", START))
        if current_visitor().is_signed_in or not self._settings.asks_to_sign_in:
            return RedirectResponse(to, 303)
        if self._settings.sign_in == "proxy":
            return await self._by_proxy(request, to)
        return self._form(to)

    @_of_these_pages
    async def send(self, request: Request) -> Response:
        """The mail address and password were sent."""
        form = await fields_of(request)
        to, email = safe_address(form.get("to", START)), form.get("email", "")
        if self._settings.sign_in not in ("password", "provider"):
            return self.error(403, "There are no passwords here", "Open the start page.")
        try:
            secret = await self._sign_in.by_password(email, form.get("password", ""), self._address(request))
        except SignInRefused as error:
            return self._form(to, 422, email, str(error))
        except TooOften as error:
            page = self._form(to, 429, email, too_often(error))
            page.headers["Retry-After"] = str(ceil(error.wait.total_seconds()))
            return page
        return await self._signed_in(request, secret, to)

    async def link(self, request: Request) -> Response:
        found = await accounts.find_link(self._pool, request.path_params["token"], self._wall.now())
        if found is None:
            return self.error(404, "This link does not work any more", "Ask who runs Andon for another.")
        return self._link(request, is_first=found.account is None)

    @_of_these_pages
    async def choose(self, request: Request) -> Response:
        """A password was chosen at a link."""
        form, token = await fields_of(request), request.path_params["token"]
        found = await accounts.find_link(self._pool, token, self._wall.now())
        try:
            secret = await self._sign_in.by_link(
                token, form.get("email", ""), form.get("name", ""), form.get("password", "")
            )
        except (WeakPassword, UnusableName, SignInRefused) as error:
            if isinstance(error, SignInRefused):
                await self._sign_in.note_refused("link", self._address(request))
            return self._link(request, found is not None and found.account is None, 422, form, str(error))
        return await self._signed_in(request, secret, START)

    async def leave(self, request: Request) -> Response:
        """Off to the identity provider."""
        if self._provider is None:
            return self.error(404, "There is no such page", "Check the address, or start at the list.")
        state, to = new_secret(), safe_address(request.query_params.get("to", START))
        try:
            address = await self._provider.leave(state, to)
        except SignInRefused as error:
            return self._form(to, 503, fault=str(error))
        answer = RedirectResponse(address, 303)
        # It binds the answer to this browser.
        self._visit_cookie.put(answer, state, _STATE_SECONDS)
        return answer

    async def come_back(self, request: Request) -> Response:
        """Back from the identity provider."""
        asked, state = request.query_params, self._visit_cookie.read(request)
        if self._provider is None or not state or asked.get("state") != state:
            return self._form(START, 403, fault="This sign-in was begun elsewhere, or took too long. Start again.")
        try:
            person, to = await self._provider.come_back(state, asked.get("code", ""), asked.get("iss", ""))
            secret = await self._sign_in.vouched(person)
        except SignInRefused as error:
            await self._sign_in.note_refused("provider", self._address(request))
            return self._form(START, 403, fault=str(error))
        answer = await self._signed_in(request, secret, safe_address(to))
        self._visit_cookie.drop(answer)
        return answer

    def _address(self, request: Request) -> str:
        return network_of(request, self._settings)

    async def _by_proxy(self, request: Request, to: str) -> Response:
        email = named_by_proxy(request, self._settings)
        if not email:
            return self.error(403, "The proxy names nobody", "Open Andon through your company's address.")
        try:
            secret = await self._sign_in.vouched(Vouched(email, ""))
        except SignInRefused as error:
            await self._sign_in.note_refused("proxy", self._address(request))
            return self.error(403, "You cannot come in", str(error))
        return await self._signed_in(request, secret, to)

    async def _signed_in(self, request: Request, secret: str, to: str) -> Response:
        """Send the browser on with its new session; the one that it came with ends."""
        if old := self._cookie.read(request):
            await sessions.end(self._pool, old)
        answer = RedirectResponse(to, 303)
        self._cookie.put(answer, secret)
        return answer

    def _form(self, to: str, status: int = 200, email: str = "", fault: str = "") -> Response:
        provider = self._settings.sign_in_issuer_name if self._provider else ""
        return self._html("sign_in.html", status, to=to, email=email, fault=fault, provider=provider)

    def _link(
        self,
        request: Request,
        is_first: bool,
        status: int = 200,
        form: Mapping[str, str] = EMPTY,
        fault: str = "",
    ) -> Response:
        values = {"is_first": is_first, "token": request.path_params["token"], "shortest": SHORTEST, "fault": fault}
        return self._html("sign_in_link.html", status, **values, form=form)
