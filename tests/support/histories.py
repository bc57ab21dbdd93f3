"""Small random histories on a clock of whole seconds, so that the definition can be evaluated at every instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from shared.contracts.events import DealEvent

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = 50
_AT = st.integers(0, 40)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def wild(length: int, seed: int = 1) -> str:
    """Characters of four bytes each, in which nothing repeats: no index makes them shorter."""
    chance = Random(seed)
    return "".join(chr(chance.randrange(0x10000, 0x110000)) for _ in range(length))


def _event(deal: int, number: int, second: int, kind: str, data: dict[str, Any]) -> DealEvent:
    return DealEvent.model_validate(
        {
            "id": f"{deal}-{number}",
            "source": "crm",
            "type": f"andon.deal.{kind}",
            "subject": f"crm:{deal}",
            "time": at(second),
            "data": data,
        }
    )


_MOVES = st.tuples(_AT, st.just("moved"), st.sampled_from(["a", "a", "b", "won"]).map(lambda s: {"stage": s}))
_TOUCHES = st.tuples(_AT, st.just("touched"), st.booleans().map(lambda buyer: {"buyer": buyer}))
_STEPS = st.tuples(
    _AT,
    st.just("changed"),
    (st.none() | st.integers(0, 55)).map(lambda s: {"next_step_at": None if s is None else at(s)}),
)
_ENDS = st.tuples(_AT, st.sampled_from(["won", "lost", "reopened", "deleted"]), st.just({}))


@st.composite
def _first(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """How a deal is first seen: created, or in the middle of its life, with or without since when it is there."""
    data: dict[str, Any] = {"pipeline": "p", "stage": "a"}
    if draw(st.integers(0, 2)):
        return "created", data
    since = draw(st.none() | st.integers(0, 45))
    return "moved", data if since is None else data | {"entered_at": at(since)}


@st.composite
def events(draw: st.DrawFn, ends: bool = False) -> list[DealEvent]:
    """Some deals of pipeline p, first seen somehow, then moved, touched, planned. With `ends` also won, lost, deleted.

    Of a deal that is seen in the middle of its life, touches and plans may be told before its stage is.
    """
    kinds = [_MOVES, _MOVES, _TOUCHES, _STEPS] + ([_ENDS] if ends else [])
    found = []
    for deal in range(draw(st.integers(1, 4))):
        begun = draw(_AT)
        first, said = draw(_first())
        found.append(_event(deal, 0, begun, first, said))
        for number, (second, kind, data) in enumerate(draw(st.lists(st.one_of(kinds), max_size=7)), 1):
            early = first == "moved" and kind in ("touched", "changed")
            found.append(_event(deal, number, second if early else max(second, begun), kind, data))
    return found


_PIPELINES = st.sampled_from(["p", "q", "q", "x", None])
_STAGES = st.sampled_from(["a", "a", "b", "c", "won", "x"])
_KINDS = ["created", "changed", "touched", "reopened", "moved", "moved", "won", "lost", "merged", "deleted", "deleted"]


@st.composite
def _anything(draw: st.DrawFn) -> tuple[int, str, dict[str, Any]]:
    """An event of any type. It may name a pipeline, a stage, both or none, at an instant that others may share."""
    data: dict[str, Any] = {}
    if draw(st.booleans()):
        data["pipeline"] = draw(_PIPELINES)
    if draw(st.booleans()):
        data["stage"] = draw(_STAGES)
    if not draw(st.integers(0, 4)):
        data["entered_at"] = at(draw(st.integers(0, 45)))
    if not draw(st.integers(0, 4)):
        data["next_step_at"] = at(draw(st.integers(0, 55)))
    kind = draw(st.sampled_from(_KINDS))
    if kind == "touched":
        data["buyer"] = draw(st.booleans())
    if kind == "moved" and not draw(st.integers(0, 2)):
        data["merged_from"] = "crm:9"
    return draw(_AT | st.sampled_from([10, 20, 30])), kind, data


# One fact at a time, as a CRM sends that has an event for each property.
_PARTS = st.one_of(
    st.tuples(_AT, st.just("moved"), st.sampled_from(["a", "b", "c", "won"]).map(lambda s: {"stage": s})),
    st.tuples(_AT, st.just("changed"), st.sampled_from(["p", "q", "x"]).map(lambda p: {"pipeline": p})),
    st.tuples(_AT, st.just("reopened"), st.just({})),
)


@st.composite
def wandering(draw: st.DrawFn) -> list[DealEvent]:
    """Some deals that events of any type take through the pipelines p and q: also deleted, reopened and merged."""
    found = []
    for deal in range(draw(st.integers(1, 3))):
        anything = st.one_of(_anything(), _anything(), _MOVES, _TOUCHES, _STEPS, _ENDS)
        steps = draw(st.lists(draw(st.sampled_from([_PARTS, anything])), min_size=1, max_size=9))
        for number, (second, kind, data) in enumerate(steps):
            found.append(_event(deal, number, second, kind, data))
    return found


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One rule of each kind on stage a, with small numbers and durations in seconds."""

    def seconds() -> str:
        return f"{draw(st.integers(0, 9))}s"

    def holds() -> dict[str, str]:
        """Both, one of them, or none: `clear_hold` is then `hold`, else 0."""
        return {name: seconds() for name in ("hold", "clear_hold") if draw(st.integers(0, 3))}

    return [
        {"kind": "aging", "limit": seconds(), "count": draw(st.integers(1, 3)), **holds()},
        {"kind": "stalled", "limit": seconds(), "count": draw(st.integers(1, 3)), **holds()},
        {"kind": "wip-high", "max": draw(st.integers(0, 2)), **holds()},
        {"kind": "wip-low", "min": draw(st.integers(1, 3)), **holds()},
    ]


def policy_text(written: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy with these rules on stage a."""
    return {
        "version": 1,
        "lateness": "1d",
        "pipelines": {
            "p": {
                "name": "P",
                "owner": {"name": "O", "mail": "o@x.example"},
                "stages": [{"id": "a"}, {"id": "b"}, {"id": "won", "outcome": "won"}],
                "rules": [{"stage": "a", **rule} for rule in written],
            }
        },
    }


def two_pipelines(written: list[dict[str, Any]]) -> dict[str, Any]:
    """As `policy_text`, with a pipeline q beside p: some stages are of both, one of them is open in p and lost in q."""
    text = policy_text(written)
    stages = [{"id": "a"}, {"id": "c"}, {"id": "b", "outcome": "lost"}]
    text["pipelines"]["q"] = {**text["pipelines"]["p"], "name": "Q", "stages": stages}
    return text
