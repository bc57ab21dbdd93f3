"""Retries without end: a service waits for what is unavailable, with a backoff, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential


def retry_forever(
    log: FilteringBoundLogger,
    event: str,
    errors: tuple[type[BaseException], ...],
    retried: Callable[[], None] = lambda: None,
    first_seconds: float = 0.1,
    max_seconds: float = 5.0,
    **details: Any,
) -> AsyncRetrying:
    """Try again on these errors, at first after `first_seconds`, then twice as long each time up to `max_seconds`.

    Each failure is logged as `event`, with its error and `details`; `retried` is called before each new try.
    """

    def before_sleep(state: RetryCallState) -> None:
        log.warning(event, error=repr(state.outcome.exception() if state.outcome else None), **details)
        retried()

    return AsyncRetrying(
        retry=retry_if_exception_type(errors),
        wait=wait_exponential(multiplier=first_seconds, max=max_seconds),
        before_sleep=before_sleep,
    )
