"""Unguessable names: of a cord's link, and of the receipt of a pull. The database has only their hashes."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

# 130 bits. Lower case only: mail servers may change the case of an address.
LETTERS = 26
TOKEN = re.compile(rf"[a-z2-7]{{{LETTERS}}}")


def new_token() -> str:
    """26 letters and digits at random."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()[:LETTERS]


def digest(token: str) -> bytes:
    """What the database has in place of a token. A token has too many bits to be found by trying."""
    return hashlib.sha256(token.encode()).digest()
