"""The contracts as files: a JSON Schema of each message, AsyncAPI of the topics, OpenAPI of the API."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from services.cli import asyncapi
from services.cli.doctor.report import DoctorReport
from services.notifier.hooks.message import HookEvent
from services.tickets.api.parts import ApiParts
from services.tickets.api.routes import Api
from shared.contracts.messages import MESSAGES
from shared.policy import Policy
from shared.runtime.clock import SystemClock
from shared.runtime.version import product_version

ASYNCAPI, OPENAPI = "asyncapi.json", "openapi.json"
# By the name of the file: of each topic, of all dead letters, of what hooks send and what `andon doctor` prints.
SCHEMAS: dict[str, type[BaseModel]] = {**MESSAGES, "hooks": HookEvent, "doctor": DoctorReport}


def files() -> dict[str, str]:
    """Each document as text, by its name in docs/schemas."""
    documents = {f"{name}.json": model.model_json_schema(mode="serialization") for name, model in SCHEMAS.items()} | {
        ASYNCAPI: asyncapi.document(product_version()),
        OPENAPI: api_description(),
    }
    return {name: json.dumps(document, indent=1, sort_keys=True) + "\n" for name, document in documents.items()}


def api_description() -> dict[str, Any]:
    """OpenAPI of `/api/v1`, as the service of tickets shows it; it hangs on no policy and no database."""
    # Endpoints keep these for requests, and none comes.
    unused: Any = None
    parts = ApiParts(unused, _no_policy(), SystemClock(), unused, unused, unused, relocks_topic="")
    return Api(parts).application().openapi()


def _no_policy() -> Policy:
    return Policy.model_construct(version=1, pipelines={})
