"""Asks HTTP servers: the services' health and metrics, and Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.runtime.dependencies import reason_of

SECONDS = 4.0
# What httpx says where every address of a host refuses the connection.
_ALL_FAILED, _REFUSED = "All connection attempts failed", "nothing listens there"


@dataclass(frozen=True)
class Answer:
    """`status`: of HTTP, 0 where there was no answer; `text` is the reason then."""

    status: int
    text: str


async def ask_http(url: str, client: httpx.AsyncClient) -> Answer:
    """The answer of one address, never an error."""
    try:
        async with asyncio.timeout(SECONDS):
            response = await client.get(url)
            return Answer(response.status_code, response.text)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Answer(0, _REFUSED if _ALL_FAILED in str(error) else reason_of(error, SECONDS))


async def ask_all(addresses: Mapping[str, str], path: str) -> dict[str, Answer]:
    """The answers of all at once, by name."""
    # Only services on addresses that the operator named: no proxy of the environment lies between.
    async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
        answers = await asyncio.gather(*(ask_http(url.rstrip("/") + path, client) for url in addresses.values()))
    return dict(zip(addresses, answers, strict=True))


def samples(text: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and values of one metric in what /metrics answers; nothing where that is no such text."""
    try:
        for family in text_string_to_metric_families(text):
            yield from ((sample.labels, sample.value) for sample in family.samples if sample.name == name)
    except ValueError:
        return
