"""A line that is read without the contract's model gives what the contract gives; all others are left to it."""

from __future__ import annotations

import gzip
import json
from itertools import chain, islice, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.events import DealData, DealEvent, EventType
from shared.flow.usual_events import CHECKS, Forms, ReadEvents, UsualMessages, of_contract, usual_events

SHOP = Path(__file__).parents[2] / "data" / "shop" / "events.jsonl.gz"
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "crm",
    "type": "andon.deal.moved",
    "subject": "crm:1",
    "time": "2026-03-02T09:00:00.5Z",
    "data": {"pipeline": "p", "stage": "lead", "amount": "12.50", "owner": "7", "buyer": True, "into": None},
}
TIMES = [
    "2026-03-02T09:00:00Z",
    "2026-03-02T09:00:00.123456Z",
    "2026-03-02T09:00:00.1234567Z",
    "2026-03-02T09:00:00+02:00",
    "2026-03-02T09:00:00",
    "2026-03-02T24:00:00Z",
    "2026-03-02T23:59:60Z",
    "2026-02-29T09:00:00Z",
    "2024-02-29T09:00:00.000001Z",
    "1969-12-31T23:59:59Z",
    "9999-01-01T00:00:00Z",
    "9998-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "2026-03-02 09:00:00Z",
    "2026-03-02T09:00:00Z\n",
    "2026-03-02T09:00:00Z\n2026-03-02T09:00:00Z",
    "2026-03-02t09:00:00z",
    "٢٠٢٦-03-02T09:00:00Z",
    "2026-03-02T09:00Z",
    "1772442000",
    "",
    1772442000,
    None,
    True,
    ["2026-03-02T09:00:00Z"],
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=False),
    st.sampled_from(TIMES),
    st.sampled_from(["", "1", "-0.5", "1.", "٣", "x" * 400, "x" * 401, "é" * 300, "a\x00b", "EUR", "E" * 13, "🙂"]),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.sampled_from([0, 1, "\\", '"', "\x1f", "\x7f", "\u2028", '","id":"2', '"},"data":{', "a\nb"]),
)
MESSAGES = UsualMessages()
FIELDS = ["receivedat", "dataversion", "translation", "unknown", *GOOD]


def agrees(line: bytes) -> bool:
    """Whether the line was read here; then the contract reads the same."""
    found = usual_events([line])
    if found is None:
        assert MESSAGES.read(line) is None
        return False
    message = DealEvent.model_validate_json(line)
    expected = of_contract(message)
    assert found == expected
    if (one := MESSAGES.read(line)) is not None:
        assert ReadEvents([one.event], [one.source], [one.received]) == expected
        assert (one.time, one.time.utcoffset()) == (message.time, message.time.utcoffset())
        assert json.loads(one.text) == one.event.data
    return True


@given(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2),
    st.dictionaries(st.sampled_from([*DealData.model_fields, "unknown"]), VALUES, max_size=3),
    st.sampled_from([kind.value for kind in EventType]),
)
def test_changed_fields(changed: dict[str, Any], data: dict[str, Any], kind: str) -> None:
    document = GOOD | {"type": kind, "data": GOOD["data"] | data} | changed

    agrees(json.dumps(document).encode())
    agrees(json.dumps(document, ensure_ascii=False).encode())
    agrees(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    agrees(json.dumps(dict(reversed(document.items()))).encode())


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field(field: str) -> None:
    line = json.dumps({name: value for name, value in GOOD.items() if name != field}).encode()

    assert not agrees(line)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("field", ["time", "receivedat"])
def test_times(field: str, time: Any) -> None:
    agrees(json.dumps(GOOD | {field: time}).encode())


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"1", b"null", b'"x"', b"{", b"{} {}", b'{"data": NaN}', b"\xff", b'{"data": {"stage": "\\ud800"}}'],
)
def test_what_is_no_event_is_left_to_the_contract(line: bytes) -> None:
    assert usual_events([line]) is None
    assert usual_events([json.dumps(GOOD).encode(), line]) is None
    with pytest.raises(ValidationError):
        DealEvent.model_validate_json(line)


def test_a_key_that_comes_twice() -> None:
    assert agrees(json.dumps(GOOD).replace('"id": "1"', '"id": "1", "id": "2"').encode())


def test_a_long_line_is_left_to_the_contract() -> None:
    assert usual_events([json.dumps(GOOD | {"data": {"name": "x" * 2000}}).encode()]) is None


def test_lines_read_at_once_give_what_each_gives() -> None:
    lines = [json.dumps(GOOD | {"id": str(n), "time": f"2026-03-0{n}T09:00:00Z"}).encode() for n in range(1, 9)]
    lines[3] = json.dumps(GOOD | {"id": "4", "source": "erp", "receivedat": "2026-04-01T00:00:00Z"}).encode()

    alone = [of_contract(DealEvent.model_validate_json(line)) for line in lines]

    assert usual_events(lines) == ReadEvents(*(list(chain(*column)) for column in zip(*alone, strict=True)))


