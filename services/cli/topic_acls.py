"""What each service's user may do on Kafka: as commands to read and run, or granted here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby

from shared.contracts.rights import RIGHTS
from shared.kafka.access import KafkaAccess
from shared.kafka.acls import Acl, acls_of, apply, command
from shared.runtime.settings import ServiceSettings


def of_services(service: str, user: str, settings: ServiceSettings) -> list[Acl]:
    """The rights of one service, or of all if it is empty. `user`: of one service; empty: andon-SERVICE.

    Raises ValueError, with the way out.
    """
    if service and service not in RIGHTS:
        raise ValueError(f"{service}: no such service; there are {', '.join(RIGHTS)}")
    if user and not service:
        raise ValueError("--user is the user of one service: name the service, too")
    services = [service] if service else list(RIGHTS)
    return [acl for one in services for acl in acls_of(user or f"andon-{one}", RIGHTS[one], settings.topic_prefix)]


def commands(acls: Sequence[Acl], settings: ServiceSettings) -> Iterator[str]:
    """One command per user, operation and kind of resource. `admin.properties` is how the administrator signs in."""
    for _, some in groupby(acls, lambda acl: (acl.user, acl.operation, acl.resource)):
        yield command(list(some), settings.kafka)


def grant(acls: Sequence[Acl], settings: ServiceSettings) -> str:
    """Grant all; a line that names the users. Raises KafkaError."""
    asyncio.run(apply(KafkaAccess.of(settings), acls))
    users = list(dict.fromkeys(acl.user for acl in acls))
    return f"granted: {len(acls)} rights to {', '.join(users)}"
