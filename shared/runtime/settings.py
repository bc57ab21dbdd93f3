"""Settings from the environment, checked at start. A wrong or unknown `ANDON_` variable is an error with a way out."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.runtime.addresses import dsn_with_password, has_password, printable_dsn
from shared.runtime.log import LogForm

PREFIX = "ANDON_"
KafkaSecurity: TypeAlias = Literal["plaintext", "tls", "sasl_tls"]
# One environment may serve all parts: a variable of another part is not a misspelt one of this part.
OTHER_PARTS = (
    "canary_",
    "clock",
    "cord_",
    "data",
    "demo_",
    "detector_",
    "enricher_",
    "intake_",
    "link_",
    "notifier_",
    "report_",
    "role_",
    "sign_in",
    "smtp_",
    "sources",
    "test_",
    "tickets_",
)


class SettingsError(Exception):
    """All faults of the settings, one per line."""


class ServiceSettings(BaseSettings):
    """Settings of all services. Each service adds its own fields."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]")
    kafka_security: KafkaSecurity = Field(
        "plaintext",
        description="plaintext; tls: encrypted, without a user; sasl_tls: encrypted, and signed in by SCRAM-SHA-512",
    )
    kafka_ca: str = Field(
        "",
        description="certificates (PEM) of the CA to trust for Kafka instead of the system's; ANDON_KAFKA_CA_FILE names"
        " a file with them",
    )
    kafka_user: str = Field(
        "", validate_default=True, description="user on Kafka; each service has one of its own, e.g. andon-tickets"
    )
    kafka_password: SecretStr = Field(
        SecretStr(""), validate_default=True, description="its password; ANDON_KAFKA_PASSWORD_FILE names a file"
    )
    postgres: SecretStr = Field(
        SecretStr("postgresql://andon@127.0.0.1:5432/andon"),
        description="Postgres DSN; ANDON_POSTGRES_FILE names a file",
    )
    postgres_password: SecretStr = Field(
        SecretStr(""),
        description="password for a Postgres DSN without one; ANDON_POSTGRES_PASSWORD_FILE names a file",
    )
    policy: Path = Field(Path("policy.yaml"), description="the policy file")
    policy_managed: Literal["file", "browser"] = Field(
        "file",
        description="file: the policy file is the truth, and the pages only show it; browser: it is the first version,"
        " and owners change it on the pages. The same for all services",
    )
    log: LogForm = Field("json", description="format of the logs: json or console")
    host: str = Field("127.0.0.1", description="address that the HTTP server listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that the HTTP server listens on")
    replica: str = Field(default_factory=socket.gethostname, description="name of this replica, unique per service")
    revision: str = Field("", description="revision of the source, shown by `andon_build_info`; images set it")
    traces: str = Field(
        "",
        description="address of an OpenTelemetry collector (OTLP over HTTP), such as http://collector:4318, that gets"
        " the traces; needs andon[traces]. Empty: none are recorded",
    )
    traces_share: float = Field(0.01, ge=0, le=1, description="share of webhooks and pages whose trace is recorded")
    stuck_seconds: float = Field(
        300,
        gt=0,
        description="seconds that a loop may be stuck while its servers answer; then the process ends, to be restarted",
    )
    topic_prefix: str = Field("", description="prefix of every topic name, to share one Kafka")

    @field_validator("kafka_ca")
    @classmethod
    def _check_kafka_ca(cls, text: str, info: ValidationInfo) -> str:
        if text and info.data.get("kafka_security") == "plaintext":
            raise ValueError("is not used without TLS; set ANDON_KAFKA_SECURITY to tls or sasl_tls")
        if text:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
            except (ssl.SSLError, ValueError) as error:
                raise ValueError(f"holds no certificate in PEM ({error}); give the CA's certificate") from None
        return text

    @field_validator("kafka_user")
    @classmethod
    def _check_kafka_user(cls, user: str, info: ValidationInfo) -> str:
        _check_signs_in(bool(user), info)
        # SCRAM's own separators, which brokers and clients escape differently.
        if "," in user or "=" in user:
            raise ValueError("must not contain , or =")
        return user

    @field_validator("kafka_password")
    @classmethod
    def _check_kafka_password(cls, password: SecretStr, info: ValidationInfo) -> SecretStr:
        _check_signs_in(bool(password.get_secret_value()), info)
        return password

    @field_validator("postgres_password")
    @classmethod
    def _check_postgres_password(cls, password: SecretStr, info: ValidationInfo) -> SecretStr:
        dsn = info.data.get("postgres")
        if password.get_secret_value() and dsn is not None and has_password(dsn.get_secret_value()):
            raise ValueError("is given twice; take the password out of ANDON_POSTGRES")
        return password

    @property
    def dsn(self) -> str:
        """The DSN to connect with."""
        dsn, password = self.postgres.get_secret_value(), self.postgres_password.get_secret_value()
        return dsn_with_password(dsn, password) if password else dsn

    @property
    def postgres_address(self) -> str:
        """The DSN as it may be printed."""
        return printable_dsn(self.dsn)

    @property
    def is_policy_a_file(self) -> bool:
        return self.policy_managed == "file"

    def topic(self, name: str) -> str:
        """The name of a topic on this Kafka."""
        return self.topic_prefix + name

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read and check. Raises SettingsError with each variable, its fault and the way out."""
        variables = dict(os.environ if environment is None else environment)
        values = {n[len(PREFIX) :].lower(): v for n, v in variables.items() if n.startswith(PREFIX)}
        values = _with_files(values)
        known = {n: v for n, v in values.items() if n in cls.model_fields or not n.startswith(OTHER_PARTS)}
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None


def _check_signs_in(given: bool, info: ValidationInfo) -> None:
    """User and password are needed to sign in to Kafka, and sent to nobody otherwise."""
    # Absent if it is wrong itself.
    security = info.data.get("kafka_security")
    if security == "sasl_tls" and not given:
        raise ValueError("is missing; ANDON_KAFKA_SECURITY=sasl_tls needs it")
    if security in ("plaintext", "tls") and given:
        raise ValueError(f"is not used with ANDON_KAFKA_SECURITY={security}; set it to sasl_tls")


def _with_files(values: dict[str, str]) -> dict[str, str]:
    """Replace each `x_file` by `x`, with the text of the file."""
    plain = {}
    for name, value in values.items():
        if not name.endswith("_file"):
            plain[name] = value
            continue
        try:
            plain[name.removesuffix("_file")] = Path(value).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{PREFIX}{name.upper()}={value}: {error.strerror}; name a readable file") from None
    return plain


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        name = PREFIX + "_".join(str(part) for part in fault["loc"]).upper()
        if fault["type"] == "extra_forbidden":
            lines.append(f"{name}: no such setting; see docs/operator/settings.md for the names")
        else:
            lines.append(f"{name}: {fault['msg']}")
    return "\n".join(sorted(lines))
