"""Structured logs: JSON for machines, colours for a console. One line per batch, never per event."""

from __future__ import annotations

import logging
import sys
from typing import Literal, cast

import structlog
import structlog.tracebacks
from structlog.typing import Processor

# Without local variables: they hold payloads and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
LogForm = Literal["json", "console"]


def configure(form: LogForm, service: str) -> None:
    """Set up structlog for the process. Loggers of libraries write from WARNING on."""
    last: Processor = structlog.processors.JSONRenderer()
    if form == "console":
        last = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _TRACEBACKS if form == "json" else structlog.processors.StackInfoRenderer(),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # At INFO it logs every rebalance, which the metrics show.
    logging.getLogger("faststream").setLevel(logging.WARNING)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one module."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))
