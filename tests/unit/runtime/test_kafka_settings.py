"""How to sign in to Kafka: settings that do not fit together are refused, each with its way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.kafka.access import KafkaAccess
from shared.runtime.settings import ServiceSettings, SettingsError
from tests.support.certificates import Authority

USER = {"ANDON_KAFKA_USER": "andon-tickets", "ANDON_KAFKA_PASSWORD": "a-password"}


def fault(**given: str) -> str:
    with pytest.raises(SettingsError) as caught:
        ServiceSettings.from_environment(given)
    return str(caught.value)


def test_the_default_is_plaintext() -> None:
    access = KafkaAccess.of(ServiceSettings.from_environment({}))

    assert access == KafkaAccess("127.0.0.1:9092")
    assert access.client_options() == {"bootstrap_servers": "127.0.0.1:9092"}


def test_a_user_signs_in_over_tls(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(Authority(tmp_path).pem)
    (tmp_path / "password").write_text("a-password\n")
    given = {
        "ANDON_KAFKA_SECURITY": "sasl_tls",
        "ANDON_KAFKA_USER": "andon-tickets",
        "ANDON_KAFKA_PASSWORD_FILE": str(tmp_path / "password"),
        "ANDON_KAFKA_CA_FILE": str(tmp_path / "ca.pem"),
    }
    access = KafkaAccess.of(ServiceSettings.from_environment(given))
    options = access.client_options()

    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("andon-tickets", "a-password")
    assert options["ssl_context"].check_hostname
    assert "a-password" not in repr(access)


def test_tls_without_a_user_sends_none() -> None:
    options = KafkaAccess.of(ServiceSettings.from_environment({"ANDON_KAFKA_SECURITY": "tls"})).client_options()

    assert options["security_protocol"] == "SSL"
    assert "sasl_plain_username" not in options


@pytest.mark.parametrize("name", USER)
@pytest.mark.parametrize("security", ["plaintext", "tls"])
def test_a_user_that_would_not_be_used_is_a_fault(security: str, name: str) -> None:
    found = fault(ANDON_KAFKA_SECURITY=security, **{name: USER[name]})

    assert found.startswith(f"{name}: ")
    assert "set it to sasl_tls" in found


@pytest.mark.parametrize("name", USER)
def test_a_missing_user_or_password_is_a_fault(name: str) -> None:
    given = {key: value for key, value in USER.items() if key != name}

    assert fault(ANDON_KAFKA_SECURITY="sasl_tls", **given).startswith(f"{name}: Value error, is missing")


def test_a_ca_that_would_not_be_used_or_is_none_is_a_fault(tmp_path: Path) -> None:
    assert "set ANDON_KAFKA_SECURITY" in fault(ANDON_KAFKA_CA=Authority(tmp_path).pem)
    assert "holds no certificate" in fault(ANDON_KAFKA_SECURITY="tls", ANDON_KAFKA_CA="-----BEGIN CERTIFICATE-----\nx")


def test_an_unknown_security_is_the_only_fault() -> None:
    assert fault(ANDON_KAFKA_SECURITY="ssl", **USER).startswith("ANDON_KAFKA_SECURITY: ")
    assert "\n" not in fault(ANDON_KAFKA_SECURITY="ssl", **USER)


def test_a_user_with_separators_of_scram_is_a_fault() -> None:
    assert "must not contain" in fault(**{"ANDON_KAFKA_SECURITY": "sasl_tls", **USER, "ANDON_KAFKA_USER": "a,b"})
