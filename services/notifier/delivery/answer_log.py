"""Logs what a mail server answers once per different answer, and counts the repeats."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass

from shared.runtime.log import logger

_log = logger(__name__)
# Queue ids, times, addresses: they differ in each answer of one kind.
_VARIABLE = re.compile(r"\S*[\d@]\S*")
_LEADING_CODE = re.compile(r"^[A-Za-z ]+: \d{3}(?: \d\.\d{1,3}\.\d{1,3})?")
REPEAT_SECONDS = 3600.0
MAX_ANSWERS = 200


@dataclass
class _Seen:
    first: str
    logged: float
    repeats: int = 0


class AnswerLog:
    """The most recent kinds of answers. One that keeps coming is logged once an hour, with its repeats."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def record(self, event: str, answer: str, **details: object) -> str:
        """Log a new answer. Returns the first answer of this kind, which stands for all that differ in ids only."""
        kind, now = kind_of(answer), time.monotonic()
        seen = self._seen.get(kind)
        if seen is None:
            seen = self._seen[kind] = _Seen(answer, now)
            _log.warning(event, answer=answer, **details)
        elif now - seen.logged >= REPEAT_SECONDS:
            _log.warning(event, answer=answer, repeats=seen.repeats + 1, **details)
            seen.logged, seen.repeats = now, 0
        else:
            seen.repeats += 1
        self._seen.move_to_end(kind)
        if len(self._seen) > MAX_ANSWERS:
            self._seen.popitem(last=False)
        return seen.first


def kind_of(answer: str) -> str:
    """An answer without what is different each time."""
    code = _LEADING_CODE.match(answer)
    head = code[0] if code else ""
    return head + _VARIABLE.sub("#", answer[len(head) :])
