"""How clients reach Kafka: its address, and how they sign in. Every client of ours takes it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from shared.runtime.settings import KafkaSecurity, ServiceSettings

SCRAM = "SCRAM-SHA-512"


@dataclass(frozen=True)
class KafkaAccess:
    """Bootstrap servers, and what signs a client in.

    `ca`: certificates (PEM) that are trusted instead of the system's; empty: the system's.
    """

    bootstrap: str
    security: KafkaSecurity = "plaintext"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        password = settings.kafka_password.get_secret_value()
        return cls(settings.kafka, settings.kafka_security, settings.kafka_user, password, settings.kafka_ca)

    @property
    def signs_in(self) -> bool:
        return self.security == "sasl_tls"

    def connection_options(self) -> dict[str, Any]:
        """aiokafka's arguments for one connection."""
        if self.security == "plaintext":
            return {}
        if not self.signs_in:
            return {"security_protocol": "SSL", "ssl_context": _context(self.ca)}
        return {
            "security_protocol": "SASL_SSL",
            "ssl_context": _context(self.ca),
            "sasl_mechanism": SCRAM,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }

    def client_options(self) -> dict[str, Any]:
        """aiokafka's arguments for a consumer, a producer or an admin client."""
        return {"bootstrap_servers": self.bootstrap, **self.connection_options()}


@lru_cache(8)
def _context(ca: str) -> ssl.SSLContext:
    """Checks the certificate and the host name. Cached, as reading the system's certificates takes long."""
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
