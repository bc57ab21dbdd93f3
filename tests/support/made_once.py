"""What is costly to make and need not be made again for each application of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Match, Router
from starlette.types import Receive, Scope, Send


class CompiledTemplates(BytecodeCache):
    """Templates that another environment of the same settings compiled. Kept in memory, until the process ends."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


class LateRoutes(BaseRoute):
    """Routes below an address, made when the first request comes there."""

    def __init__(self, prefix: str, make: Callable[[], Sequence[BaseRoute]]) -> None:
        self._prefix, self._make = prefix, make

    @cached_property
    def _router(self) -> Router:
        return Router(self._make())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["path"].startswith(self._prefix) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)


class TypeAdapters:
    """Called instead of pydantic's `TypeAdapter`, for one adapter of each annotated type and settings."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, str], TypeAdapter[Any]] = {}

    def __call__(self, annotated: Any, *, config: Any = None) -> TypeAdapter[Any]:
        # Fields of pydantic have no hash, and their text holds all that they say.
        key = annotated.__origin__, repr((annotated.__metadata__, config))
        if key not in self._made:
            self._made[key] = TypeAdapter(annotated, config=config)
        return self._made[key]
