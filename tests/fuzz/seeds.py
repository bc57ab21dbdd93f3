"""The seeds of fuzzing: samples of each CRM, and messages of the simulated CRM in its dialect."""

from __future__ import annotations

import json
from functools import cache
from itertools import islice

from services.simulator import run
from services.simulator.dialects import DIALECTS
from services.simulator.dialects.base import Webhook
from tests.fuzz.target import NOW
from tests.support.webhooks import SAMPLES

FROM_SIMULATOR = 40


@cache
def bodies(kind: str) -> list[bytes]:
    """Different bodies of one kind."""
    files = sorted(f for f in SAMPLES.iterdir() if f.name.startswith(kind) and "vector" not in f.name)
    found = [file.read_bytes() for file in files if file.suffix in (".json", ".xml")]
    crm = DIALECTS[kind]()
    for happening in islice(run.history(7, 30, NOW), FROM_SIMULATOR):
        found += [crm.body(document) for document in crm.documents(happening)]
    return list(dict.fromkeys(found))


@cache
def heads(kind: str) -> list[bytes]:
    """Whole requests: signed bodies, and samples of requests and of their headers."""
    crm = DIALECTS[kind]()
    found = [written(crm.sign(body, NOW)) for body in bodies(kind)[:12]]
    found += [f.read_bytes().replace(b"\r\n", b"\n") for f in sorted(SAMPLES.glob(f"{kind}-*.txt"))]
    for file in sorted(SAMPLES.glob(f"{kind}-*vector*.json")):
        for vector in json.loads(file.read_text()).get("vectors", []):
            if isinstance(vector.get("headers"), dict):
                found.append(written(Webhook(b"[]", vector["headers"])))
    return found


def written(webhook: Webhook) -> bytes:
    """A request as text."""
    head = [f"POST /v1/ingest/crm?{webhook.query} HTTP/1.1", *(f"{n}: {v}" for n, v in webhook.headers.items())]
    return "\n".join(head).encode("latin-1") + b"\n\n" + webhook.body
