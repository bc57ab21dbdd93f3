"""Mail addresses that any mail can carry and any server takes; the names of this machine.

Source of the first: RFC 5322, addr-spec without quoted strings, comments and literals; ASCII, as not every server
offers SMTPUTF8.
"""

from __future__ import annotations

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*$"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Pages of this machine answer to no other name: a site could have its name point here, and its pages would then be let
# in by the browser as ours (DNS rebinding).
LOOPBACK_HOSTS = (*LOOPBACK, "[::1]")
