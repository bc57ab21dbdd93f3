"""The baseline of intake: a bare handler that checks the signature and writes one record with `acks=all`.

Run as `python -m tests.bench.bare_intake PORT KAFKA TOPIC SECRET URL KIND`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.connectors.salesforce.webhook import ACK

Check = Callable[[Request, bytes], bool]


def check_of(kind: str, secret: str, url: str) -> Check:
    """The same authentication as intake requires."""

    def hubspot(request: Request, body: bytes) -> bool:
        stamp = request.headers["x-hubspot-request-timestamp"]
        signed = f"POST{url}".encode() + body + stamp.encode()
        expected = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
        return hmac.compare_digest(expected, request.headers["x-hubspot-signature-v3"])

    def pipedrive(request: Request, body: bytes) -> bool:
        given = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
        return hmac.compare_digest(given, secret.encode())

    def salesforce(request: Request, body: bytes) -> bool:
        return hmac.compare_digest(request.query_params["key"], secret)

    return {"hubspot": hubspot, "pipedrive": pipedrive, "salesforce": salesforce}[kind]


def answer_of(kind: str) -> Callable[[], Response]:
    """The response that the CRM accepts; Salesforce resends an Outbound Message without an Ack in the body."""
    acknowledged = partial(Response, ACK, media_type="text/xml")
    return acknowledged if kind == "salesforce" else partial(Response, status_code=202)


def build(kafka: str, topic: str, check: Check, answer: Callable[[], Response]) -> Starlette:
    """The application with its one route."""
    producers: list[AIOKafkaProducer] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=131072,
            compression_type="lz4",
        )
        await producer.start()
        producers.append(producer)
        yield
        await producer.stop()

    async def ingest(request: Request) -> Response:
        body = await request.body()
        if not check(request, body):
            return Response(status_code=401)
        await producers[0].send_and_wait(topic, body, key=body[-24:])
        return answer()

    return Starlette(routes=[Route("/v1/ingest/{source}", ingest, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    port, kafka, topic, secret, url, kind = sys.argv[1:]
    app = build(kafka, topic, check_of(kind, secret, url), answer_of(kind))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
