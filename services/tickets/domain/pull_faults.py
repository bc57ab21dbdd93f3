"""Why a pull is not taken."""

from __future__ import annotations

from datetime import timedelta


class TooManyPulls(Exception):
    """The link, or this service, takes no more now. `wait`: after this time it does."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too many pulls")
        self.wait = wait


class LinkRevoked(Exception):
    """The link was revoked meanwhile."""
