"""An OpenTelemetry collector (OTLP over HTTP) that keeps the spans it gets."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class SeenSpan(NamedTuple):
    """A span as a service sent it. `trace`, `span`, `parent`: ids in hexadecimal; `links`: traces that it links to."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]


class Collector:
    """`url`: what services are told. `spans`: what has come, in order."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url, self.spans = f"http://127.0.0.1:{server.server_port}", list[SeenSpan]()

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_seen(names["service.name"], span) for span in scope.spans]


def _seen(service: str, span: Any) -> SeenSpan:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return SeenSpan(service, span.name, *ids, tuple(link.trace_id.hex() for link in span.links))


@contextmanager
def collector() -> Iterator[Collector]:
    """One that runs in a thread."""

    class CollectorHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), CollectorHandler)
    found = Collector(server)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
