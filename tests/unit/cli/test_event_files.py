"""Files of events: what cannot be read is answered with the line, the field, the value and the way out."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.event_files import FileError, read_events
from services.cli.replay import count_events

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "crm",
    "type": "andon.deal.moved",
    "subject": "crm:1",
    "time": "2026-03-02T09:00:00Z",
    "data": {"pipeline": "new", "stage": "lead"},
}
LINE = json.dumps(EVENT).encode()
NOW = datetime(2026, 3, 10, tzinfo=UTC)


def fault(folder: Path, content: bytes, name: str = "events") -> str:
    (folder / name).write_bytes(content)
    with pytest.raises(FileError) as error:
        list(read_events(str(folder / name)))
    return str(error.value)


@pytest.mark.parametrize(
    "content", [LINE, b"\n\n" + LINE, b"\xef\xbb\xbf" + LINE, LINE + b"\r\n", gzip.compress(LINE, mtime=0)]
)
def test_lines_are_read_in_every_form(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(content)

    ((_, line, event),) = read_events(str(tmp_path / "events"))

    assert (line, event.deal) == (LINE, "crm:1")


@pytest.mark.parametrize(
    "content",
    [
        b"Deal ID,Stage,Created\n1,Lead,2026-03-01\n",
        b"\xef\xbb\xbfDeal;Stage\n1;Lead\n",
        b'"Deal"\t"Stage"\n',
        b"PK\x03\x04rest of a workbook",
        b"PAR1rest",
        gzip.compress(b"id,stage\n1,Lead\n", mtime=0),
        "Deal ID\tStage\r\n1\tLead\r\n".encode("utf-16"),
        "Deal ID;Stage\n1;Lead\n".encode("utf-16-be"),
        "Gesch\u00e4ft|Phase\n1|Lead\n".encode("utf-16-le"),
        "\ufeffDeal,Stage\n1,Lead\n".encode("utf-16-be"),
        "Deal,Stage\n1,Lead\n".encode("utf-32"),
        "Gesch\u00e4ft;Phase\n1;Lead\n".encode("cp1252"),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1a workbook from before 2007",
        b"\n\nDeal|Stage\n",
    ],
)
def test_a_table_points_to_import(content: bytes, tmp_path: Path) -> None:
    assert "andon import" in fault(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" + LINE + b"]", "is one JSON array; write one object per line"),
        (json.dumps(EVENT, indent=2).encode(), "has an object over several lines"),
        (LINE.decode().encode("utf-16"), "is not UTF-8"),
        (LINE.decode().encode("utf-16-le"), "is not UTF-8"),
        (LINE.decode().encode("utf-32"), "is not UTF-8"),
        (f"[{LINE.decode()}]".encode("utf-16"), "is not UTF-8"),
        (gzip.compress(LINE * 100, mtime=0)[:-20], "cut or damaged"),
        (LINE + b"\n{broken\n", "line 2: is not one JSON object (found '{broken'); write one event per line"),
        (LINE + b"\n7\n", "line 2: is not one JSON object"),
    ],
)
def test_other_forms_say_what_to_do(content: bytes, words: str, tmp_path: Path) -> None:
    assert words in fault(tmp_path, content)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("time", None, "time: is not a time; write it like 2026-03-01T12:00:00Z (found None)"),
        ("time", "2026-03-02T09:00:00", "time: has no offset"),
        ("time", "tomorrow", "time: is not a time"),
        ("type", "deal.flown", "type: is not known; use one of 'andon.deal.created'"),
        ("id", 7, "id: is not text; put it in quotes (found 7)"),
    ],
)
def test_a_field_is_named_with_its_value_and_the_way_out(field: str, value: object, words: str, tmp_path: Path) -> None:
    found = fault(tmp_path, json.dumps(EVENT | {field: value}).encode())

    assert f"line 1: {words}" in found
    assert "Input should" not in found


@pytest.mark.parametrize(
    ("written", "last"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2017-01-01t05:29:60.5+05:30", "2016-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_leap_second_is_the_last_instant_of_its_minute(written: str, last: str, tmp_path: Path) -> None:
    event = EVENT | {"time": written, "receivedat": written, "data": {"stage": "lead", "entered_at": written}}
    (tmp_path / "events").write_text(json.dumps(event))
    ((_, _, read),) = read_events(str(tmp_path / "events"))
    assert {read.time, read.receivedat, read.data.entered_at} == {datetime.fromisoformat(last)}


@pytest.mark.parametrize("written", ["2016-12-31T12:59:60Z", "2016-12-31T23:59:61Z", "2016-12-31T23:60:00Z"])
def test_other_seconds_past_59_are_no_times(written: str, tmp_path: Path) -> None:
    assert f"time: is not a time; write it like 2026-03-01T12:00:00Z (found '{written}')" in fault(
        tmp_path, json.dumps(EVENT | {"time": written}).encode()
    )


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    without = {name: value for name, value in EVENT.items() if name != "time"}

    assert "line 1: time: is missing; add it" in fault(tmp_path, json.dumps(without).encode())


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(hours=2), timedelta(days=400)])
def test_an_event_in_the_future_stops_a_replay_before_anything_is_published(ahead: timedelta, tmp_path: Path) -> None:
    file = tmp_path / "events"
    late = json.dumps(EVENT | {"time": (NOW + ahead).isoformat()}).encode()
    file.write_bytes(LINE + b"\n" + late)

    with pytest.raises(FileError, match=r"line 2: time: 202.* is in the future, now is 2026-03-10.*; correct the time"):
        count_events(str(file), NOW)
