"""The board of a pipeline: how limits, shares and the main sentence are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.tickets.store.daily_points import DailyValues
from services.tickets.web.board_view import BoardFacts, BoardStage, board_sentence, board_stages, listed
from shared.contracts.measures import Measure
from shared.contracts.now import NowData, RuleNow
from shared.flow.calendars import AgeClocks
from shared.policy import StageTitles, parse
from shared.stream.stages_now import StagesNow
from tests.support.problems import day

RULES = """
      - {kind: wip-high, stage: demo, max: 25}
      - {kind: stalled, stage: demo, limit: 14d, count: 3, mode: monitor}
      - {kind: aging-learned}
"""


def stages(rules: str, *standing: NowData) -> Sequence[BoardStage]:
    policy = parse(
        "version: 1\npipelines:\n  new:\n    name: New\n    owner: {name: Head, mail: h@x.example}\n"
        "    stages: [{id: demo, name: Demo}, {id: legal}, {id: won, outcome: won}]\n"
        f"    rules:{rules or ' []'}\n"
    )
    days = {("new", stage, Measure.WIP.value): DailyValues() for stage in ("demo", "legal")}
    now = StagesNow(day(0), {(one.pipeline, one.stage): one for one in standing})
    return board_stages(BoardFacts("new", StageTitles.of(policy), now, days, None, [], {}), policy, AgeClocks(policy))


def demo(wip: int, *rules: dict[str, Any]) -> NowData:
    given = [{"threshold": 3, "breached": False, "key": f"{one['kind']}/new/demo"} | one for one in rules]
    return NowData(pipeline="new", stage="demo", as_of=day(0), wip=wip, rules=tuple(RuleNow(**one) for one in given))


def test_only_open_stages_are_on_the_board() -> None:
    assert [(one.title, one.wip) for one in stages(RULES)] == [("Demo", None), ("legal", None)]


def test_a_limit_on_the_number_of_deals_does_not_repeat_it() -> None:
    limit, stalled, learned = stages(
        RULES, demo(34, {"kind": "wip-high", "count": 34, "breached": True, "since": day(-2)})
    )[0].limits

    assert (limit.watched, limit.count, limit.is_beyond, limit.since) == ("more than 25 deals", "", True, day(-2))
    assert (stalled.count, stalled.note) == ("", "opens no tickets")
    assert learned.watched == "more old deals than the stage's own past lets expect"


def test_deals_over_a_limit_have_their_share() -> None:
    (found, _) = stages(RULES, demo(34, {"kind": "stalled", "count": 12}, {"kind": "aging-learned", "count": 1}))

    assert [one.count for one in found.limits] == ["", "12 of 34 deals, 35 %", "1 of 34 deals, 2.9 %"]


def test_an_empty_stage_has_no_share() -> None:
    (found, _) = stages(RULES, demo(0, {"kind": "stalled", "count": 0}))

    assert found.limits[1].count == "no deal"


def test_a_rule_that_opens_no_tickets_alarms_nobody() -> None:
    found = stages(RULES, demo(34, {"kind": "stalled", "count": 12, "breached": True}))

    assert not found[0].is_beyond
    assert board_sentence(found) == "34 deals in work; every stage is within its limits."


@pytest.mark.parametrize(
    ("rules", "standing", "sentence"),
    [
        ("", [demo(1)], "1 deal in work; no limit is watched."),
        (
            "\n      - {kind: wip-high, stage: demo, max: 2, mode: off}",
            [demo(3)],
            "3 deals in work; no limit is watched.",
        ),
        (
            RULES,
            [demo(34, {"kind": "wip-high", "count": 34, "breached": True})],
            "34 deals in work; beyond a limit: Demo.",
        ),
    ],
)
def test_the_sentence_says_what_is_beyond_a_limit(rules: str, standing: list[NowData], sentence: str) -> None:
    assert board_sentence(stages(rules, *standing)) == sentence


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
