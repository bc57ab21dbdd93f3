"""SQL of the key that signs links. All replicas share it."""

from __future__ import annotations

import secrets

from shared.postgres.pool import Executor

_MAKE = "INSERT INTO signing_key (key) VALUES ($1) ON CONFLICT (one) DO NOTHING"


async def signing_key(executor: Executor) -> bytes:
    """The key; the first replica makes it."""
    await executor.execute(_MAKE, secrets.token_bytes(32))
    key: bytes = await executor.fetchval("SELECT key FROM signing_key")
    return key
