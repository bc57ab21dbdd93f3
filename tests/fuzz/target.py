"""What holds for every source and any input: nothing raises or hangs, and every rejection explains itself.

Two targets: `body` signs any body as its CRM would; `head` reads any bytes as a saved request.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from services.intake.explain import explain, explain_facts, parse_saved_request
from services.intake.received import request_records
from services.simulator.dialects import DIALECTS
from services.simulator.dialects.base import Webhook
from shared.connectors.base.facts import Invalid
from shared.connectors.base.messages import to_messages
from shared.connectors.base.source import Request, Source, Unauthenticated
from shared.connectors.config import parse
from shared.contracts.dead import DeadEvent
from shared.contracts.events import DealEvent
from shared.contracts.stages import StageEvent
from shared.contracts.topics import EVENTS, STAGES, dead
from shared.kafka.publisher import OutgoingMessage
from tests.support.outbound import agree

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
LARGEST_MESSAGE = 1_000_000
# Of the processor's time, so that a busy machine is no hang.
LONGEST_SECONDS = 2.0
# What an error has to hold: the field, then what is wrong, then the way out.
EXPLAINED = re.compile(r".{1,300}?: .+?(; .+|expected.*)", re.DOTALL)
# As many settings as a kind has, so that all of its code can be reached.
OPTIONS: dict[str, dict[str, Any]] = {
    "hubspot": {"allow_v1": True, "allow_v2": True},
    "dynamics": {"address": "https://acme.crm.dynamics.com"},
    "espocrm": {
        "address": "https://crm.example.org",
        "webhooks": {
            **DIALECTS["espocrm"].settings["webhooks"],
            "65ff00000000000e3": {"event": "Opportunity.delete", "secrets": [DIALECTS["espocrm"].secret]},
        },
    },
    "monday": {"pipeline": "board"},
    "odoo": {"address": "https://odoo.example.org"},
    "twenty": {"address": "https://twenty.example.org"},
}
IN_THE_BODY = {"zoho", "copper"}
TARGETS = ("body", "head")
CONTRACTS: dict[str, type[DealEvent | DeadEvent | StageEvent]] = {
    EVENTS: DealEvent,
    dead(EVENTS): DeadEvent,
    STAGES: StageEvent,
}


@cache
def source_of(kind: str) -> Source:
    """A source that understands the dialect of its kind."""
    settings = {"kind": kind, "secrets": [DIALECTS[kind].secret], **DIALECTS[kind].settings, **OPTIONS.get(kind, {})}
    return parse(json.dumps({"sources": {"crm": settings}}))["crm"]


def target(kind: str, name: str) -> Callable[[bytes], None]:
    """One of TARGETS for one kind of source; raises AssertionError, or the error that the source wrongly raised."""
    return {"body": body, "head": head}[name](kind)


def body(kind: str) -> Callable[[bytes], None]:
    """Takes a body."""
    source, dialect = source_of(kind), DIALECTS[kind]()

    def check(data: bytes) -> None:
        request = request_of(dialect.sign(data, NOW))
        with_limit(lambda: signed(source, request))

    return check


def head(kind: str) -> Callable[[bytes], None]:
    """Takes a request as text: an optional line, headers, an empty line, a body."""
    source = source_of(kind)

    def check(data: bytes) -> None:
        if (request := read(data)) is not None:
            with_limit(lambda: any_request(source, request))

    return check


def read(data: bytes) -> Request | None:
    """A saved request; None if it is rejected with an explanation."""
    try:
        return parse_saved_request(data, NOW)
    except ValueError as error:
        told = str(error)
    assert ";" in told, f"unexplained: {told}"
    return None


def request_of(webhook: Webhook) -> Request:
    headers = {name.lower(): value for name, value in webhook.headers.items()}
    return Request("POST", headers, webhook.query, webhook.body, NOW)


def with_limit(work: Callable[[], None]) -> None:
    began = time.process_time()
    work()
    took = time.process_time() - began
    assert took < LONGEST_SECONDS, f"took {took:.1f} s"


def signed(source: Source, request: Request) -> None:
    """A body with a valid proof is genuine, unless the proof is in the body."""
    refused = refusal(source, request)
    assert refused is None or source.kind in IN_THE_BODY or "OrganizationId" in str(refused), refused
    source.challenge(request)
    genuine(source, request)


def any_request(source: Source, request: Request) -> None:
    """What was not signed is refused with words, or is as good as any."""
    source.challenge(request)
    source.handshake(request)
    assert all(isinstance(line, str) for line in explain(source, request))
    if refusal(source, request) is None:
        genuine(source, request)


def refusal(source: Source, request: Request) -> Unauthenticated | None:
    try:
        source.verify(request)
    except Unauthenticated as error:
        refused = error
    else:
        return None
    assert refused.status in (401, 415), refused.status
    assert len(str(refused)) > 10, f"unexplained: {refused}"
    return refused


def genuine(source: Source, request: Request) -> None:
    """What is made of a request can be written and read, holds no secret, and explains itself."""
    said = source.translate(request)
    if source.kind == "salesforce":
        agree(request.body)
    for one in said:
        assert not isinstance(one, Invalid) or EXPLAINED.fullmatch(one.detail), f"unexplained: {one.detail}"
    result = to_messages(source.name, said, request.received_at, "")
    told = result.accepted + result.described
    assert told + result.ignored + len(result.invalid) == len(said)
    assert len(result.messages) == told + len(result.invalid)
    for message in result.messages:
        CONTRACTS[message.topic].model_validate_json(message.value)
    messages = [*request_records(source, request, ""), *result.messages]
    for message in messages:
        assert size(message) <= LARGEST_MESSAGE, f"{size(message)} bytes for {message.topic}"
    holds_no_secret(source, request, messages)
    assert all(isinstance(line, str) for line in explain_facts(source, request))


def size(message: OutgoingMessage) -> int:
    return len(message.key) + len(message.value) + sum(len(name) + len(value) for name, value in message.headers)


def holds_no_secret(source: Source, request: Request, messages: list[OutgoingMessage]) -> None:
    """A secret that a CRM writes into its one place is neither kept nor in a dead letter; nor one that nobody wrote.

    Zeros between its letters are not looked at: without them it is the sender who wrote it.
    """
    secret = DIALECTS[source.kind].secret.encode()
    once = source.kind in IN_THE_BODY and request.body.count(secret) == 1 and refusal(source, request) is None
    if once or secret not in request.body.replace(b"\x00", b""):
        for message in messages:
            plain = message.value
            if message.topic.endswith(".dead"):
                plain = b64decode(DeadEvent.model_validate_json(plain).data.body)
            assert secret not in plain, f"the secret is in {message.topic}"
