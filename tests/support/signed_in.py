"""A browser, as far as sign-in goes: it keeps cookies, and sends the forms that it was shown."""

from __future__ import annotations

import re
from functools import cache
from html import unescape

import httpx
from argon2 import PasswordHasher

PASSWORD = "correct horse battery staple"


@cache
def hashed(password: str) -> str:
    """A hash that is checked quickly."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)


class Browser:
    """Follows no redirects by itself."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, address: str) -> httpx.Response:
        return await self.client.get(address)

    async def send(self, address: str, page: str | None = None, **fields: str) -> httpx.Response:
        """Post a form; with its session's token where `page` shows one."""
        token = await self.token(page) if page else ""
        form = fields | ({"csrf": token} if token else {})
        return await self.client.post(address, data=form, headers={"Origin": str(self.client.base_url).rstrip("/")})

    async def token(self, page: str) -> str:
        """The token of the forms on a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get(page)).text)
        return unescape(found[1]) if found else ""

    async def sign_in(self, email: str, password: str = PASSWORD, to: str = "/") -> httpx.Response:
        return await self.send("/sign-in", email=email, password=password, to=to)
