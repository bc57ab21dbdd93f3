"""Notes what statements answer, so that what was made of the answers is known to be right for as long as they last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    # Only its stubs name the class of rows.
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


@dataclass(frozen=True)
class StatementAnswer:
    """A statement with its parameters, and a digest of what it answered."""

    method: str
    statement: str
    parameters: tuple[Any, ...]
    digest: bytes


@dataclass
class Answers:
    """What statements answered, in their order."""

    given: list[StatementAnswer] = field(default_factory=list)

    async def are_still_given(self, connection: PoolConnectionProxy[asyncpg.Record]) -> bool:
        """Whether each statement answers as it did. Later ones depend on earlier ones: another answer ends it."""
        for one in self.given:
            found = await getattr(connection, one.method)(one.statement, *one.parameters)
            if _digest(found) != one.digest:
                return False
        return True


_noted: ContextVar[Answers | None] = ContextVar("noted_answers", default=None)


@contextmanager
def answers_noted() -> Iterator[Answers]:
    """Note the answers to all statements of this task that read; `execute` answers nothing."""
    answers = Answers()
    token = _noted.set(answers)
    try:
        yield answers
    finally:
        _noted.reset(token)


class NotingConnection(_Connection):
    """A connection whose answers can be noted."""

    __slots__ = ()

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        return _note("fetch", query, args, await super().fetch(query, *args, **options))

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        return _note("fetchrow", query, args, await super().fetchrow(query, *args, **options))

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        return _note("fetchval", query, args, await super().fetchval(query, *args, **options))


def _note(method: str, statement: str, parameters: tuple[Any, ...], answer: Any) -> Any:
    if (noted := _noted.get()) is not None:
        noted.given.append(StatementAnswer(method, statement, parameters, _digest(answer)))
    return answer


def _digest(answer: Any) -> bytes:
    return hashlib.blake2b(orjson.dumps(answer, default=_plain), digest_size=16).digest()


def _plain(value: Any) -> Any:
    """What JSON lacks: rows, numerics, ranges."""
    return list(value) if isinstance(value, asyncpg.Record) else repr(value)
