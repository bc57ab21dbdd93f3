"""ETag and If-Match: nothing is changed that is other than the request takes it to be (RFC 9110, 13.1.1)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=500, description="the ETag of what is to be changed; if it has changed: 412"),
]
_VERSION = re.compile(r'"([0-9]{1,9})"')


def etag_of(version: int | str) -> str:
    """The ETag of a version. It names what decisions are made on, not how the problem stands now."""
    return f'"{version}"'


def matches(asked: str, version: int | str) -> bool:
    """Whether a header If-Match names this version. A weak tag never does."""
    tags = [tag.strip() for tag in asked.split(",")]
    return "*" in tags or etag_of(version) in tags


def version_in(asked: str) -> int:
    """The newest version of a ticket that a header names; 0: none."""
    return max((int(found) for found in _VERSION.findall(asked)), default=0)
