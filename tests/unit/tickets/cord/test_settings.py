"""Settings of the cord: what is missing or does not fit is refused at start."""

from __future__ import annotations

import pytest

from services.notifier.settings import NotifierSettings
from services.tickets.cord.mail_address import CordAddress
from services.tickets.domain.tokens import new_token
from services.tickets.settings import TicketsSettings
from shared.runtime.settings import SettingsError

IMAP = {"ANDON_CORD_IMAP_HOST": "mail.example", "ANDON_CORD_MAIL": "cord@andon.example"}


def test_mail_is_off_by_default() -> None:
    settings = TicketsSettings.from_environment({})

    assert (settings.cord_smtp_port, settings.mailbox, settings.cord_mail) == (0, None, None)


def test_another_service_may_see_these_settings() -> None:
    NotifierSettings.from_environment({"ANDON_CORD_MAIL": "cord@andon.example"} | {"ANDON_SMTP_HOST": "x.example"})


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"ANDON_CORD_SMTP_PORT": "2525"}, "ANDON_CORD_MAIL is missing; set the mail address of the cords"),
        ({"ANDON_CORD_MAIL": f"{'c' * 38}@andon.example"}, "too long before the @ for a token"),
        ({"ANDON_CORD_MAIL": "nobody"}, "ANDON_CORD_MAIL"),
        (IMAP, "ANDON_CORD_IMAP_USER or ANDON_CORD_IMAP_PASSWORD is missing; set both"),
        (IMAP | {"ANDON_CORD_IMAP_USER": "cord"}, "ANDON_CORD_IMAP_PASSWORD is missing"),
        ({"ANDON_CORD_URL": "cord.example"}, "ANDON_CORD_URL"),
        ({"ANDON_CORD_BURST": "0"}, "ANDON_CORD_BURST"),
    ],
)
def test_what_does_not_fit_is_named(environment: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError) as refused:
        TicketsSettings.from_environment(environment)

    assert fault in str(refused.value)


def test_pages_answer_to_the_name_of_the_cords() -> None:
    settings = TicketsSettings.from_environment({"ANDON_CORD_URL": "https://cord.example"})

    assert "cord.example" in settings.hosts


@pytest.mark.parametrize("local", ["cord", "c.o-r_d", "c" * 37])
def test_the_address_of_a_link_fits_a_mail(local: str) -> None:
    address, token = CordAddress(f"{local}@andon.example"), new_token()

    whole = address.of(token)
    assert len(whole.partition("@")[0]) <= 64
    assert [address.token_in(one) for one in (whole, whole.upper(), f" {whole} ")] == [token] * 3
    assert [address.token_in(one) for one in (f"{local}@andon.example", f"x{whole}", f"{whole}x", "", "@", token)] == [
        None
    ] * 6
