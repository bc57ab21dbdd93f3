"""Passwords: hashed with Argon2id (RFC 9106), checked away from the event loop.

Length is what counts (NIST SP 800-63B-4, 3.1.1): 15 letters at least, no rules about kinds of letters.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 15, 1000
# What anybody would try first, beside the parts of the mail address; docs/operator/sign-in.md lists them.
COMMON_WORDS = ("andon", "kennwort", "password", "passwort", "welcome", "willkommen")
# What has to be left without them, and how few pairs of its letters may stand side by side on a keyboard.
_REST, _DISTINCT, _MOST_RUNS = 8, 5, 0.7
_RUNS = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm"),
    *("1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"),
)
_NEIGHBOURS = frozenset(pair for run in _RUNS for line in (run, run[::-1]) for pair in pairwise(line))
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
    if _is_guessable(password.lower(), email.lower()):
        raise WeakPassword("This password is too easy to guess; four or five words at random make a good one.")


def _is_guessable(password: str, email: str) -> bool:
    """Whether little is left without common words, or what is left repeats itself or runs along a keyboard."""
    for word in sorted(_words_of(email), key=len, reverse=True):
        password = password.replace(word, "")
    if len(password) < _REST or len(set(password)) < _DISTINCT:
        return True
    if any(password == (password[:unit] * len(password))[: len(password)] for unit in range(1, _REST)):
        return True
    runs = sum(one == two or (one, two) in _NEIGHBOURS for one, two in pairwise(password))
    return runs > _MOST_RUNS * (len(password) - 1)


def _words_of(email: str) -> Iterator[str]:
    yield from COMMON_WORDS
    yield from (part for part in re.split(r"[^a-z0-9]+", email) if len(part) >= 3)
    if email:
        yield email


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
