"""Why a pull is not taken."""

from __future__ import annotations


class LinkRevoked(Exception):
    """The link was revoked meanwhile."""
