"""Mail addresses that every mail server accepts, the names of the loopback interface, and DSNs without passwords.

Source of the mail addresses: RFC 5322, addr-spec without quoted strings, comments and literals; ASCII, since not every
server offers SMTPUTF8.
"""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
DOMAIN = rf"{_LABEL}(\.{_LABEL})*"
ADDRESS = rf"^{_ATOM}(\.{_ATOM})*@{DOMAIN}$"
# RFC 5321 4.1.1.1: a domain, or an address literal such as [192.0.2.1].
HELO_NAME = rf"^({DOMAIN}|\[[0-9A-Fa-f.:IPv]+\])?$"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Pages on loopback answer to no other host name. Else a site whose name resolves to loopback would count as ours
# to the browser (DNS rebinding).
LOOPBACK_HOSTS = (*LOOPBACK, "[::1]")


def printable_dsn(dsn: str) -> str:
    """A DSN as it may be printed: without its password and its options, which may contain one."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "(not an address)"
    credentials, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, credentials.partition(":")[0] + at + host, parts.path, "", ""))


def has_password(dsn: str) -> bool:
    """Whether a DSN holds a password, beside its user or among its options."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return False
    return ":" in parts.netloc.rpartition("@")[0] or "password" in parse_qs(parts.query)


def dsn_with_password(dsn: str, password: str) -> str:
    """The DSN with this password among its options, whether it names a user or several hosts."""
    parts = urlsplit(dsn)
    options = [parts.query] if parts.query else []
    return urlunsplit(parts._replace(query="&".join([*options, f"password={quote(password, safe='')}"])))


def dsn_of_user(dsn: str, user: str, password: str) -> str:
    """The same database, for another user."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))
