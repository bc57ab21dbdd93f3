"""Passwords: hashed with Argon2id (RFC 9106), checked away from the event loop.

Length is what counts (NIST SP 800-63B-4, 3.1.1): 15 letters at least, no rules about kinds of letters.
"""

from __future__ import annotations

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 15, 1000
# The second choice of RFC 9106, section 4, of 64 MB each: at most two are computed at once.
_hasher = PasswordHasher()
_turns = asyncio.Semaphore(2)
# Checked in place of the hash of an account that does not exist, so that both answers take as long.
_NOBODYS = _hasher.hash(secrets.token_urlsafe())


class WeakPassword(ValueError):
    """Says what a password lacks."""


def check_strength(password: str, email: str) -> None:
    """Raises WeakPassword."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"The password has {len(password)} letters; choose one of {SHORTEST} to {LONGEST:,}.")
    if password.strip().lower() == email.lower() or len(set(password)) < 5:
        raise WeakPassword("This password is too easy to guess; four or five words at random make a good one.")


async def hash_password(password: str) -> str:
    """The hash, with its salt and parameters."""
    async with _turns:
        return await asyncio.to_thread(_hasher.hash, password)


async def is_password(stored: str | None, password: str) -> bool:
    """Whether it is the password of this hash. Without one it takes as long, and is not."""
    async with _turns:
        matches = await asyncio.to_thread(_matches, stored or _NOBODYS, password)
    return matches and stored is not None


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
