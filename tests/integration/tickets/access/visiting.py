"""What unwanted visitors have in common: a stolen cookie, and forms that they made themselves."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from tests.support.raw_request import RawAnswer, RawVisitor
from tests.support.signed_in import Browser

MakeBrowser = Callable[..., Browser]
FORM = ("content-type", "application/x-www-form-urlencoded")


async def signed_in(browser: MakeBrowser, email: str) -> tuple[Browser, tuple[str, str]]:
    """A browser, and the header with its cookie."""
    one = browser()
    assert (await one.sign_in(email)).status_code == 303
    return one, ("cookie", f"andon_session={one.client.cookies['andon_session']}")


async def send(visitor: RawVisitor, target: str, *headers: tuple[str, str], **fields: str) -> RawAnswer:
    return await visitor.ask("POST", target, FORM, *headers, body=[urlencode(fields).encode()])
