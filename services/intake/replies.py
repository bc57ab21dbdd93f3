"""Replies to webhooks that are not taken in."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from shared.connectors.base.source import Reply

PROBLEM = "application/problem+json"


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Problem details (RFC 9457)."""
    return Reply(status, orjson.dumps({"status": status, "detail": detail}), PROBLEM, headers or {})
