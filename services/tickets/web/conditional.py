"""Pages ask for themselves again every few seconds: the answer is short where nothing has changed."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def answer_if_changed(request: Request, page: Response) -> Response:
    """The page with its ETag; 304 without a body where the reader has this one already (RFC 9110, 13.1.2)."""
    tag = f'"{hashlib.sha256(page.body).hexdigest()[:32]}"'
    page.headers["etag"] = tag
    if page.status_code == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return page
