"""The API's description of itself (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from services.tickets.api import faults

SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token. Your account's page makes one, and so does `andon user token add`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-andon",
        "description": "A browser that has signed in; what changes something also needs the header X-CSRF-Token.",
    },
}
# What every address may answer beside its own.
_EVERYWHERE = {
    "401": "No valid token, and no session",
    "403": "The role or the token's scope does not allow it",
    "429": "Too many requests with this token",
}
_PROBLEM = {faults.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RETRY = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
_ETAG = {"ETag": {"description": "for If-Match", "schema": {"type": "string"}}}
_LINK = {
    "Link": {"description": "rel=next: the address of the next page, if there is one", "schema": {"type": "string"}}
}


class DescribedApi(FastAPI):
    """Describes who may ask, and its faults as what they are: `application/problem+json`."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            described = super().openapi()
            described["components"]["securitySchemes"] = SECURITY
            described["security"] = [{name: []} for name in SECURITY]
            for path in described["paths"].values():
                for operation in path.values():
                    _describe(operation["responses"])
        assert self.openapi_schema is not None  # noqa: S101 (the line above has made it)
        return self.openapi_schema


def _describe(responses: dict[str, Any]) -> None:
    """Describe the answers of one operation."""
    for status, response in responses.items():
        if status.startswith("4"):
            response["content"] = _PROBLEM
    for status, text in _EVERYWHERE.items():
        responses[status] = {"description": text, "content": _PROBLEM}
    responses["429"]["headers"] = _RETRY
    shown = responses["200"].get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    name = shown.rpartition("/")[2]
    if name in ("TicketWhole", "ChartWhole", "PolicyWhole"):
        responses["200"]["headers"] = _ETAG
    if name in ("TicketList", "LedgerList"):
        responses["200"]["headers"] = _LINK
