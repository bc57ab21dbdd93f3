"""Settings of the notifier, from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from services.notifier.hooks.networks import Reachable, parse_networks
from shared.policy.canary import DEFAULT_MAIL
from shared.runtime.addresses import ADDRESS, DOMAIN, HELO_NAME, LOOPBACK, LOOPBACK_HOSTS
from shared.runtime.clock import ClockKind
from shared.runtime.mailbox import MailboxAccess
from shared.runtime.read_links import ReadLinkSettings


class NotifierSettings(ReadLinkSettings):
    port: int = Field(
        8084, ge=0, le=65535, description="port of health, metrics and the pages on which readers choose their mails"
    )
    smtp_host: str = Field("127.0.0.1", description="host of the mail server")
    smtp_port: int = Field(1025, ge=1, le=65535, description="port of the mail server")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "none", description="none; starttls: connect unencrypted, then switch to TLS; tls: TLS from the first byte"
    )
    smtp_username: str = Field("", description="user name for the mail server; empty: do not sign in")
    smtp_password: SecretStr = Field(
        SecretStr(""), description="password for the mail server; ANDON_SMTP_PASSWORD_FILE names a file with it"
    )
    smtp_sender: str = Field(
        "andon@localhost.localdomain", pattern=ADDRESS, description="address in the From header of mails"
    )
    smtp_helo_name: str = Field(
        "",
        pattern=HELO_NAME,
        description="name in EHLO and HELO, for servers that check it, e.g. andon.example.org; empty: this host's own",
    )
    smtp_ca: str = Field(
        "",
        description="certificates (PEM) of a private CA to trust besides the system's; ANDON_SMTP_CA_FILE names a file"
        " with them",
    )
    smtp_timeout_seconds: float = Field(
        20, gt=0, le=300, description="time-out of each answer of the mail server but the last one"
    )
    smtp_accept_seconds: float = Field(
        600,
        gt=0,
        le=3600,
        description="time-out of the answer to the content, in which servers check for spam; RFC 5321 asks for ten"
        " minutes. Other replicas take over what a dead one was sending after this time",
    )
    notifier_mail_every_seconds: int = Field(
        3600, ge=0, description="minimum time between two mails about one ticket; the later one lists all changes"
    )
    notifier_keep_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="content of mails is deleted this long after they were sent or refused; what is needed to send"
        " nothing twice is kept",
    )

    notifier_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
        description="address of the pages on which readers choose their mails, as readers reach this port, e.g."
        " https://andon.example.org; empty: mails name no such page. One-click unsubscribe needs https",
    )
    notifier_bounce_port: int = Field(
        0, ge=0, le=65535, description="port of the SMTP server that takes returned mails; 0: it is off"
    )
    notifier_bounce_domain: str = Field(
        "",
        pattern=rf"^({DOMAIN})?$",
        description="mail domain whose server hands mails for bounce+...@ to that port, or into that mailbox; empty:"
        " mails are returned to ANDON_SMTP_SENDER",
    )
    notifier_bounce_imap_host: str = Field(
        "", description="IMAP server with the mailbox of returned mails; empty: none"
    )
    notifier_bounce_imap_port: int = Field(993, ge=1, le=65535, description="port of that server")
    notifier_bounce_imap_security: Literal["tls", "none"] = Field(
        "tls", description="tls, or none for a server on this machine"
    )
    notifier_bounce_imap_ca: Path | None = Field(
        None, description="certificates (PEM) of a private CA that signed the server's"
    )
    notifier_bounce_imap_user: str = Field("", description="user of the mailbox")
    notifier_bounce_imap_password: SecretStr = Field(
        SecretStr(""), description="its password; ANDON_NOTIFIER_BOUNCE_IMAP_PASSWORD_FILE names a file"
    )
    notifier_bounce_imap_folder: str = Field("INBOX", min_length=1, description="folder that the mails are in")
    notifier_bounce_imap_every_seconds: int = Field(
        60, ge=1, le=86_400, description="seconds between two looks into the mailbox"
    )
    notifier_hooks: Path | None = Field(
        None, description="the hooks file: webhooks, Slack, Teams (docs/operator/hooks.md); empty: there are none"
    )
    notifier_hooks_allow: str = Field(
        "",
        description="networks or addresses that hooks may reach besides the internet, over http too, with commas"
        " between: 10.1.0.0/16,192.168.5.7",
    )
    notifier_hooks_ca: Path | None = Field(
        None, description="certificates (PEM) of a private CA to trust besides the system's, for hooks"
    )
    canary_mail: str = Field(
        DEFAULT_MAIL,
        pattern=ADDRESS,
        description="address that mails of `andon canary` go to, which nobody has to read",
    )
    canary_mail_every_seconds: int = Field(
        3600,
        ge=0,
        description="minimum time between two of these mails; in between, the mail server is asked whether it takes one"
        " (up to RCPT), and gets none",
    )
    clock: ClockKind = Field(
        ClockKind.WALL, description="wall: live; log: replays, in which plans and looks fall due by the log's time"
    )

    @field_validator("smtp_ca")
    @classmethod
    def _certificates(cls, text: str) -> str:
        if text:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
            except (ssl.SSLError, ValueError) as error:
                raise ValueError(f"holds no certificate in PEM ({error}); give the CA's certificate") from None
        return text

    @field_validator("notifier_hooks", "notifier_hooks_ca", mode="before")
    @classmethod
    def _none_where_empty(cls, value: object) -> object:
        return value or None

    @field_validator("notifier_hooks_allow")
    @classmethod
    def _networks(cls, text: str) -> str:
        try:
            parse_networks(text)
        except ValueError as error:
            raise ValueError(f"{error}; write networks such as 10.1.0.0/16, with commas between") from None
        return text

    @property
    def hooks_reachable(self) -> Reachable:
        """Where hooks may send to."""
        return Reachable(parse_networks(self.notifier_hooks_allow))

    @model_validator(mode="after")
    def _mailbox_is_whole(self) -> Self:
        if not self.notifier_bounce_imap_host:
            return self
        if not (self.notifier_bounce_imap_user and self.notifier_bounce_imap_password.get_secret_value()):
            raise ValueError(
                "ANDON_NOTIFIER_BOUNCE_IMAP_USER or ANDON_NOTIFIER_BOUNCE_IMAP_PASSWORD is missing; set both"
            )
        return self

    @property
    def takes_returned_mails(self) -> bool:
        """Whether there is a way for them to come."""
        return bool(self.notifier_bounce_port or self.notifier_bounce_imap_host)

    @property
    def bounce_mailbox(self) -> MailboxAccess | None:
        """The mailbox of returned mails; None: none."""
        if not self.notifier_bounce_imap_host:
            return None
        return MailboxAccess(
            self.notifier_bounce_imap_host,
            self.notifier_bounce_imap_port,
            self.notifier_bounce_imap_user,
            self.notifier_bounce_imap_password.get_secret_value(),
            self.notifier_bounce_imap_folder,
            self.notifier_bounce_imap_security == "tls",
            self.notifier_bounce_imap_ca,
        )

    @property
    def hosts(self) -> list[str]:
        """Host names that the pages answer to: that of their address, and this machine's."""
        return [*LOOPBACK_HOSTS, urlsplit(self.notifier_url).hostname or LOOPBACK[0]]

    @property
    def sends_password_in_clear(self) -> bool:
        """Whether the password would cross the network unencrypted."""
        return bool(self.smtp_username) and self.smtp_security == "none"

    @property
    def follows_log(self) -> bool:
        """Whether days are those of the log's clock."""
        return self.clock is ClockKind.LOG

    @property
    def domain(self) -> str:
        """Domain of Message-IDs."""
        return self.smtp_sender.partition("@")[2]
