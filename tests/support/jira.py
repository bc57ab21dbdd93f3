"""A Jira site on loopback, as far as remote links go: a real HTTP server that does what the REST API v3 documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.receiver import HookAnswered, HookReceiver, hook_receiver

_ADDRESS = re.compile(r"/rest/api/3/issue/([A-Z][A-Z0-9_]+-\d+)/remotelink")


class JiraSite:
    """`links`: by issue and global id. Authorization is `wanted`; issues are those named."""

    def __init__(self, receiver: HookReceiver, wanted: str, issues: set[str]) -> None:
        self._receiver, self._wanted, self._issues = receiver, wanted, issues
        self.base = receiver.url.partition("/in?")[0]
        self.links: dict[tuple[str, str], Any] = {}
        self.statuses: list[int] = []
        receiver.on_request = self._prepare

    def _prepare(self) -> None:
        """Choose the answer to the request that has just come."""
        answer = self._answer()
        self.statuses.append(answer.status)
        self._receiver.usual = answer

    def _answer(self) -> HookAnswered:
        got = self._receiver.got[-1]
        found = _ADDRESS.fullmatch(got.path)
        if got.headers.get("authorization") != self._wanted:
            return _fault(401, "Client must be authenticated to access this resource.")
        if got.headers["content-type"].partition(";")[0] != "application/json":
            return _fault(415, "Unsupported Media Type")
        if found is None or found[1] not in self._issues:
            return _fault(404, "Issue does not exist or you do not have permission to see it.")
        link = got.document
        if not (isinstance(link.get("object"), dict) and link["object"].get("url") and link["object"].get("title")):
            return _fault(400, "The remote link's object needs a title and a url.")
        if len(link["globalId"]) > 255 or len(link["object"]["title"]) > 255:
            return _fault(400, "The value is too long.")
        key = found[1], link["globalId"]
        is_new = key not in self.links
        self.links[key] = link
        body = json.dumps({"id": 10000 + len(self.links), "self": f"{self.base}{got.path}/10000"})
        return HookAnswered(201 if is_new else 200, {"content-type": "application/json"}, body)


def _fault(status: int, text: str) -> HookAnswered:
    return HookAnswered(status, {"content-type": "application/json"}, json.dumps({"errorMessages": [text]}))


@contextmanager
def jira_site(wanted: str, *issues: str) -> Iterator[JiraSite]:
    """Serve until the end."""
    with hook_receiver() as receiver:
        yield JiraSite(receiver, wanted, set(issues))
