"""What connections over TLS trust."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted_certificates() -> ssl.SSLContext:
    """One context for all clients: to read the authorities' certificates holds up the event loop for 30 ms."""
    return httpx.create_ssl_context()
