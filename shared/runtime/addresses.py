"""Mail addresses that any mail can carry and any server takes.

Source: RFC 5322, addr-spec without quoted strings, comments and literals; ASCII, as not every server offers SMTPUTF8.
"""

from __future__ import annotations

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*$"
