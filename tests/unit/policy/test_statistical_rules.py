"""The rules `shift`, `rework`, `slipping`, `bottleneck`, `aging-learned`, `silence`, and their false alarms."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flow.ruleset import Ruleset
from shared.policy import Mode, Policy, PolicyError, parse
from shared.policy.numbers import decimal, positive

STAGES = [{"id": "a"}, {"id": "b"}, {"id": "w", "outcome": "won"}]


def written(*rules: Any, silence: Any = (), **pipeline: Any) -> str:
    whole = {"name": "P", "owner": {"name": "H", "mail": "h@x.example"}, "stages": STAGES, "rules": rules, **pipeline}
    return json.dumps({"version": 1, "pipelines": {"p": whole}, "silence": silence})


def policy(*rules: Any, **pipeline: Any) -> Policy:
    return parse(written(*rules, **pipeline))


def faults(*rules: Any, **pipeline: Any) -> list[str]:
    """Without the line."""
    with pytest.raises(PolicyError) as error:
        policy(*rules, **pipeline)
    return [str(fault).partition(": ")[2] for fault in error.value.faults]


def yaml(rules: str, false_alarms: str = "1") -> Policy:
    return parse(
        "version: 1\npipelines: {p: {name: P, owner: {name: H, mail: h@x.example}, stages: [{id: a}, {id: b}],\n"
        f"false_alarms: {false_alarms}, rules: [{rules}]}}}}\n"
    )


def test_numbers_are_the_decimals_that_are_written() -> None:
    found = yaml("{kind: aging-learned, budget: 0.3}", "1.10").pipelines["p"]

    assert (found.false_alarms, found.learned_rules["b"].budget) == (Fraction(11, 10), Fraction(3, 10))
    assert yaml("", "1e-1").pipelines["p"].false_alarms == Fraction(1, 10)


def test_defaults() -> None:
    found = policy({"kind": "aging-learned", "stage": "a"}, silence=[{}])

    rule = found.pipelines["p"].learned_rules["a"]
    assert found.pipelines["p"].false_alarms == 1
    assert (rule.budget, rule.clear_hold.micros(), rule.mode) == (Fraction(1, 10), 0, Mode.ACTIVE)
    assert (found.silence[0].source, found.silence[0].budget) == (None, Fraction(1, 10))
    assert policy().silence == ()


@pytest.mark.parametrize("off", ["off", "'off'", "Off", "OFF", "false", "False"])
def test_off_without_quotes_is_off(off: str) -> None:
    for rule in ("{kind: shift, mode: %s}", "{kind: wip-high, stage: a, max: 1, mode: %s}"):
        assert [one.mode for one in yaml(rule % off).pipelines["p"].rules] == [Mode.OFF]


@pytest.mark.parametrize("mode", ["on", "true", "no", "0", "~", "'off '"])
def test_no_other_word_is_off(mode: str) -> None:
    with pytest.raises(PolicyError, match=r"rules\.0\.mode"):
        yaml(f"{{kind: shift, mode: {mode}}}")


def test_an_entry_with_a_stage_takes_the_place_of_the_one_without() -> None:
    found = policy(
        {"kind": "bottleneck", "stage": "b", "mode": "off"},
        {"kind": "bottleneck"},
        {"kind": "aging-learned", "stage": "b", "budget": "0.2"},
    ).pipelines["p"]

    assert {stage: rule.mode for stage, rule in found.bottleneck_rules.items()} == {"a": Mode.ACTIVE, "b": Mode.OFF}
    assert list(found.learned_rules) == ["b"]


def test_a_source_has_its_own_rule_or_the_one_for_every_source() -> None:
    found = policy(silence=[{"budget": "0.2"}, {"source": "eu", "mode": "off"}])

    assert [getattr(found.silence_rule(source), "mode", None) for source in ("eu", "us")] == [Mode.OFF, Mode.ACTIVE]
    assert policy(silence=[{"source": "eu"}]).silence_rule("us") is None


def test_the_detector_judges_the_rules_on_counts_alone() -> None:
    rules = ({"kind": "shift"}, {"kind": "aging", "stage": "a", "limit": "3d"}, {"kind": "slipping"})

    assert [rule.key for rule in Ruleset(policy(*rules, silence=[{}])).rules] == ["aging/p/a"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"kind": "shift"}] * 2, "a second shift rule; keep one of them"),
        ([{"kind": "rework", "stage": "a"}] * 2, "a second rework rule on stage 'a'; keep one of them"),
        ([{"kind": "slipping"}, {"kind": "slipping", "mode": "off"}], "a second slipping rule"),
        ([{"kind": "bottleneck"}] * 2, "a second bottleneck rule"),
        (
            [{"kind": "aging-learned", "stage": "a"}, {"kind": "aging-learned", "stage": "a", "budget": "0.5"}],
            "a second",
        ),
        ([{"kind": "shift", "measure": "win_rate"}] * 2, "a second shift rule on measure 'win_rate'"),
        ([{"kind": "shift", "stage": "a", "measure": "wip_end"}] * 2, "on stage 'a', measure 'wip_end'"),
        # Both watch the time in the stage.
        (
            [{"kind": "shift", "stage": "a"}, {"kind": "shift", "stage": "a", "measure": "time_in_stage_median"}],
            "a second",
        ),
    ],
)
def test_two_entries_that_watch_the_same(rules: list[Any], expected: str) -> None:
    found = faults(*rules)

    assert [line.partition(": ")[0] for line in found] == ["pipelines.p.rules.0", "pipelines.p.rules.1"]
    assert any(expected in line for line in found)


def test_entries_that_watch_different_charts_are_no_repeats() -> None:
    assert policy(
        {"kind": "shift"},
        {"kind": "shift", "stage": "a"},
        {"kind": "shift", "stage": "b"},
        {"kind": "shift", "stage": "a", "measure": "wip_end"},
        {"kind": "shift", "stage": "a", "measure": "rework_rate"},
        {"kind": "rework", "stage": "a"},
        {"kind": "rework"},
    )


@pytest.mark.parametrize("kind", ["shift", "rework", "bottleneck", "aging-learned"])
@pytest.mark.parametrize(
    ("stage", "says"), [("x", "stage 'x' is not a stage of this pipeline"), ("w", "stage 'w' is won: it holds no work")]
)
def test_a_stage_that_is_unknown_or_closed(kind: str, stage: str, says: str) -> None:
    (found,) = faults({"kind": "slipping"}, {"kind": kind, "stage": stage})

    assert found.startswith(f"pipelines.p.rules.1: {says}")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"measure": "wip_end"}, "measure 'wip_end' is one of a stage; add the stage, or use one of lead_time_median"),
        ({"measure": "win_rate", "stage": "a"}, "measure 'win_rate' is one of the pipeline, not of stage 'a'; remove"),
        ({"measure": "wip"}, "measure 'wip' is not known; use one of time_in_stage_median"),
        ({"measure": "time_in_stage_median_s", "stage": "a"}, "is not known"),
        ({"measure": "won"}, "is not known"),
    ],
)
def test_a_measure_that_does_not_fit(rule: dict[str, Any], says: str) -> None:
    (found,) = faults({"kind": "shift", **rule})

    assert found.startswith("pipelines.p.rules.0: ")
    assert says in found


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "shift", "level": "0.1"},
        {"kind": "shift", "budget": "0.1"},
        {"kind": "rework", "measure": "rework_rate"},
        {"kind": "slipping", "stage": "a"},
        {"kind": "bottleneck", "budget": "0.1"},
        {"kind": "aging-learned", "limit": "3d"},
        {"kind": "aging-learned", "hold": "3d"},
        {"kind": "aging-learned", "count": "3"},
    ],
)
def test_a_field_that_the_kind_does_not_have(rule: dict[str, Any]) -> None:
    (found,) = faults(rule)

    assert found.startswith(f"pipelines.p.rules.0.{list(rule)[1]}: no such field")


@pytest.mark.parametrize(
    "number", ["0", "-1", "0.0", "x", "nan", "inf", "", "1/10", "1e999", "0x1", "1_0", "٣", " 1", None]
)
def test_numbers_that_are_refused(number: str | None) -> None:
    for found in (
        faults(false_alarms=number),
        faults({"kind": "aging-learned", "budget": number}),
        faults(silence=[{"budget": number}]),
    ):
        assert len(found) == 1
        assert "is not a number greater than 0; write a decimal, such as 0.1" in found[0]


@pytest.mark.parametrize("field", ["stage", "measure"])
def test_a_name_left_empty_is_no_entry_for_all(field: str) -> None:
    assert faults({"kind": "shift", field: None}) == [
        f"pipelines.p.rules.0.{field}: is empty; name one, or remove the field"
    ]


@pytest.mark.parametrize("silence", [[{}, {}], [{"source": "eu"}, {"source": "eu", "budget": "1"}]])
def test_two_entries_for_the_same_source(silence: list[Any]) -> None:
    found = faults(silence=silence)

    assert len(found) == 2
    assert found[1].startswith("silence.1: a second entry for ")


def test_false_alarms_must_be_more_than_what_is_used_already() -> None:
    learned = [{"kind": "aging-learned", "stage": stage, "budget": "0.45"} for stage in "ab"]

    assert faults(*learned, {"kind": "bottleneck", "stage": "a"}) == [
        "pipelines.p.false_alarms: false_alarms of p is 1; aging-learned and bottleneck already use 1:"
        " raise it, or watch fewer stages"
    ]
    assert policy(*learned, {"kind": "bottleneck", "stage": "a", "mode": "monitor"})
    assert policy(*learned, {"kind": "bottleneck", "stage": "a"}, false_alarms="1.000001")
    assert (
        "is 0.2; aging-learned and bottleneck already use 0.2" in faults({"kind": "bottleneck"}, false_alarms="0.2")[0]
    )


def test_every_fault_is_reported_at_once() -> None:
    found = faults(
        {"kind": "aging-learned", "stage": "a", "budget": "2"},
        {"kind": "aging-learned", "stage": "b", "budget": "0"},
        {"kind": "rework", "stage": "w"},
        {"kind": "shift", "measure": "wip_end", "mode": "of"},
        {"kind": "aging", "stage": "a"},
        silence=[{"source": "eu", "budget": "-1"}, {"source": "eu"}],
    )

    assert sorted(line.partition(": ")[0] for line in found) == [
        "pipelines.p.false_alarms",
        "pipelines.p.rules.1.budget",
        "pipelines.p.rules.2",
        "pipelines.p.rules.3",
        "pipelines.p.rules.3.mode",
        "pipelines.p.rules.4.limit",
        "silence.0",
        "silence.0.budget",
        "silence.1",
    ]


@given(st.decimals(min_value="0.000001", max_value=10**9, places=6))
def test_a_decimal_is_read_and_written_exactly(number: Any) -> None:
    assert positive(str(number)) == Fraction(number)
    assert positive(decimal(Fraction(number))) == Fraction(number)
