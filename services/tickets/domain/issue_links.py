"""The address of an issue in Jira that a ticket is linked to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.tickets.domain.faults import NotPossibleError

MAX_LETTERS = 500
_PRINTED = re.compile(r"[!-~]+")
# Jira may stand below a path of its own.
_PATH = re.compile(r"(?P<below>(/[A-Za-z0-9_.-]+)?)/browse/(?P<key>[A-Za-z][A-Za-z0-9_]{1,63}-[1-9][0-9]{0,17})/?")


@dataclass(frozen=True)
class IssueHosts:
    """The hosts that issues may be on, with the port where it is not 443; none: tickets are linked to no issue."""

    names: frozenset[str] = frozenset()

    def address(self, typed: str) -> str:
        """The address of an issue as it is kept; empty where nothing is typed. Raises NotPossibleError."""
        text = typed.strip()
        if not text:
            return ""
        if not self.names:
            raise NotPossibleError("No Jira is set; ask who runs Andon.", "issue")
        found = _parts(text)
        if found is None:
            raise NotPossibleError(
                "This is not the address of an issue; copy it as https://HOST/browse/KEY-1.", "issue"
            )
        host, below, key = found
        if host not in self.names:
            raise NotPossibleError(f"Issues may be on {', '.join(sorted(self.names))} only.", "issue")
        return f"https://{host}{below}/browse/{key}"


NO_ISSUES = IssueHosts()


def _parts(text: str) -> tuple[str, str, str] | None:
    """Host, path before `browse`, and key. Whatever else follows in the address is left out."""
    if len(text) > MAX_LETTERS or not _PRINTED.fullmatch(text) or "\\" in text:
        return None
    try:
        address = urlsplit(text)
    except ValueError:
        return None
    path = _PATH.fullmatch(address.path)
    if address.scheme != "https" or path is None or "@" in address.netloc or ".." in address.path:
        return None
    return address.netloc.lower().removesuffix(":443"), path["below"], path["key"].upper()
