"""Structured logs: JSON for machines, colours for a console. One line per batch, never per event.

Lines of libraries have the same form. A fault that comes again and again is logged once a minute, with a count.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Hashable
from typing import Any, Literal, cast

import structlog
import structlog.tracebacks
from structlog.typing import EventDict, Processor

from shared.traceparent import TRACEPARENT

# Without local variables: they hold payloads and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
LogForm = Literal["json", "console"]
REPEAT_SECONDS = 60.0
# Faults that are remembered at once. Their texts can hold offsets and addresses, so there is no end of them.
MAX_FAULTS = 1000
REPEATABLE = ("warning", "error", "critical")


class RepeatedFaults:
    """Lets a fault pass once every `seconds`, and counts it in between."""

    def __init__(self, seconds: float = REPEAT_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._faults: dict[Hashable, tuple[float, int]] = {}

    def passes(self, fault: Hashable) -> int | None:
        """How often it was held back since it passed last; None: held back now."""
        now = self._clock()
        passed, held_back = self._faults.get(fault, (None, 0))
        if passed is not None and now - passed < self._seconds:
            self._faults[fault] = (passed, held_back + 1)
            return None
        self._faults.pop(fault, None)
        while len(self._faults) >= MAX_FAULTS:
            del self._faults[next(iter(self._faults))]
        self._faults[fault] = (now, 0)
        return held_back

    def __call__(self, _: Any, method: str, event: EventDict) -> EventDict:
        """A processor of structlog. Raises DropEvent for what is held back."""
        if event.get("level", method) in REPEATABLE:
            held_back = self.passes((event.get("module"), event.get("event"), str(event.get("error"))[:200]))
            if held_back is None:
                raise structlog.DropEvent
            if held_back:
                event["repeated"] = held_back
        return event


class LibraryFaults(logging.Filter):
    """The same for loggers of libraries: faults from one place count as repeats, regardless of what they name."""

    def __init__(self, faults: RepeatedFaults) -> None:
        super().__init__()
        self._faults = faults

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it; sets `repeated`."""
        held_back = self._faults.passes((record.name, record.levelno, record.pathname, record.lineno))
        record.repeated = held_back
        return held_back is not None


def configure(form: LogForm, service: str) -> None:
    """Set up structlog for the process. Loggers of libraries write from WARNING on."""
    faults = RepeatedFaults()
    timestamps = structlog.processors.TimeStamper(fmt="iso", utc=True)
    tracebacks = _TRACEBACKS if form == "json" else structlog.processors.StackInfoRenderer()
    last = _renderer(form)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            add_trace,
            faults,
            timestamps,
            tracebacks,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _configure_libraries(service, LibraryFaults(faults), [timestamps, tracebacks, last])


def add_trace(_: Any, __: str, event: EventDict) -> EventDict:
    """The trace that the line belongs to, where one is recorded."""
    if (trace := TRACEPARENT.get()) is not None:
        event["trace"] = trace.split("-")[1]
    return event


def _renderer(form: LogForm) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)


def _configure_libraries(service: str, faults: LibraryFaults, last: list[Processor]) -> None:
    """Lines of libraries, in the form of ours."""

    def describe(_: Any, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if held_back := getattr(event["_record"], "repeated", None):
            event["repeated"] = held_back
        return event

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(faults)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, describe],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # At INFO it logs every rebalance, which the metrics show. It has a handler of its own, for plain lines in colour.
    faststream = logging.getLogger("faststream")
    faststream.setLevel(logging.WARNING)
    faststream.handlers.clear()
    faststream.propagate = True


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one module."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))
