"""Where checkpoints lie: the closer to the watermark, the denser."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from shared.flow.checkpoints import BEGINNING, Checkpoint, checkpoint_grid, day_ends, run, worth_keeping
from shared.flow.deltas import PackedDeltas
from shared.runtime.instants import micros

SECOND = 1_000_000
NOW = micros(datetime.fromisoformat("2026-03-10T12:00:00+00:00"))


def ago(seconds: int) -> int:
    return NOW - seconds * SECOND


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (ago(10), True),
        (ago(15), False),
        (ago(120), True),
        (ago(130), False),
        (ago(300), True),
        (ago(7200), True),
        (ago(7500), False),
        (ago(10_800), True),
        (ago(2 * 86_400), True),
        (ago(2 * 86_400 + 3600), False),
        (ago(2 * 86_400 + 6 * 3600), True),
    ],
)
def test_the_grid_as_seen_from_the_watermark(at: int, kept: bool) -> None:
    assert worth_keeping(at, NOW) is kept


def test_a_pass_makes_the_checkpoints_that_are_worth_keeping() -> None:
    grid = set(checkpoint_grid(ago(3 * 86_400), NOW))

    assert all(worth_keeping(at, NOW) for at in grid)
    assert {ago(10), ago(300), ago(3600), ago(86_400 * 2 + 6 * 3600)} <= grid
    assert NOW not in grid


def test_nothing_before_the_begin() -> None:
    assert list(checkpoint_grid(ago(25), NOW)) == [ago(20), ago(10)]


def test_days_end_at_midnight_of_the_zone_also_when_clocks_change() -> None:
    begin = micros(datetime.fromisoformat("2026-03-28T12:00:00+00:00"))
    until = micros(datetime.fromisoformat("2026-03-29T22:00:00+00:00"))

    ends = list(day_ends(begin, until, ZoneInfo("Europe/Berlin")))

    assert ends == [micros(datetime.fromisoformat("2026-03-28T23:00:00+00:00")), until]


def test_a_pass_counts_and_samples_the_ends_of_days() -> None:
    begin = micros(datetime.fromisoformat("2026-03-09T12:00:00+00:00"))
    midnight = micros(datetime.fromisoformat("2026-03-10T00:00:00+00:00"))
    deltas = PackedDeltas.of([(begin, 1), (midnight, 1), (midnight + 1, 1)])

    result = run([], Checkpoint(BEGINNING), deltas, NOW, ZoneInfo("UTC"))

    assert result.samples == [(midnight, 2)]
    assert (result.last.at, result.last.count) == (NOW, 3)


def test_days_before_the_first_change_are_samples_of_none() -> None:
    since = micros(datetime.fromisoformat("2026-03-07T12:00:00+00:00"))
    late = micros(datetime.fromisoformat("2026-03-09T12:00:00+00:00"))

    for deltas, counts in ((PackedDeltas.of([(late, 1)]), [0, 0, 1]), (PackedDeltas(), [0, 0, 0])):
        result = run([], Checkpoint(BEGINNING), deltas, NOW, ZoneInfo("UTC"), since)

        assert [count for _, count in result.samples] == counts
