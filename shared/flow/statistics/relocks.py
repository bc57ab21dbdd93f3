"""Relocks: decisions that a chart's baseline begins anew, by a person or by a verified change."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.contracts.relocks import RelockData
from shared.flow.statistics.segments import BASELINE_LEAST, BASELINE_POINTS, Cuts, Segment
from shared.flow.statistics.watched import charts_of
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy
from shared.runtime.yaml_file import Fault, FaultsError

_FIELDS = ("chart", "from", "points", "reason")
_WEEK = re.compile(r"[0-9]{4}-W[0-9]{2}")


class RelocksError(FaultsError):
    """Relocks that cannot be used; `faults` lists everything that is wrong."""


@dataclass(frozen=True)
class Relock:
    """From `from_week` on (an ISO name; None: from the beginning) a chart's baseline is its first `points` points."""

    chart: str
    from_week: str | None
    points: int
    reason: str

    @staticmethod
    def of(data: RelockData) -> Relock:
        return Relock(data.chart, data.from_week, data.points, data.reason)


AnyRelock = TypeVar("AnyRelock", Relock, RelockData)


def cuts_of(relocks: Iterable[Relock], chart: str, weeks: Weeks) -> Cuts:
    """The cuts of one chart. Of entries for the same week the last counts."""
    return {week: one.points for week, one in _by_week(relocks, chart, weeks).items()}


def relock_of(
    segment: Segment, relocks: Iterable[RelockData], chart: str, weeks: Weeks, over: int
) -> RelockData | None:
    """The relock that began a segment of a chart; None for the first one of a chart whose baseline nobody locked early.

    `over`: the first week that is not over.
    """
    by_week = _by_week(relocks, chart, weeks)
    # A segment begins with the last relock up to its first point; one without points is the newest.
    until = segment.points[0].week + 1 if segment.points else over
    return by_week.get(max((week for week in by_week if week is not None and week < until), default=None))


def _by_week(relocks: Iterable[AnyRelock], chart: str, weeks: Weeks) -> dict[int | None, AnyRelock]:
    """A relock from a week before the log's first waits until the log begins earlier."""
    found = {
        None if one.from_week is None else weeks.number(one.from_week): one for one in relocks if one.chart == chart
    }
    return {week: one for week, one in found.items() if week is None or week >= 0}


def chart_names(policy: Policy) -> set[str]:
    """The names of all charts of a policy."""
    return {chart.name for chart in charts_of(policy)}


def read_relocks(text: str, charts: Collection[str], weeks: Weeks, last: int) -> list[Relock]:
    """Read the list of a relocks file. Raises RelocksError with everything that is wrong.

    `last`: the last week that exists; the week of the log's last event or of the present.
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise RelocksError([Fault(0, "", "this is not JSON; write a list of relocks")]) from None
    if not isinstance(document, list):
        raise RelocksError([Fault(0, "", "is not a list; write a list of relocks, [{...}, ...]")])
    checks = [list(relock_faults(entry, charts, weeks, last)) for entry in document]
    if faults := [Fault(0, f"{index}{path}", text) for index, found in enumerate(checks) for path, text in found]:
        raise RelocksError(faults)
    return [Relock(e["chart"], e["from"], e.get("points", BASELINE_POINTS), e["reason"]) for e in document]


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise RelocksError([Fault(0, name, "appears twice in one relock; keep one of them")])
    return found


def relock_faults(entry: Any, charts: Collection[str], weeks: Weeks | None, last: int = 0) -> Iterator[tuple[str, str]]:
    """What is wrong with one entry: the field after a point, and what was found with the way out.

    `weeks`: None while nothing is known of the log; then any ISO week will do.
    """
    if not isinstance(entry, dict):
        yield "", f'{_shown(entry)} is not a relock; write {{"chart": ..., "from": ..., "reason": ...}}'
        return
    for name in entry.keys() - set(_FIELDS):
        yield f".{name}", f"no such field; use {', '.join(_FIELDS)}"
    chart, points, reason = entry.get("chart"), entry.get("points", BASELINE_POINTS), entry.get("reason")
    if not isinstance(chart, str) or chart not in charts:
        yield ".chart", f"{_shown(chart)} is not a chart of this policy; write pipeline/stage/column, - for no stage"
    if "from" not in entry:
        yield ".from", "is missing; add a week such as 2026-W09, or null for the first baseline"
    elif entry["from"] is not None and (text := _week_fault(entry["from"], weeks, last)):
        yield ".from", text
    if type(points) is not int or not BASELINE_LEAST <= points <= BASELINE_POINTS:
        yield ".points", f"{_shown(points)} cannot be used; write {BASELINE_LEAST} to {BASELINE_POINTS}"
    if not isinstance(reason, str) or not reason.strip():
        yield ".reason", f"{_shown(reason)} is no reason; write why the baseline begins anew"


def _week_fault(week: Any, weeks: Weeks | None, last: int) -> str | None:
    if weeks is None:
        exists = _number(week, Weeks(0, "UTC")) is not None
        return None if exists else f"{_shown(week)} is not an ISO week; write it like 2026-W09"
    number = _number(week, weeks)
    if number is not None and 0 <= number <= last:
        return None
    return f"{_shown(week)} is not a week of this log; write one from {weeks.name(0)} to {weeks.name(last)}"


def _number(week: Any, weeks: Weeks) -> int | None:
    if not isinstance(week, str) or not _WEEK.fullmatch(week):
        return None
    try:
        return weeks.number(week)
    except ValueError:
        return None


def _shown(value: Any) -> str:
    text = "an empty value" if value is None or value == "" else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
