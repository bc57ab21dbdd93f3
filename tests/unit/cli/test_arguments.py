"""Times on the command line."""

from __future__ import annotations

import pytest

from services.cli.arguments import parse_time


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01 12:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00+0100", "2026-03-01T11:00:00+00:00"),
        ("2025-12-31T23:59:60Z", "2025-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_time_is_read(text: str, meant: str) -> None:
    assert parse_time(text).isoformat() == meant


@pytest.mark.parametrize("text", ["2026-03-01+01:00", "yesterday", "2026-02-30", "2026-03", "", "1773133200"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """`2026-03-01+01:00` was read as one o'clock in UTC."""
    with pytest.raises(ValueError, match="is not a time; write it like"):
        parse_time(text)
