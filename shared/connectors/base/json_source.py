"""A source that receives JSON documents, and what such sources share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from shared.connectors.base.facts import Invalid, Parsed
from shared.connectors.base.fields import InvalidField, invalid_json
from shared.connectors.base.json_body import parse_json
from shared.connectors.base.source import Request, Source
from shared.contracts.envelope import compact, iso


class JsonSource(Source):
    """A source whose requests are JSON documents of one or several parts. A fault in one part costs only that part."""

    def translate(self, request: Request) -> list[Parsed]:
        try:
            document = self.read(request)
        except InvalidField as error:
            return [invalid_json(request.body, error)]
        parsed: list[Parsed] = []
        try:
            parts = self.split(document)
            if excess := self.excess(len(parts), request):
                return [excess]
            for part in parts:
                parsed += self._parse(part, request, whole=part is document)
        except InvalidField as error:
            parsed.append(Invalid(str(error), self.archived_body(request)))
        return parsed

    def _parse(self, part: Any, request: Request, whole: bool) -> list[Parsed]:
        try:
            return list(self.parse_part(part, request))
        except InvalidField as error:
            return [Invalid(str(error), self.archived_body(request) if whole else compact(part))]

    def read(self, request: Request) -> Any:
        """The document of a body; raises InvalidField."""
        return parse_json(request.body)

    def split(self, document: Any) -> Sequence[Any]:
        """The parts to parse one by one; raises InvalidField."""
        return [document]

    @abstractmethod
    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        """The facts of one part; raises InvalidField."""


def content_id(request: Request, part: Any) -> str:
    """An id for a part that has none, from its content and arrival time. A duplicate delivery is harmless."""
    digest = hashlib.sha256(compact(part)).hexdigest()[:32]
    return f"{digest}/{iso(request.received_at)}"
