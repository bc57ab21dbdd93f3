"""The mail address of each cord: that of all cords with the token of a link, `cord+<token>@example.org`.

Source: RFC 5233, subaddresses.
"""

from __future__ import annotations

from services.tickets.domain.tokens import TOKEN


class CordAddress:
    """`base`: the address without a token."""

    def __init__(self, base: str) -> None:
        self._local, _, self.domain = base.lower().rpartition("@")

    def of(self, token: str) -> str:
        """The address of a link."""
        return f"{self._local}+{token}@{self.domain}"

    def token_in(self, address: str) -> str | None:
        """The token of an address; None where it is no cord's. Upper and lower case are the same."""
        local, _, domain = address.strip().lower().rpartition("@")
        base, _, token = local.rpartition("+")
        is_ours = domain == self.domain and base == self._local and TOKEN.fullmatch(token)
        return token if is_ours else None
