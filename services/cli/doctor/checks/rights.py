"""Whether the roles in Postgres, and the user on Kafka, may do what the services need, and not all."""

from __future__ import annotations

import asyncpg

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from shared.contracts.rights import RIGHTS
from shared.kafka import probe
from shared.kafka.probe import KafkaRefused
from shared.postgres.cluster_roles import role_of
from shared.postgres.roles import SCHEMAS, missing_rights

_WHO = "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user"
SHOWN = 3


async def _in_postgres(site: Site) -> list[CheckFinding]:
    connection = await asyncpg.connect(site.settings.dsn)
    try:
        user, is_superuser = await connection.fetchrow(_WHO) or ("", False)
        services = [service for service in SCHEMAS if role_of(service) == user] or list(SCHEMAS)
        missing = {service: await missing_rights(connection, service) for service in services}
    finally:
        connection.terminate()
    return [_user(user, is_superuser), *(role_finding(service, found) for service, found in missing.items())]


def _user(user: str, is_superuser: bool) -> CheckFinding:
    if is_superuser:
        return look(
            "user of Postgres", f"{user} is a superuser", "let no service sign in as it: docs/operator/install.md"
        )
    return good("user of Postgres", f"{user}, no superuser")


def role_finding(service: str, missing: list[str] | None) -> CheckFinding:
    """`missing`: what the service's role may not do; None: there is no such role."""
    subject = f"role {role_of(service)}"
    if missing is None:
        return look(subject, "does not exist: the service signs in as another user", "run: andon migrate")
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
        return bad(subject, f"has no right to {shown}", "run: andon migrate")
    return good(subject, "has the rights that it needs")


async def _on_kafka(site: Site) -> list[CheckFinding]:
    kafka, service = site.kafka, site.settings.kafka_user.removeprefix("andon-")
    if not kafka.signs_in:
        return [good("rights on Kafka", "it asks nobody to sign in")]
    if service not in RIGHTS:
        text = f"{kafka.user} is no service's user; each service checks its own rights, and is not ready without them"
        return [good("rights on Kafka", text)]
    try:
        await probe.check_rights(kafka, service, RIGHTS[service], site.settings.topic_prefix, CHECK.seconds)
    except KafkaRefused as error:
        return [bad("rights on Kafka", str(error), f"run as Kafka's administrator: andon topics acl {service} --apply")]
    return [good("rights on Kafka", f"{kafka.user} has the rights that {service} needs")]


CHECK = Check("rights", _in_postgres, needs=("postgres",))
ON_KAFKA = Check("rights on Kafka", _on_kafka, needs=("kafka",))
