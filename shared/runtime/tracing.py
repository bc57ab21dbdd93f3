"""Traces with OpenTelemetry: the way of a webhook through the services to its mail. Off unless ANDON_TRACES is set.

Only a request begins a trace, and there it is decided, once, whether it is recorded. Messages of a recorded trace carry
its `traceparent` (W3C Trace Context; CloudEvents extension "Distributed Tracing"), others carry nothing. A batch
belongs to the trace of the first such message in it, and links to those of others. While traces are off, nothing of
OpenTelemetry is imported.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from shared.traceparent import TRACEPARENT

MAX_LINKS = 64
# What a batch began may be told of by a pass that begins so many seconds later.
RECENT_SECONDS = 5.0
# Of a trace that is recorded. The last two digits are flags.
_CARRIED = re.compile(rb'"traceparent":"(00-[0-9a-f]{32}-[0-9a-f]{16}-01)"')
_NOTHING = nullcontext()
_tracer: Any = None
_provider: Any = None
_recent: deque[tuple[float, str]] = deque(maxlen=MAX_LINKS)


class TracesMissing(Exception):
    """Traces are asked for, and OpenTelemetry is not installed. The text names the way out."""


def start(service: str, replica: str, collector: str, share: float, exporter: Any = None) -> None:
    """Record `share` of all requests, and send spans to a collector (OTLP over HTTP), or to `exporter`."""
    global _tracer, _provider
    if not collector and exporter is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError:
        raise TracesMissing("ANDON_TRACES is set, but OpenTelemetry is missing: install andon[traces]") from None
    named = Resource.create({"service.namespace": "andon", "service.name": service, "service.instance.id": replica})
    _provider = TracerProvider(sampler=ParentBasedTraceIdRatio(share), resource=named)
    sent_to = exporter or OTLPSpanExporter(f"{collector.rstrip('/')}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(sent_to))
    _tracer = _provider.get_tracer("andon")


def stop() -> None:
    """Send what is recorded, and record no more."""
    global _tracer, _provider
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None
    _recent.clear()


def request(name: str, **attributes: str) -> AbstractContextManager[None]:
    """A span that begins a trace."""
    return _NOTHING if _tracer is None else _span(name, (), attributes)


def handling(name: str, values: Iterable[bytes | None]) -> AbstractContextManager[None]:
    """A span over messages, by their JSON; none where no trace of them is recorded."""
    if _tracer is None:
        return _NOTHING
    found = [carried[1].decode() for value in values if value and (carried := _CARRIED.search(value))]
    return _span(name, tuple(dict.fromkeys(found))) if found else _NOTHING


def continuing(name: str, traceparent: str | None) -> AbstractContextManager[None]:
    """A span in a trace that was put aside; none without one."""
    return _NOTHING if _tracer is None or traceparent is None else _span(name, (traceparent,))


def following(name: str) -> AbstractContextManager[None]:
    """A span over what this process remembered in the last seconds; none where that is nothing."""
    if _tracer is None:
        return _NOTHING
    since = time.monotonic() - RECENT_SECONDS
    found = tuple(dict.fromkeys(one for at, one in _recent if at >= since))
    return _span(name, found) if found else _NOTHING


def remember() -> None:
    """Let what comes after this task's work follow it."""
    if (trace := TRACEPARENT.get()) is not None:
        _recent.append((time.monotonic(), trace))


@contextmanager
def _span(name: str, parents: tuple[str, ...], attributes: dict[str, str] | None = None) -> Iterator[None]:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    read = TraceContextTextMapPropagator()
    contexts = [read.extract({"traceparent": one}, Context()) for one in parents[:MAX_LINKS]]
    links = [trace.Link(trace.get_current_span(one).get_span_context()) for one in contexts[1:]]
    kind = trace.SpanKind.CONSUMER if parents else trace.SpanKind.SERVER
    within = contexts[0] if contexts else Context()
    with _tracer.start_as_current_span(name, within, kind, attributes, links) as span:
        began = span.get_span_context()
        is_recorded = began.trace_flags.sampled
        carried = f"00-{began.trace_id:032x}-{began.span_id:016x}-01" if is_recorded else None
        before = TRACEPARENT.set(carried)
        try:
            yield
        finally:
            TRACEPARENT.reset(before)
