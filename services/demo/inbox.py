"""The demo's mail server: accepts every mail, keeps it in a folder, and shows it on web pages."""

from __future__ import annotations

import argparse
import asyncio
import email
import itertools
import signal
import time
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import uvicorn
from aiosmtpd.controller import Controller
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from shared.runtime.addresses import LOOPBACK_HOSTS

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'self'"
    )
}


class Mailbox:
    """Mails as files, whose names sort by arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Called by the SMTP server; the mail is in its file before the sender gets the reply."""
        name = f"{time.time_ns()}-{next(self._count)}.eml"
        new = self._folder / f"{name}.new"
        new.write_bytes(envelope.content)
        new.rename(self._folder / name)
        return "250 kept"

    def names(self) -> list[str]:
        """The names of all mails, newest first."""
        return sorted((path.stem for path in self._folder.glob("*.eml")), reverse=True)

    def raw(self, name: str) -> bytes | None:
        """A mail's bytes; None if there is no mail of this name."""
        return (self._folder / f"{name}.eml").read_bytes() if name in self.names() else None

    def mail(self, name: str) -> EmailMessage | None:
        """A mail, parsed; None if there is no mail of this name."""
        found = self.raw(name)
        return email.message_from_bytes(found, policy=default) if found is not None else None  # type: ignore[return-value, unused-ignore]


class InboxPages:
    """The list of mails, and the pages of one mail."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates.filters.update(first_line=first_line, sent_at=sent_at)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.inbox),
            Route("/mails/{name}", self.mail),
            Route("/mails/{name}/html", self.html),
            Route("/mails/{name}/raw", self.raw),
            Route("/mails/{name}/part/{part}", self.part),
        ]

    async def inbox(self, request: Request) -> Response:
        names = self._box.names()[:500]
        mails = [(name, mail) for name in names if (mail := self._box.mail(name)) is not None]
        return self._page("inbox.html", mails=mails, missing=False)

    async def mail(self, request: Request) -> Response:
        name = request.path_params["name"]
        mail = self._box.mail(name)
        if mail is None:
            return self._page("inbox.html", mails=[], missing=True, status=404)
        text = mail.get_body(("plain",))
        headers = [(key, str(value)) for key, value in mail.items()]
        return self._page(
            "mail.html",
            name=name,
            mail=mail,
            text=text.get_content() if text else "",
            headers=headers,
            has_html=mail.get_body(("html",)) is not None,
        )

    async def html(self, request: Request) -> Response:
        """The HTML part alone; embedded pictures are served by `part`, by their ids."""
        name = request.path_params["name"]
        mail = self._box.mail(name)
        body = mail.get_body(("html",)) if mail else None
        if body is None:
            return PlainTextResponse("no such mail", 404)
        # Links open in a new tab: the frame does not show other sites.
        content = body.get_content().replace("<head>", '<head><base target="_blank">', 1)
        content = content.replace('src="cid:', f'src="/mails/{name}/part/')
        return HTMLResponse(content, headers=_HEADERS)

    async def part(self, request: Request) -> Response:
        mail = self._box.mail(request.path_params["name"])
        wanted = f"<{request.path_params['part']}>"
        for part in mail.walk() if mail else ():
            if part.get("Content-ID") == wanted and part.get_content_maintype() == "image":
                return Response(part.get_payload(decode=True), media_type=part.get_content_type())
        return PlainTextResponse("no such part", 404)

    async def raw(self, request: Request) -> Response:
        raw = self._box.raw(request.path_params["name"])
        return PlainTextResponse("no such mail", 404) if raw is None else PlainTextResponse(raw)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(**values), status, _HEADERS)


def first_line(mail: EmailMessage) -> str:
    """The preview that a mail program shows under the subject."""
    text = mail.get_body(("plain",))
    lines = [line for line in text.get_content().splitlines() if line] if text else []
    return " ".join(lines[:2])


def sent_at(mail: EmailMessage) -> str:
    """`25 November, 04:14 UTC`, in this machine's time zone."""
    at = parsedate_to_datetime(str(mail["Date"])).astimezone()
    return f"{at.day} {at:%B, %H:%M %Z}"


def application(box: Mailbox) -> Starlette:
    """The pages; requests for other hosts than this machine are rejected, against DNS rebinding."""
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS)
    return Starlette(routes=InboxPages(box).routes(), middleware=[hosts])


async def serve(folder: Path, smtp_port: int, http_port: int) -> None:
    """Serve SMTP and HTTP on loopback until SIGTERM or SIGINT."""
    box = Mailbox(folder)
    controller = Controller(box, hostname="127.0.0.1", port=smtp_port, data_size_limit=33_554_432)
    controller.start()  # type: ignore[no-untyped-call, unused-ignore]
    config = uvicorn.Config(
        application(box), "127.0.0.1", http_port, log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    await server.serve()
    controller.stop()  # type: ignore[no-untyped-call, unused-ignore]


def main() -> None:
    """`python -m services.demo.inbox FOLDER SMTP_PORT HTTP_PORT`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("smtp_port", type=int)
    parser.add_argument("http_port", type=int)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.folder, chosen.smtp_port, chosen.http_port))


if __name__ == "__main__":
    main()
