"""Checks that a request is genuine: signatures, timestamps, keys. All raise Unauthenticated."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from shared.connectors.base.fields import quoted
from shared.connectors.base.source import RefusalReason, Request, Unauthenticated

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AGE = timedelta(minutes=5)
KEY_HEADER, KEY_QUERY = "x-andon-key", "key"


def required_header(headers: Mapping[str, str], name: str) -> str:
    """A header that every signed request has."""
    if not (value := headers.get(name, "")):
        raise Unauthenticated(RefusalReason.NO_SIGNATURE, f"header {name} is missing; this source signs its requests")
    return value


def matches_any(expected: Iterable[bytes], given: Sequence[bytes]) -> bool:
    """Whether one of the expected values was given. Compares all of them, in constant time."""
    found = False
    for one in expected:
        for other in given:
            found |= hmac.compare_digest(one, other)
    return found


def verify_hmac(header: str, given: str, keys: Iterable[bytes], signed: bytes, key_name: str) -> None:
    """Check the hex HMAC-SHA256 of `signed` in a header. `key_name`: what the CRM calls the key, for the error."""
    expected = [hmac.digest(key, signed, hashlib.sha256).hex().encode() for key in keys]
    if not matches_any(expected, [given.encode()]):
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, f"header {header} does not match; compare {key_name} with `secrets`"
        )


def signed_time(header: str, value: str, unit: timedelta) -> datetime:
    """A signed timestamp in units since 1970."""
    try:
        if not (value.isascii() and value.isdigit()):
            raise ValueError
        return _EPOCH + unit * int(value)
    except (ValueError, OverflowError):
        raise Unauthenticated(
            RefusalReason.BAD_TIMESTAMP,
            f"header {header}: {quoted(value)} is not a time; send digits since 1970",
        ) from None


def check_age(sent: datetime, now: datetime, header: str) -> None:
    """Refuse a signed timestamp more than five minutes from now, so that nobody can replay a request."""
    if abs(now - sent) > MAX_AGE:
        raise Unauthenticated(
            RefusalReason.OLD_TIMESTAMP,
            f"header {header}: signed {sent.isoformat()}, more than 5 minutes from {now.isoformat()};"
            " sign it again with the current time, or set the sender's clock",
        )


def decode_base64(text: str) -> bytes | None:
    """Strict base64; None if the text is not valid."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def verify_key(
    request: Request,
    secrets: Iterable[str],
    headers: Iterable[str] = (KEY_HEADER,),
    queries: Iterable[str] = (KEY_QUERY,),
) -> None:
    """For senders that cannot sign: check a key in a header or in the URL."""
    given = []
    for names, values in ((headers, request.headers), (queries, request.query if request.query_string else {})):
        for name in names:
            if value := values.get(name):
                given.append(value.encode())
    if not given:
        raise Unauthenticated(
            RefusalReason.NO_SIGNATURE,
            f"no key: send it as header {' or '.join(headers)}, or append it to the URL as {' or '.join(queries)}=",
        )
    if not matches_any(map(str.encode, secrets), given):
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, "the key is not one of this source's; compare it with `secrets`"
        )


def basic_credentials(secrets: Iterable[str]) -> list[bytes]:
    """What HTTP Basic sends for these secrets; each is `user:password` (the password may contain colons)."""
    return [base64.b64encode(secret.encode()) for secret in secrets]


def verify_basic(request: Request, credentials: Iterable[bytes]) -> None:
    """HTTP Basic, against `basic_credentials`."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated(
            RefusalReason.NO_SIGNATURE, "header authorization is missing; set user and password of the webhook"
        )
    if not matches_any(credentials, [given.strip().encode()]):
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, "wrong user or password; compare them with `secrets`, user:password"
        )
