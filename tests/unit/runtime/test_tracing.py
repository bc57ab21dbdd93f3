"""A trace begins with a request, goes on in what carries it, and is left out everywhere once it is not recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.contracts.problems import ProblemEvent
from shared.runtime import tracing
from shared.runtime.log import add_trace
from shared.traceparent import TRACEPARENT
from tests.support.problems import event, problem


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.start("detector", "one", "", 1.0, exporter)
    yield exporter
    tracing.stop()


def message(trace: str | None = None) -> bytes:
    """A message, made while a trace is worked for."""
    before = TRACEPARENT.set(trace)
    written = event(problem()).to_json()
    TRACEPARENT.reset(before)
    return written


def test_off_it_does_nothing_and_imports_nothing() -> None:
    code = (
        "import sys; from shared.runtime import tracing; tracing.start('detector', 'one', '', 1.0)\n"
        "with tracing.request('webhook'), tracing.handling('handle', [b'{}']): pass\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_made_for_a_request_carries_its_trace(recorded: InMemorySpanExporter) -> None:
    with tracing.request("webhook", source="acme"):
        written = event(problem()).to_json()
    with tracing.handling("handle flow.problems", [written]):
        passed_on = event(problem()).to_json()
    with tracing.continuing("send mail", ProblemEvent.model_validate_json(passed_on).traceparent):
        pass
    tracing.stop()

    webhook, handled, sent = recorded.get_finished_spans()
    assert [one.name for one in (webhook, handled, sent)] == ["webhook", "handle flow.problems", "send mail"]
    assert {one.context.trace_id for one in (webhook, handled, sent)} == {webhook.context.trace_id}
    assert [one.parent.span_id for one in (handled, sent) if one.parent] == [
        webhook.context.span_id,
        handled.context.span_id,
    ]
    assert webhook.attributes == {"source": "acme"}
    assert webhook.resource.attributes["service.name"] == "detector"


def test_a_batch_links_to_the_traces_of_its_other_messages(recorded: InMemorySpanExporter) -> None:
    written = []
    for _ in range(3):
        with tracing.request("webhook"):
            written += [event(problem()).to_json()] * 2
    with tracing.handling("handle flow.problems", [message(), *written, None]):
        tracing.remember()
    with tracing.following("evaluate"):
        pass
    tracing.stop()

    *webhooks, handled, evaluated = recorded.get_finished_spans()
    assert handled.context.trace_id == webhooks[0].context.trace_id
    assert [link.context.span_id for link in handled.links] == [one.context.span_id for one in webhooks[1:]]
    assert evaluated.parent is not None
    assert evaluated.parent.span_id == handled.context.span_id


def test_what_is_not_recorded_leaves_no_trace_in_messages() -> None:
    exporter = InMemorySpanExporter()
    tracing.start("detector", "one", "", 0.0, exporter)
    try:
        with tracing.request("webhook"):
            written = event(problem()).to_json()
        with tracing.handling("handle", [written, b'{"traceparent":"00-' + b"1" * 32 + b"-" + b"2" * 16 + b'-00"}']):
            tracing.remember()
        with tracing.following("evaluate"), tracing.continuing("send mail", None):
            pass
    finally:
        tracing.stop()

    assert b"traceparent" not in written
    assert exporter.get_finished_spans() == ()


def test_a_message_keeps_the_trace_in_which_it_was_written(recorded: InMemorySpanExporter) -> None:
    with tracing.request("webhook"):
        written = ProblemEvent.model_validate_json(event(problem()).to_json())
    with tracing.request("another"):
        again = written.to_json()

    assert ProblemEvent.model_validate_json(again).traceparent == written.traceparent


def test_log_lines_name_the_trace(recorded: InMemorySpanExporter) -> None:
    with tracing.request("webhook"):
        line = add_trace(None, "info", {"event": "accepted"})
        assert line["trace"] == (TRACEPARENT.get() or "").split("-")[1]
    assert add_trace(None, "info", {"event": "accepted"}) == {"event": "accepted"}