def test_what_andon_itself_writes_is_read() -> None:
    event = DealEvent.model_validate(GOOD)

    assert agrees(event.to_json())
    assert MESSAGES.read(event.to_json()) is not None
    assert agrees(event.model_copy(update={"receivedat": event.time}).to_json())
    assert not agrees(event.model_copy(update={"translation": 1}).to_json())
    assert not agrees(event.model_copy(update={"dataversion": 2}).to_json())


@pytest.mark.parametrize("pad", ["", " "])
@pytest.mark.parametrize("turn", range(len(GOOD)))
def test_any_order_of_members_is_read(turn: int, pad: str) -> None:
    names = [*list(GOOD)[turn:], *list(GOOD)[:turn]]
    line = json.dumps({name: GOOD[name] for name in names}, separators=("," + pad, ":" + pad)).encode()

    assert agrees(line)
    assert UsualMessages().read(line) is not None


def test_forms_are_bounded() -> None:
    messages = UsualMessages(Forms(most=2))
    lines = [json.dumps({name: GOOD[name] for name in names}).encode() for names in islice(permutations(GOOD), 4)]

    read = [messages.read(line) is not None for line in [*lines, *lines]]

    assert read == [True, True, False, False] * 2


@pytest.mark.parametrize("number", [True, False, 0, 1, 0.0, 1.0, "1", "0", None])
@pytest.mark.parametrize("field", ["translation", "dataversion"])
def test_versions(field: str, number: Any) -> None:
    agrees(json.dumps(GOOD | {field: number}).encode())
    agrees(
        json.dumps(
            {name: value for name, value in GOOD.items() if name != "data"} | {field: number, "data": {}}
        ).encode()
    )


@pytest.mark.parametrize("pad", ["", " "])
@pytest.mark.parametrize(
    "change",
    [
        ('"id":~"1"', '"id":~"1\\u0041"'),
        ('"id":~"1"', '"id":~"' + "x" * 401 + '"'),
        ('"id":~"1"', '"id":~""'),
        ('"id":~"1"', '"id":~"1\x01"'),
        ('"source":~"crm"', '"source":~"c\\u0041m"'),
        ('"source":~"crm"', '"source":~"c\tm"'),
        ('"source":~"crm"', '"source":~"' + "x" * 401 + '"'),
        ('"subject":~"crm:1"', '"subject":~"crm:1\x00"'),
        ('"stage":~"lead"', '"stage":~"a\\u0000"'),
        ('"stage":~"lead"', '"stage":~"a\x01"'),
        ('"into":~null}', '"into":~null},~"data":~{"stage":~"x"}'),
        ('"into":~null}', '"into":~null,~"data":~{"stage":~"x"}}'),
        ('"into":~null}', '"into":~null},~"translation":~0'),
        ('"into":~null}', '"into":~null},~"receivedat":~"2026-03-02T09:00:01Z"'),
        ('"into":~null}', '"into":~null},~"receivedat":~"2026-03-02T09:00:01Z\\n"'),
        ('"into":~null}', '"into":~null}}'),
        ('"into":~null}', '"into":~null},'),
        (',~"data"', ',~"receivedat":~"2026-03-02T09:00:01Z",~"dataversion":~1,~"data"'),
        (',~"data"', ',~"dataversion":~01,~"data"'),
    ],
)
def test_small_changes_of_a_line(change: tuple[str, str], pad: str) -> None:
    old, new = (text.replace("~", pad) for text in change)
    line = json.dumps(GOOD, separators=("," + pad, ":" + pad))
    assert old in line
    changed = line.replace(old, new).encode()

    found = usual_events([line.encode(), changed])

    if agrees(changed):
        assert found is not None
        assert found.events[1:] == usual_events([changed]).events  # type: ignore[union-attr]
    else:
        assert found is None


def test_data_that_comes_again_is_kept_once() -> None:
    lines = [json.dumps(GOOD | {"id": number, "data": {"stage": "lead", "owner": "7"}}).encode() for number in "12"]

    found = usual_events(lines)

    assert found is not None
    first, second = found.events
    assert first.data is second.data
    assert first.data == {"stage": "lead"}


@pytest.mark.slow
def test_a_whole_log_is_read_without_the_contract() -> None:
    with gzip.open(SHOP) as lines:
        assert all(agrees(line.strip()) for line in lines)


def test_every_field_of_the_contract_is_read() -> None:
    assert set(CHECKS) == set(DealData.model_fields)
