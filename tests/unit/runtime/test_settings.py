"""Settings: every fault by its variable; secrets from files, and never shown; pages are closed by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.notifier.settings import NotifierSettings
from services.tickets.settings import TicketsSettings
from shared.runtime.settings import ServiceSettings, SettingsError


def test_every_fault_is_told_by_its_variable() -> None:
    with pytest.raises(SettingsError) as error:
        ServiceSettings.from_environment({"ANDON_PORT": "x", "ANDON_LOG": "xml", "ANDON_KAFKAA": "1", "OTHER": "1"})

    lines = str(error.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["ANDON_KAFKAA", "ANDON_LOG", "ANDON_PORT"]
    assert "no such setting" in lines[0]


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("very secret\n")
    settings = NotifierSettings.from_environment({"ANDON_SMTP_PASSWORD_FILE": str(tmp_path / "password")})

    assert settings.smtp_password.get_secret_value() == "very secret"
    assert "very secret" not in repr(settings)
    with pytest.raises(SettingsError, match="name a readable file"):
        NotifierSettings.from_environment({"ANDON_SMTP_PASSWORD_FILE": "/nowhere"})


def test_the_password_of_postgres_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a/b&c@d\n")
    address = {"ANDON_POSTGRES": "postgresql://andon@db/andon?sslmode=require"}
    settings = ServiceSettings.from_environment(address | {"ANDON_POSTGRES_PASSWORD_FILE": str(tmp_path / "password")})

    assert settings.dsn == "postgresql://andon@db/andon?sslmode=require&password=a%2Fb%26c%40d"
    assert settings.postgres_address == "postgresql://andon@db/andon"
    assert ServiceSettings.from_environment(address).dsn == address["ANDON_POSTGRES"]


@pytest.mark.parametrize("dsn", ["postgresql://andon:x@db/andon", "postgresql://andon@db/andon?password=x"])
def test_a_password_of_postgres_that_is_given_twice_is_refused(dsn: str) -> None:
    with pytest.raises(SettingsError, match=r"ANDON_POSTGRES_PASSWORD: .*given twice"):
        ServiceSettings.from_environment({"ANDON_POSTGRES": dsn, "ANDON_POSTGRES_PASSWORD": "y"})


def test_one_environment_serves_all_parts() -> None:
    environment = {"ANDON_SMTP_HOST": "mail.example", "ANDON_TICKETS_URL": "https://x.example", "ANDON_CLOCK": "log"}

    assert ServiceSettings.from_environment(environment).port == 8080


def test_pages_are_for_this_machine_unless_people_sign_in() -> None:
    with pytest.raises(SettingsError, match="set ANDON_SIGN_IN to password, provider or proxy"):
        TicketsSettings.from_environment({"ANDON_HOST": "0.0.0.0"})
    opened = {"ANDON_HOST": "0.0.0.0", "ANDON_SIGN_IN": "password"}
    assert TicketsSettings.from_environment(opened).host == "0.0.0.0"
    assert TicketsSettings.from_environment({}).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"ANDON_SIGN_IN": "password", "ANDON_TICKETS_URL": "http://andon.example"}, "use an https address"),
        ({"ANDON_SIGN_IN": "provider"}, "ANDON_SIGN_IN_ISSUER or ANDON_SIGN_IN_CLIENT is missing"),
        ({"ANDON_SIGN_IN": "proxy"}, "ANDON_SIGN_IN_PROXIES is missing"),
        ({"ANDON_SIGN_IN": "proxy", "ANDON_SIGN_IN_PROXIES": "10.1.0.0/99"}, "write addresses or networks"),
        ({"ANDON_SIGN_IN": "magic"}, "ANDON_SIGN_IN"),
    ],
)
def test_a_sign_in_that_is_not_whole_is_refused(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        TicketsSettings.from_environment(settings)
