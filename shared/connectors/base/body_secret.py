"""A source whose CRM cannot sign: it puts a secret and the ids of the changed records into each body."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.fields import InvalidField, id_of, quoted
from shared.connectors.base.json_body import parse_json
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.signatures import matches_any
from shared.connectors.base.source import RefusalReason, Request, Unauthenticated
from shared.contracts.envelope import compact


class BodySecretSource(JsonSource):
    """Verifies the secret in a field of the body, and never stores it."""

    @property
    @abstractmethod
    def secret_field(self) -> str:
        """The field of the body that holds the secret."""

    def verify(self, request: Request) -> None:
        """Parses the body before it is verified, because the secret is in it; its size is already limited."""
        try:
            document = parse_json(request.body)
        except InvalidField as error:
            raise Unauthenticated(RefusalReason.UNKNOWN_FORM, str(error), 415) from None
        given = document.get(self.secret_field) if isinstance(document, dict) else None
        if not isinstance(given, str) or not given:
            raise Unauthenticated(
                RefusalReason.NO_SIGNATURE, f"{self.secret_field}: is missing; set it when you subscribe"
            )
        known = [secret.encode() for secret in self.settings.secrets]
        if not matches_any(known, [given.encode("utf-8", "surrogatepass")]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, f"{self.secret_field} is not one of this source's `secrets`"
            )

    def archived_body(self, request: Request) -> bytes:
        return redact_secrets(request.body, self.settings.secrets, self.secret_field)

    def parse_each(self, ids: Any, parse: Callable[[str], Iterable[Parsed]], request: Request) -> list[Parsed]:
        """The facts of each record of a message. An invalid id costs only its own record; raises InvalidField."""
        if not isinstance(ids, list) or not ids:
            raise InvalidField(f"ids: {quoted(ids)}; a list of records is expected")
        if excess := self.excess(len(ids), request):
            return [excess]
        parsed: list[Parsed] = []
        for one in ids:
            try:
                parsed += parse(id_of(one, "ids"))
            except InvalidField as error:
                parsed.append(Invalid(str(error), self.archived_body(request)))
        return parsed


def redact_secrets(body: bytes, secrets: Iterable[str], field: str) -> bytes:
    """A JSON body without the secrets that its sender put into `field`; otherwise unchanged, byte for byte.

    If the sender escapes characters in an unusual way, the document is serialized again with an empty `field`.
    """
    for secret in secrets:
        for ascii_only in (True, False):
            body = body.replace(json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode(), b"")
    try:
        document = parse_json(body)
    except InvalidField:
        return body
    if isinstance(document, dict) and document.get(field):
        return compact(document | {field: ""})
    return body
