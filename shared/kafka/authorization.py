"""Which rights a signed-in client lacks, as the broker says: no record is read or written to find out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from shared.contracts.rights import TopicRights

# Codes of operations in Kafka's protocol; in the answer, each is a bit.
READ, WRITE = 3, 4
_GROUP = 0


async def missing_rights(connection: AIOKafkaConnection, rights: TopicRights, prefix: str) -> list[str]:
    """`read topic flow.problems`, `use group andon-tickets` and so on: what the user of the connection may not do.

    Says nothing about topics that do not exist.
    """
    topics = await _missing_on_topics(connection, [prefix + t for t in rights.readable], "read", READ)
    topics += await _missing_on_topics(connection, [prefix + t for t in rights.writes], "write", WRITE)
    return topics + await _missing_on_groups(connection, [prefix + group for group in rights.groups])


async def _missing_on_topics(
    connection: AIOKafkaConnection, topics: Sequence[str], verb: str, operation: int
) -> list[str]:
    if not topics:
        # An empty list would ask for all.
        return []
    answer = await connection.send(_OperationsRequest(topics))
    return sorted(
        f"{verb} topic {name}"
        for error, name, _, _, operations in answer.topics
        if error == TopicAuthorizationFailedError.errno or (error == 0 and not operations & (1 << operation))
    )


async def _missing_on_groups(connection: AIOKafkaConnection, groups: Iterable[str]) -> list[str]:
    answers = {group: await connection.send(FindCoordinatorRequest(group, _GROUP)) for group in groups}
    refused = GroupAuthorizationFailedError.errno
    return [f"use group {group}" for group, answer in answers.items() if answer.error_code == refused]


class _OperationsResponse(Response):  # type: ignore[misc]
    """Metadata, version 8, which aiokafka does not have."""

    API_KEY, API_VERSION = 3, 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _OperationsRequestV8(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 8
    RESPONSE_TYPE = _OperationsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _OperationsRequest(Request[_OperationsRequestV8]):  # type: ignore[misc]
    """What we may do with these topics."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_OperationsRequestV8]) -> _OperationsRequestV8:
        return request_struct_class(self._topics, False, False, True)
