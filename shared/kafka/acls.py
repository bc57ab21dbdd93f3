"""Access-control lists on Kafka: what each service's user needs, as commands and as requests to the broker."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from shared.contracts.rights import TopicRights
from shared.kafka.access import KafkaAccess

# Codes of Kafka's protocol.
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "IdempotentWrite": 12}
_LITERAL, _ALLOW, _ANY_HOST, _CLUSTER = 3, 3, "*", "kafka-cluster"


class Acl(NamedTuple):
    """A right of a user: `operation` as Kafka's tools call it, `resource` topic, group or cluster."""

    user: str
    operation: str
    resource: str
    name: str = _CLUSTER


def acls_of(user: str, rights: TopicRights, prefix: str = "") -> list[Acl]:
    """What a service's user needs. Reading and writing include describing."""
    return [
        *(Acl(user, "Read", "topic", prefix + topic) for topic in rights.readable),
        *(Acl(user, "Write", "topic", prefix + topic) for topic in rights.writes),
        *(Acl(user, "Read", "group", prefix + group) for group in rights.groups),
        # Brokers before 3.0 ask for it; later ones take any right to write for it.
        Acl(user, "IdempotentWrite", "cluster"),
    ]


def command(acls: Sequence[Acl], bootstrap: str) -> str:
    """The call of kafka-acls.sh that adds these rights, which differ in the name of the resource at most."""
    user, operation, resource, _ = acls[0]
    names = [] if resource == "cluster" else [part for acl in acls for part in (f"--{resource}", acl.name)]
    parts = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--command-config", "admin.properties", "--add"]
    parts += ["--allow-principal", f"User:{user}", "--operation", operation]
    return shlex.join([*parts, *(names or ["--cluster"])])


async def apply(kafka: KafkaAccess, acls: Iterable[Acl]) -> None:
    """Add these rights; those that exist stay. Raises KafkaError where a broker refuses one."""
    # Its admin client has no call for these.
    client = AIOKafkaClient(**kafka.client_options())
    try:
        await client.bootstrap()
        for acl in acls:
            await _add(client, acl)
    finally:
        await client.close()


async def _add(client: Any, acl: Acl) -> None:
    request = CreateAclsRequest(
        _RESOURCES[acl.resource],
        acl.name,
        _LITERAL,
        f"User:{acl.user}",
        _ANY_HOST,
        _OPERATIONS[acl.operation],
        _ALLOW,
    )
    answer = await client.send(client.get_random_node(), request)
    for code, _ in answer.creation_responses:
        if code:
            raise for_code(code)(f"{acl.operation} on {acl.resource} {acl.name} for {acl.user}")
