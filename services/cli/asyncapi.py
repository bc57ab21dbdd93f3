"""AsyncAPI 3 of all topics: keys, headers, values, how long they are kept, which service writes and reads them.

Source: AsyncAPI 3.0.0; its Kafka binding 0.5.0. JSON Schemas of draft 2020-12 are written as draft 7, which it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from services.intake.received import TYPE
from shared.contracts.envelope import Envelope
from shared.contracts.messages import MESSAGES, message_of
from shared.contracts.rights import COMMANDS, RIGHTS, TopicRights
from shared.contracts.topics import ALL_TOPICS, DEAD_SUFFIX, Topic
from shared.stream.dead_letters import FIRST_ATTEMPT

BINDING = "0.5.0"
CLOUD_EVENT = "application/cloudevents+json"
_DAY_MS = 24 * 3600 * 1000
_COMMANDS = "commands"
Action = Literal["send", "receive"]


def document(version: str) -> dict[str, Any]:
    """The whole description; `version`: of Andon."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Andon",
            "version": version,
            "description": "What Andon publishes on Kafka, and reads there. ANDON_TOPIC_PREFIX precedes every address."
            " Readers ignore fields that they do not know.",
            "tags": [_tag(service) for service in (*RIGHTS, _COMMANDS)],
        },
        "defaultContentType": CLOUD_EVENT,
        "channels": {topic.name: _channel(topic) for topic in ALL_TOPICS},
        "operations": dict(_operations()),
        "components": {"schemas": _schemas()},
    }


def _tag(service: str) -> dict[str, str]:
    if service == _COMMANDS:
        return {"name": service, "description": "commands of `andon` that an operator gives"}
    return {"name": service, "description": f"the service `{service}`"}


def _channel(topic: Topic) -> dict[str, Any]:
    model = message_of(topic.name)
    message = _request(topic) if model is None else _event(topic, model)
    settings = {name: _setting(name, value) for name, value in topic.config.items()}
    return {
        "address": topic.name,
        "description": " ".join(_about(topic)),
        "messages": {message["name"]: message},
        "bindings": {
            "kafka": {"partitions": topic.partitions, "topicConfiguration": settings, "bindingVersion": BINDING}
        },
    }


def _setting(name: str, value: str) -> int | list[str]:
    return value.split(",") if name == "cleanup.policy" else int(value)


def _about(topic: Topic) -> Iterator[str]:
    if topic.name.endswith(DEAD_SUFFIX):
        yield f"Records of `{topic.name.removesuffix(DEAD_SUFFIX)}` that could not be handled."
    yield f"Record key: {topic.key}."
    kept = int(topic.config.get("retention.ms", "0"))
    if topic.config.get("cleanup.policy") == "compact":
        yield "Compacted: the last record of each key is kept."
    else:
        yield "Kept forever." if kept < 0 else f"Kept for {kept // _DAY_MS} days."


def _event(topic: Topic, model: type[Envelope[Any]]) -> dict[str, Any]:
    return _message(topic, model.__name__) | {
        "contentType": CLOUD_EVENT,
        "headers": {"type": "object", "properties": {FIRST_ATTEMPT: _REDRIVEN}},
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }


def _request(topic: Topic) -> dict[str, Any]:
    """A request as it came: the body is the value, all else is in the headers."""
    return _message(topic, "WebhookRequest") | {
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": _REQUEST_HEADERS, "required": _ALWAYS},
        "payload": {"description": "the body, byte for byte, or a part of it: see ce_part"},
    }


def _message(topic: Topic, name: str) -> dict[str, Any]:
    key = {"type": "string", "description": topic.key}
    return {"name": name, "title": name, "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}}}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_REDRIVEN = _text("of a record that `andon dead-letters redrive` put back: when it was first tried", format="date-time")
_REQUEST_HEADERS = {
    "ce_specversion": {"const": "1.0"},
    "ce_type": {"const": TYPE.decode()},
    "ce_source": {"const": "andon/intake"},
    "ce_id": _text("of the request; its parts have the same"),
    "ce_time": _text("when it was received", format="date-time"),
    "ce_verifiedby": _text("kind of the source whose signature it had"),
    "ce_request": _text("method, headers without secrets and query, as JSON"),
    "ce_part": _text("`0/3`: the first of three parts, of a body too large for one record", pattern="^[0-9]+/[0-9]+$"),
}
_ALWAYS = [name for name in _REQUEST_HEADERS if name != "ce_part"]


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for service, rights in {**RIGHTS, _COMMANDS: COMMANDS}.items():
        for topic in rights.readable:
            yield f"{service}.receive.{topic}", _operation("receive", service, topic, rights)
        for topic in rights.writes:
            yield f"{service}.send.{topic}", _operation("send", service, topic, rights)


def _operation(action: Action, service: str, topic: str, rights: TopicRights) -> dict[str, Any]:
    described: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "tags": [{"name": service}],
    }
    if action == "receive" and topic in rights.reads and rights.groups:
        groups = {"type": "string", "enum": list(rights.groups)}
        described["bindings"] = {"kafka": {"groupId": groups, "bindingVersion": BINDING}}
    return described


def _schemas() -> dict[str, Any]:
    wanted: list[tuple[type[Envelope[Any]], JsonSchemaMode]] = [(model, "serialization") for model in MESSAGES.values()]
    _, found = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    return {name: _draft_7(schema) for name, schema in found["$defs"].items()}


def _draft_7(part: Any) -> Any:
    """A schema with lists of fixed items as draft 7 writes them."""
    if isinstance(part, list):
        return [_draft_7(one) for one in part]
    if not isinstance(part, Mapping):
        return part
    return {"items" if key == "prefixItems" else key: _draft_7(value) for key, value in part.items()}
