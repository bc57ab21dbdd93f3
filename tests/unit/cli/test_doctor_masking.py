"""No secret is shown, wherever it comes from and however it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli.doctor.masking import mask_of, masked_settings

SECRET = 'o"pen/sesame 1'


@pytest.mark.parametrize(
    "variable",
    ["ANDON_KAFKA_PASSWORD", "ANDON_SMTP_PASSWORD", "ANDON_LINK_KEYS", "ANDON_ROLE_TICKETS_PASSWORD", "CRM_TOKEN"],
)
def test_a_secret_of_the_environment_is_masked_in_each_form(variable: str) -> None:
    mask = mask_of({variable: SECRET})

    assert mask.text(f"at {SECRET}!") == "at ***!"
    assert mask.text(json.dumps({"a": SECRET})) == '{"a": "***"}'
    assert mask.text("https://x/?k=o%22pen%2Fsesame%201") == "https://x/?k=***"
    assert SECRET not in str(masked_settings(mask, {variable: SECRET, "ANDON_KAFKA": "kafka:9092"}))


def test_passwords_in_addresses_are_masked() -> None:
    dsn = "postgresql://andon:p%40ss-word@db/andon?password=an-other"
    mask = mask_of({"ANDON_POSTGRES": dsn, "ANDON_TICKETS_URL": "https://me:hidden@tickets.example"})

    shown = [mask.text(text) for text in (dsn, "p@ss-word", "p%40ss-word", "an-other", "me hidden", "ftp://a:bc@d")]

    address = "postgresql://andon:***@db/andon?password=***"
    assert shown == [address, "***", "***", "***", "me ***", "ftp://a:***@d"]
    assert masked_settings(mask, {"ANDON_POSTGRES": dsn}) == {"ANDON_POSTGRES": address}


def test_the_password_of_a_key_in_an_address_is_masked() -> None:
    mask = mask_of({"ANDON_POSTGRES": "postgresql://andon@db/andon?sslpassword=of-a-key&sslmode=require"})

    assert mask.text("of-a-key require") == "*** require"


def test_a_secret_in_a_file_that_the_environment_names_is_masked(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    environment = {"ANDON_SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    mask = mask_of(environment)

    assert mask.text("it is from-a-file") == "it is ***"
    assert masked_settings(mask, environment) == environment


def test_the_password_of_an_address_in_a_file_is_masked(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("postgresql://andon:from-a-file@db/andon\n")
    mask = mask_of({"ANDON_POSTGRES_FILE": str(tmp_path / "postgres")})

    assert mask.text("db: from-a-file") == "db: ***"


def test_secrets_of_sources_and_hooks_are_masked_also_where_the_files_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-in-file")
    (tmp_path / "sources.yaml").write_text(
        "sources:\n  crm:\n    kind: unknown\n    secrets: [first-secret, env:CRM_SIGNATURE]\n"
        "    webhooks: {one: {event: deal, secrets: [second-secret]}}\n    api: {token: file:token, url: https://x}\n"
    )
    (tmp_path / "hooks.yaml").write_text("hooks:\n  erp: {kind: slack, url: https://hooks.example/T0/secret-path}\n")
    names = {"ANDON_SOURCES": str(tmp_path / "sources.yaml"), "ANDON_NOTIFIER_HOOKS": str(tmp_path / "hooks.yaml")}
    mask = mask_of(names | {"CRM_SIGNATURE": "third-secret"})

    said = "first-secret second-secret third-secret token-in-file https://hooks.example/T0/secret-path"

    assert mask.text(said) == "*** *** *** *** ***"


def test_in_logs_what_stands_behind_a_name_of_secrets_is_masked() -> None:
    mask = mask_of({})

    assert mask.log('{"password": "never-seen", "source": "crm"}') == '{"password": "***", "source": "crm"}'
    assert mask.log("Authorization: Bearer abc.def") == "Authorization: Bearer ***"
    assert mask.log("GET /?token=abc&page=2") == "GET /?token=***&page=2"
