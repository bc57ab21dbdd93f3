"""A broker as the secure installation has it: deploy/kafka's properties and certificates, on ports of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.demo.kafka import Kafka
from services.demo.ports import free_port
from shared.contracts.rights import RIGHTS
from shared.kafka.access import KafkaAccess

DEPLOY = Path(__file__).parents[2] / "deploy" / "kafka"
OPERATOR, SERVICES = "andon-operator", tuple(f"andon-{service}" for service in RIGHTS)


class SecureKafka(Kafka):
    """Users: the operator, and one of each service; the password of each is `its name!`."""

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    @property
    def ca(self) -> str:
        return (self.certificates / "ca.pem").read_text()

    def access(self, user: str, password: str | None = None) -> KafkaAccess:
        return KafkaAccess(self.bootstrap, "sasl_tls", user, password or f"{user}!", self.ca)

    def environment(self, user: str) -> dict[str, str]:
        """Settings with which a service or a command signs in."""
        return {
            "ANDON_KAFKA": self.bootstrap,
            "ANDON_KAFKA_SECURITY": "sasl_tls",
            "ANDON_KAFKA_CA_FILE": str(self.certificates / "ca.pem"),
            "ANDON_KAFKA_USER": user,
            "ANDON_KAFKA_PASSWORD": f"{user}!",
        }

    def _properties(self, controller: int) -> str:
        if not self.certificates.exists():
            subprocess.run([DEPLOY / "certificates.sh", self.certificates], check=True)
        text = (DEPLOY / "server.properties").read_text()
        own = {
            "CLIENTS://:9092": f"CLIENTS://:{self.port}",
            "CLIENTS://kafka:9092": f"CLIENTS://127.0.0.1:{self.port}",
            "127.0.0.1:9093": f"127.0.0.1:{controller}",
            "127.0.0.1:9094": f"127.0.0.1:{free_port()}",
            "/etc/andon/certificates": str(self.certificates),
            "/var/lib/kafka/data": f"{self.folder}/log",
        }
        for original, changed in own.items():
            assert original in text
            text = text.replace(original, changed)
        return text + "offsets.topic.num.partitions=1\n"

    def _format_arguments(self) -> Sequence[str]:
        users = (OPERATOR, *SERVICES)
        return [part for user in users for part in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={user}!]")]
