"""Where an age limit divides the deals of a stage: due instants rise with the start, on any clock."""

from __future__ import annotations

from shared.flow.calendars import AgeClock


def latest_start(clock: AgeClock, limit: int, until: int) -> int | None:
    """The latest instant since which an age of `limit` is reached by `until`; None before 1970.

    All in microseconds. `due` of a later start is never earlier, so the instant is searched by halving.
    """
    reach = max(limit, 1)
    while until - reach > 0 and clock.due(until - reach, limit) > until:
        reach *= 2
    low, high = max(until - reach, 0), until
    if clock.due(low, limit) > until:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if clock.due(middle, limit) <= until:
            low = middle
        else:
            high = middle - 1
    return low
