"""Settings of the cord."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from services.tickets.domain.rates import Rate
from services.tickets.domain.tokens import LETTERS
from shared.runtime.addresses import ADDRESS
from shared.runtime.mailbox import MailboxAccess
from shared.runtime.settings import ServiceSettings

# RFC 5321, 4.5.3.1.1: letters before the @.
_MAX_LOCAL = 64


class CordSettings(ServiceSettings):
    """Links, how often each may be used, and the two ways by mail, which are off by default."""

    cord_url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="address that the links of cords begin with, where it is not that of the pages",
    )
    cord_burst: int = Field(10, ge=1, le=1000, description="pulls that one link may bring at once")
    cord_every_seconds: int = Field(
        300, ge=1, le=86_400, description="seconds after which a link that was used up may bring another pull"
    )
    cord_mail: str | None = Field(
        None,
        pattern=ADDRESS,
        max_length=254,
        description="mail address of the cords; each link's is the same with +TOKEN before the @",
    )
    cord_smtp_host: str = Field("127.0.0.1", description="address that the SMTP door of the cords listens on")
    cord_smtp_port: int = Field(0, ge=0, le=65535, description="port of the SMTP door of the cords; 0: there is none")
    cord_imap_host: str = Field("", description="IMAP server with the mailbox of the cords; empty: none is read")
    cord_imap_port: int = Field(993, ge=1, le=65535, description="port of that server")
    cord_imap_security: Literal["tls", "none"] = Field("tls", description="tls, or none for a server on this machine")
    cord_imap_ca: Path | None = Field(None, description="certificates (PEM) of a private CA that signed the server's")
    cord_imap_user: str = Field("", description="user of the mailbox")
    cord_imap_password: SecretStr = Field(
        SecretStr(""), description="its password; ANDON_CORD_IMAP_PASSWORD_FILE names a file"
    )
    cord_imap_folder: str = Field("INBOX", min_length=1, description="folder that the mails are in")
    cord_imap_every_seconds: int = Field(60, ge=1, le=86_400, description="seconds between two looks into the mailbox")

    @property
    def pull_rate(self) -> Rate:
        return Rate(self.cord_burst, timedelta(seconds=self.cord_every_seconds))

    @property
    def mailbox(self) -> MailboxAccess | None:
        """The mailbox to read; None: none."""
        if not self.cord_imap_host:
            return None
        return MailboxAccess(
            self.cord_imap_host,
            self.cord_imap_port,
            self.cord_imap_user,
            self.cord_imap_password.get_secret_value(),
            self.cord_imap_folder,
            self.cord_imap_security == "tls",
            self.cord_imap_ca,
        )

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if (self.cord_smtp_port or self.cord_imap_host) and self.cord_mail is None:
            raise ValueError("ANDON_CORD_MAIL is missing; set the mail address of the cords, as cord@example.org")
        if self.cord_mail and len(self.cord_mail.partition("@")[0]) > _MAX_LOCAL - LETTERS - 1:
            raise ValueError(f"ANDON_CORD_MAIL={self.cord_mail}: too long before the @ for a token; shorten it")
        if self.cord_imap_host and not (self.cord_imap_user and self.cord_imap_password.get_secret_value()):
            raise ValueError("ANDON_CORD_IMAP_USER or ANDON_CORD_IMAP_PASSWORD is missing; set both")
        return self
