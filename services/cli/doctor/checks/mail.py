"""Whether the mail server answers and signs us in; with --mail also whether it takes a mail."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.notifier.delivery.smtp import SmtpServer, Undelivered
from services.notifier.settings import NotifierSettings

ANSWER_SECONDS = 5.0
_WAY_OUT = "see docs/operator/mail-server.md"


async def _run(site: Site) -> list[CheckFinding]:
    settings = NotifierSettings.from_environment()
    limit = min(ANSWER_SECONDS, settings.smtp_timeout_seconds)
    server = SmtpServer(settings.model_copy(update={"smtp_timeout_seconds": limit, "smtp_accept_seconds": limit}))
    address = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        async with asyncio.timeout(limit):
            await server.connect()
        found = [_connected(settings, address)]
        return [*found, await _sent(server, settings, site.mail_to)] if site.mail_to else found
    except (Undelivered, TimeoutError) as error:
        text = f"{address} cannot be used: {str(error) or f'no answer within {limit:g} s'}"
        return [_unusable(settings, text)]
    finally:
        server.close()


def _connected(settings: NotifierSettings, address: str) -> CheckFinding:
    if settings.sends_password_in_clear:
        todo = "set ANDON_SMTP_SECURITY to starttls or tls"
        return look("mail server", f"{address} answers; the password crosses the network in the clear", todo)
    return good("mail server", f"{address} answers" + (" and signs us in" if settings.smtp_username else ""))


def _unusable(settings: NotifierSettings, text: str) -> CheckFinding:
    if "smtp_host" in settings.model_fields_set:
        return bad("mail server", text, _WAY_OUT)
    # The environment of an operator need not be that of the notifier.
    return look("mail server", text, f"give this command the notifier's settings, ANDON_SMTP_HOST at least; {_WAY_OUT}")


async def _sent(server: SmtpServer, settings: NotifierSettings, address: str) -> CheckFinding:
    until = asyncio.get_running_loop().time() + ANSWER_SECONDS
    try:
        await server.send(_mail(settings, address).as_bytes(policy=SMTP), address, until)
    except Undelivered as error:
        return bad("test mail", f"to {address} was refused: {error.answer}", _WAY_OUT)
    return good("test mail", f"the server took one for {address}; whether it arrives, that mailbox shows")


def _mail(settings: NotifierSettings, address: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = settings.smtp_sender, address, "A test by andon doctor"
    mail["Date"], mail["Message-ID"] = format_datetime(localtime()), make_msgid("andon-doctor", settings.domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("Mails of Andon come from this address. Nothing is to be done.\n")
    return mail


CHECK = Check("mail", _run, seconds=12.0)
