"""Asks Kafka whether it answers, and what it lets us do, over a short connection of its own.

aiokafka's clients would log every failed attempt, and go on trying in the background.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.metadata import MetadataRequest

from shared.contracts.rights import TopicRights
from shared.kafka.access import SCRAM, KafkaAccess
from shared.kafka.authorization import missing_rights
from shared.runtime.dependencies import reason_of


class KafkaUnreachable(ConnectionError):
    """No broker answers; the message gives the reason."""


class KafkaRefused(KafkaUnreachable):
    """A broker answers, and we may not or should not use it; the message gives the reason and the way out."""


async def ping(kafka: KafkaAccess, seconds: float = 2.0) -> None:
    """Return once a bootstrap server has answered, and signed us in; raises KafkaUnreachable."""
    connection = await _connect(kafka, seconds)
    connection.close()


async def api_versions(kafka: KafkaAccess, seconds: float = 2.0) -> dict[int, tuple[int, int]]:
    """The oldest and the newest version of each request that the broker offers, by the request's number in Kafka's
    protocol. Raises KafkaUnreachable.
    """
    connection = await _connect(kafka, seconds)
    try:
        answer = await connection.send(ApiVersionRequest())
    finally:
        connection.close()
    return {key: (oldest, newest) for key, oldest, newest, *_ in answer.api_versions}


async def check_rights(
    kafka: KafkaAccess, service: str, rights: TopicRights, prefix: str, seconds: float = 2.0
) -> None:
    """As `ping`; raises KafkaRefused also where the user has not all rights that the service needs."""
    connection = await _connect(kafka, seconds)
    try:
        missing = await missing_rights(connection, rights, prefix) if kafka.signs_in else []
    finally:
        connection.close()
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise KafkaRefused(
            f"user {kafka.user} (ANDON_KAFKA_USER) has no right to {shown}; grant it as Kafka's administrator: "
            f"andon topics acl {service} --user {kafka.user} --apply"
        )


async def missing_topics(kafka: KafkaAccess, topics: Collection[str], seconds: float = 2.0) -> set[str]:
    """Those of the topics that do not exist. Asks under the address that a broker advertises; never creates one.

    Raises KafkaUnreachable; KafkaRefused where the user may not see one of them.
    """
    first = await _connect(kafka, seconds)
    try:
        brokers = (await first.send(MetadataRequest([]))).brokers
    finally:
        first.close()
    _, host, port, *_ = brokers[0]
    try:
        connection = await _open(kafka, host, port, seconds)
    except KafkaUnreachable as why:
        raise type(why)(f"it answers, but names {host}:{port} (advertised.listeners), and there: {why}") from None
    try:
        answer = await connection.send(MetadataRequest(sorted(topics), allow_auto_topic_creation=False))
    finally:
        connection.close()
    hidden = [str(topic) for error, topic, *_ in answer.topics if error == TopicAuthorizationFailedError.errno]
    if hidden:
        user = f"user {kafka.user} (ANDON_KAFKA_USER)" if kafka.signs_in else "a client that does not sign in"
        raise KafkaRefused(f"{user} may not describe topic {hidden[0]}; grant it, or use the user of an operator")
    return {str(topic) for error, topic, *_ in answer.topics if error == UnknownTopicOrPartitionError.errno}


async def _connect(kafka: KafkaAccess, seconds: float) -> AIOKafkaConnection:
    """A connection to the first bootstrap server that answers."""
    try:
        hosts = [(host, port) for host, port, _ in collect_hosts(kafka.bootstrap)]
    except ValueError:
        raise KafkaUnreachable(f"{kafka.bootstrap!r} is not host:port") from None
    attempts = [asyncio.ensure_future(_open(kafka, host, port, seconds)) for host, port in hosts]
    fault = KafkaUnreachable("no server is named")
    try:
        for attempt in asyncio.as_completed(attempts):
            try:
                return await attempt
            except KafkaUnreachable as error:
                # One that refuses says more than another that is down.
                if not isinstance(fault, KafkaRefused):
                    fault = error
    finally:
        for one in attempts:
            one.cancel()
    raise fault


async def _open(kafka: KafkaAccess, host: str, port: int, seconds: float) -> AIOKafkaConnection:
    """Connect, exchange versions, which only Kafka does, and sign in. Raises KafkaUnreachable."""
    limit = int(seconds * 1000)
    try:
        async with asyncio.timeout(seconds):
            connection = await create_conn(
                host, port, client_id="andon-probe", request_timeout_ms=limit, **kafka.connection_options()
            )
            # A broker gives its versions to everybody: only another request shows whether we should have signed in.
            await connection.send(MetadataRequest([]))
            return connection
    except (OSError, KafkaError) as error:
        raise _reason(error, kafka, host, seconds) from None
    except Exception as error:
        raise KafkaUnreachable(f"the server there is not Kafka ({error!r})") from error


def _reason(error: Exception, kafka: KafkaAccess, host: str, seconds: float) -> KafkaUnreachable:
    """The fault of a connection in plain words."""
    if isinstance(error, SaslAuthenticationFailed):
        return KafkaRefused(f"it does not accept user {kafka.user} with this password; {_SIGN_IN}")
    if isinstance(error, UnsupportedSaslMechanismError):
        return KafkaRefused(f"it does not offer {SCRAM} on this port; enable it on the listener, or use another port")
    if isinstance(error, ssl.SSLCertVerificationError):
        return KafkaRefused(_certificate_fault(error, host))
    if isinstance(error, ssl.SSLError):
        return KafkaRefused(
            f"it does not speak TLS on this port ({error.reason}); check ANDON_KAFKA_SECURITY and the port"
        )
    if isinstance(error, KafkaConnectionError | ConnectionResetError):
        way_out = "if it is up, check that ANDON_KAFKA_SECURITY is what this port asks for"
        return KafkaUnreachable(f"it closes the connection; {way_out}")
    return KafkaUnreachable(reason_of(error, seconds))


_SIGN_IN = "check ANDON_KAFKA_USER and ANDON_KAFKA_PASSWORD, and that the user has a password for " + SCRAM


def _certificate_fault(error: ssl.SSLCertVerificationError, host: str) -> str:
    # OpenSSL's numbers: 62 and 64 for a name and an address that do not match, 10 and 9 for the dates.
    if error.verify_code in (62, 64):
        return f"its certificate is not for {host}; name it in ANDON_KAFKA as its certificate does"
    if error.verify_code in (9, 10):
        return f"its certificate is not valid at this time ({error.verify_message}); renew it"
    return (
        f"its certificate is not trusted ({error.verify_message}); "
        "name the file with the certificate of its CA: ANDON_KAFKA_CA_FILE"
    )
