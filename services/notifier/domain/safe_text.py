"""Makes text of CRMs, policies and mail servers safe for headers, bodies, logs and the database."""

from __future__ import annotations

import re

_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
# They reverse or hide what follows: marks and embeddings of writing direction, zero-width and interlinear characters.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
# The start of an encoded word (RFC 2047). Python before 3.12.5 decodes one inside a header, line breaks included.
_ENCODED_WORD = re.compile(r"=(?=\?)")


def one_line(text: str, limit: int = 1000) -> str:
    """One line without control, invisible and unpaired surrogate characters and encoded words, at most `limit` long."""
    paired = text.encode("utf-8", "replace").decode("utf-8")
    plain = _ENCODED_WORD.sub("= ", _BREAKS.sub(" ", _INVISIBLE.sub("", paired))).strip()
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"
