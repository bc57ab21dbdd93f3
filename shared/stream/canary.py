"""Lets a handler take part in what the canary tries, without a trace of it in the service's own tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord

from shared.postgres.canary_tables import aside
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.stream.processor import Handler, Received
from shared.stream.transaction import Transaction

_log = logger(__name__)
Message = TypeVar("Message")


class WithCanary(Generic[Message]):
    """A `Handler`: messages of the canary go to a handler of its own, all others to the service's.

    `schema`: the canary's handler works in the copies of its tables; None: it writes none that it does not share. What
    fails there is logged and left out, so that nothing real waits for it, and nothing of it goes to the dead letters.
    """

    def __init__(
        self,
        own: Handler[Message],
        canary: Handler[Message],
        is_canary: Callable[[Message], bool],
        schema: str | None,
    ) -> None:
        self._own, self._canary, self._is_canary, self._schema = own, canary, is_canary, schema
        self.decoders = own.decoders

    async def handle(self, transaction: Transaction, messages: list[Received[Message]]) -> None:
        apart = [one for one in messages if self._is_canary(one.message)]
        rest = [one for one in messages if not self._is_canary(one.message)] if apart else messages
        if rest:
            await self._own.handle(transaction, rest)
        if apart:
            await self._handle_canary(transaction, apart)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        await self._own.finish(transaction, records)

    async def _handle_canary(self, transaction: Transaction, messages: list[Received[Message]]) -> None:
        try:
            async with transaction.savepoint(), self._front(transaction):
                await self._canary.handle(transaction, messages)
        except TRANSIENT:
            raise
        except Exception as error:
            _log.warning("the canary was left out", error=repr(error))

    def _front(self, transaction: Transaction) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._schema is None else aside(transaction.connection, self._schema)
