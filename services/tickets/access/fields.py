"""Forms of sign-in and of the account, as they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from starlette.requests import Request

from services.tickets.domain.rates import TooOften

EMPTY: Mapping[str, str] = {}


async def fields_of(request: Request) -> Mapping[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def too_often(error: TooOften) -> str:
    return f"Too many tries. Wait {ceil(error.wait.total_seconds())} seconds, and try again."
