"""Which charts a policy watches, and at which level."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from shared.flow.statistics.columns import Column
from shared.flow.statistics.watched import WatchedChart, bad_side, watches
from shared.policy import Mode, parse
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES, Side

DEFAULT = {
    "shift/p/a/time_in_stage_median",
    "shift/p/b/time_in_stage_median",
    "shift/p/c/time_in_stage_median",
    "shift/p/a/arrivals",
    "shift/p//throughput",
    "shift/p//lead_time_median",
    "shift/p//win_rate",
}


def watched(*rules: dict[str, Any], **pipeline: Any) -> list[WatchedChart]:
    stages = [{"id": "a"}, {"id": "w", "outcome": "won"}, {"id": "b"}, {"id": "c"}, {"id": "l", "outcome": "lost"}]
    whole = {"name": "P", "owner": {"name": "H", "mail": "h@x.example"}, "stages": stages, "rules": rules, **pipeline}
    return watches(parse(json.dumps({"version": 1, "pipelines": {"p": whole}})))


def keys(*rules: dict[str, Any]) -> set[str]:
    return {watch.key for watch in watched(*rules)}


def test_shift_without_stage_and_measure_watches_the_default_list() -> None:
    assert keys({"kind": "shift"}) == DEFAULT


@pytest.mark.parametrize("stage", ["a", "b"])
def test_an_entry_with_a_stage_takes_the_place_of_the_default_in_any_order(stage: str) -> None:
    own = {"kind": "shift", "stage": stage, "mode": "off"}

    assert keys({"kind": "shift"}, own) == keys(own, {"kind": "shift"})
    # Arrivals of the first stage are another chart.
    assert keys({"kind": "shift"}, own) == DEFAULT - {f"shift/p/{stage}/time_in_stage_median"}


def test_an_entry_with_a_measure_takes_its_place_too_and_may_add_charts() -> None:
    found = watched(
        {"kind": "shift", "mode": "monitor"},
        {"kind": "shift", "measure": "win_rate"},
        {"kind": "shift", "measure": "lead_time_p85", "mode": "monitor"},
        {"kind": "shift", "stage": "a", "measure": "arrivals", "mode": "off"},
        {"kind": "shift", "stage": "c", "measure": "open_age_mean", "mode": "monitor"},
    )

    assert {one.key for one in found} == (DEFAULT - {"shift/p/a/arrivals"}) | {
        "shift/p//lead_time_p85",
        "shift/p/c/open_age_mean",
    }
    assert [one.key for one in found if one.mode is Mode.ACTIVE] == ["shift/p//win_rate"]


def test_rework_leaves_the_last_open_stage_out_unless_it_is_named() -> None:
    assert keys({"kind": "rework"}) == {"rework/p/a/rework_rate", "rework/p/b/rework_rate"}
    assert keys({"kind": "rework", "stage": "c"}) == {"rework/p/c/rework_rate"}
    assert keys({"kind": "rework"}, {"kind": "rework", "stage": "a", "mode": "off"}) == {"rework/p/b/rework_rate"}


def test_slipping_watches_the_pushed_share() -> None:
    (found,) = watched({"kind": "slipping"})

    assert found.key == "slipping/p//pushed_share"
    assert (found.chart.name, found.side) == ("p/-/pushed_share", Side.HIGH)


def test_what_is_off_is_not_watched() -> None:
    assert watched({"kind": "shift", "mode": "off"}, {"kind": "slipping", "mode": "off"}) == []
    assert watched({"kind": "wip-high", "stage": "a", "max": 3}) == []


def test_the_level_splits_the_false_alarms_over_the_active_charts() -> None:
    monitored = {"kind": "rework", "mode": "monitor"}

    assert {one.level for one in watched({"kind": "shift"}, monitored)} == {Fraction(1, 26 * 7)}
    assert {one.per_quarter for one in watched({"kind": "shift"})} == {Fraction(1, 7)}
    assert {one.level for one in watched({"kind": "shift"}, false_alarms="0.1")} == {Fraction(1, 10) / (26 * 7)}


def test_monitored_charts_count_where_none_is_active() -> None:
    assert {one.level for one in watched({"kind": "rework", "mode": "monitor"})} == {Fraction(1, 26 * 2)}


def test_aging_learned_and_bottleneck_use_their_part_of_the_false_alarms() -> None:
    def level(*rules: dict[str, Any]) -> Fraction:
        (found,) = watched({"kind": "slipping"}, *rules)
        return 26 * found.level

    assert level({"kind": "aging-learned", "stage": "a"}) == Fraction(9, 10)
    assert level({"kind": "aging-learned", "stage": "a", "budget": "0.25"}) == Fraction(3, 4)
    assert level({"kind": "aging-learned"}) == Fraction(7, 10)
    assert level({"kind": "aging-learned"}, {"kind": "aging-learned", "stage": "b", "mode": "off"}) == Fraction(8, 10)
    assert level({"kind": "aging-learned", "mode": "monitor"}) == 1
    assert level({"kind": "bottleneck"}, {"kind": "bottleneck", "stage": "c", "mode": "monitor"}) == Fraction(8, 10)
    assert level({"kind": "bottleneck", "stage": "b"}, {"kind": "aging-learned", "stage": "b"}) == Fraction(8, 10)


def test_every_measure_that_may_be_watched_is_a_column_of_a_stage_or_of_a_pipeline() -> None:
    columns = {column.measure: column for column in Column}

    for measures, of_pipeline in ((STAGE_MEASURES, False), (PIPELINE_MEASURES, True)):
        for measure, side in measures.items():
            assert columns[measure].of_pipeline is of_pipeline
            assert bad_side(columns[measure]) is side
