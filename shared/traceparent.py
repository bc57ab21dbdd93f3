"""The trace that the present task works for, where it is recorded: messages that it makes carry it, and log lines."""

from __future__ import annotations

from contextvars import ContextVar

# As in W3C Trace Context: `00-TRACE-SPAN-01`. None: of no trace that is recorded.
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
