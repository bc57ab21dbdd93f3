"""Where the policy has a stage: by id, else by name, never by a guess, in any order of the descriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.stages import StageData
from shared.flow.stage_facts import stage_data_fields
from shared.flow.stage_lookup import ResolvedStage
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.policy import Policy, StageOutcome, parse

OWNER = {"name": "O", "mail": "o@x.example"}


def a_policy(**pipelines: list[Any]) -> Policy:
    """Pipelines by key, each with its stages: ids, or whole entries."""
    return parse(
        json.dumps(
            {
                "version": 1,
                "pipelines": {
                    key.replace("_", " "): {
                        "name": "P",
                        "owner": OWNER,
                        "stages": [s if isinstance(s, dict) else {"id": s} for s in stages],
                    }
                    for key, stages in pipelines.items()
                },
            }
        )
    )


def a_map(*descriptions: dict[str, Any]) -> StageMap:
    """The map that descriptions by `crm`, or another source, make; a later one in the list is later in time."""
    return StageMap.of(
        field
        for time, one in enumerate(descriptions)
        for field in stage_data_fields(StageData.model_validate({"source": "crm", **one}), time, str(time))
    )


SALES = a_policy(sales=["new", "Proposal", {"id": "Closed Won", "outcome": "won"}])
NAMED = (
    {"pipeline": "default", "pipeline_name": "Sales"},
    {"pipeline": "default", "stage": "11", "name": "proposal"},
    {"pipeline": "default", "stage": "12", "name": "Closed won"},
    {"pipeline": "default", "stage": "13", "name": "Legal", "order": 3},
    {"pipeline": "default", "stage": "14", "name": "Gone", "probability": 0, "outcome": "lost"},
)


@pytest.mark.parametrize(
    ("pipeline", "stage", "resolved"),
    [
        ("sales", "new", ("sales", "new", "open")),
        (None, "new", ("sales", "new", "open")),
        ("default", "new", ("sales", "new", "open")),
        ("default", "11", ("sales", "Proposal", "open")),
        (None, "11", ("sales", "Proposal", "open")),
        ("default", "12", ("sales", "Closed Won", "won")),
        ("default", "13", ("sales", "13", "open")),
        ("default", "14", ("sales", "14", "lost")),
        (None, "14", ("", "14", "lost")),
        ("renewals", "11", ("renewals", "11", "open")),
        (None, "99", ("", "99", "open")),
    ],
)
def test_stages_are_found_by_id_and_by_name(pipeline: str | None, stage: str, resolved: tuple[str, ...]) -> None:
    resolver = StageResolver(SALES, a_map(*NAMED))

    assert resolver.resolve("crm:1", pipeline, stage) == resolved
    assert resolver.resolve("crm:1", pipeline, stage) == resolved, "the second time, from memory"


def test_names_are_those_of_the_deals_own_source() -> None:
    resolver = StageResolver(SALES, a_map(*NAMED))

    assert resolver.resolve("other:1", "default", "11") == ("default", "11", "open")


def test_the_id_counts_before_the_name() -> None:
    resolver = StageResolver(
        a_policy(p=["11", "Proposal"]), a_map({"pipeline": "p", "stage": "11", "name": "Proposal"})
    )

    assert resolver.resolve("crm:1", "p", "11").stage == "11"


@pytest.mark.parametrize(
    "said",
    [
        [{"stage": "1", "name": "Proposal"}, {"stage": "2", "name": "PROPOSAL"}],
        [{"stage": "1", "name": "Proposal"}, {"stage": "Proposal", "name": "Draft"}],
    ],
    ids=["two of one name", "a name that is another's id"],
)
def test_an_ambiguous_name_is_no_guess(said: list[dict[str, Any]]) -> None:
    resolver = StageResolver(a_policy(p=["Proposal"]), a_map(*({"pipeline": "p", **one} for one in said)))

    assert resolver.resolve("crm:1", "p", "1") == ("p", "1", "open")


def test_two_ids_of_the_policy_that_differ_by_case_alone_take_no_name() -> None:
    resolver = StageResolver(a_policy(p=["Offer", "offer"]), a_map({"pipeline": "p", "stage": "1", "name": "OFFER"}))

    assert resolver.resolve("crm:1", "p", "1").stage == "1"
    assert resolver.resolve("crm:1", "p", "offer").stage == "offer"


def test_two_pipelines_of_one_name_are_named_by_id() -> None:
    said = [{"pipeline": "1", "pipeline_name": "Sales"}, {"pipeline": "2", "pipeline_name": "sales"}]

    assert StageResolver(SALES, a_map(*said)).resolve("crm:1", "1", "new") == ("1", "new", "open")
    assert StageResolver(SALES, a_map(said[0])).resolve("crm:1", "1", "new") == ("sales", "new", "open")


def test_a_stage_of_every_pipeline_has_its_name_in_each() -> None:
    resolver = StageResolver(SALES, a_map({"stage": "3", "name": "Proposal"}))

    assert resolver.resolve("crm:1", "sales", "3") == ("sales", "Proposal", "open")
    assert resolver.resolve("crm:1", None, "3") == ("sales", "Proposal", "open")
    assert (
        StageResolver(a_policy(a=["Proposal"], b=["Proposal"]), resolver.stage_map).resolve("crm:1", None, "3").pipeline
        == ""
    )


def test_a_pipeline_that_nobody_told_is_the_only_one_it_can_be() -> None:
    both = a_policy(a=["closed"], b=["closed"])
    once, twice = {"pipeline": "a", "stage": "closed"}, {"pipeline": "b", "stage": "closed"}

    assert StageResolver(both, a_map()).resolve("crm:1", None, "closed").pipeline == ""
    assert StageResolver(both, a_map({**once, "order": 1})).resolve("crm:1", None, "closed").pipeline == "a"
    assert (
        StageResolver(both, a_map({**once, "order": 1}, {**twice, "order": 1}))
        .resolve("crm:1", None, "closed")
        .pipeline
        == ""
    )


def test_a_later_description_counts_field_by_field_and_null_takes_back() -> None:
    stage_map = a_map(
        {"pipeline": "p", "stage": "1", "name": "Old", "order": 4, "outcome": "won"},
        {"pipeline": "p", "stage": "1", "name": "New"},
        {"pipeline": "p", "stage": "1", "outcome": None},
    )
    (described,) = stage_map.stages.values()

    assert (described.name, described.order, described.outcome) == ("New", 4, None)


def test_what_leads_nowhere_else_changes_no_digest() -> None:
    plain = StageResolver(SALES, StageMap()).digest
    idle = [
        {"pipeline": "sales", "stage": "new", "name": "Neu", "order": 1},
        {"pipeline": "sales", "stage": "Closed Won", "outcome": "won", "probability": 1},
        {"pipeline": "renewals", "stage": "5", "name": "Legal", "pipeline_name": "Renewals", "outcome": "open"},
    ]

    assert StageResolver(SALES, a_map(*idle)).digest == plain
    for one in NAMED[:3] + NAMED[4:]:
        assert StageResolver(SALES, a_map(NAMED[0], one)).digest != plain


STAGES = st.sampled_from(["1", "2", "new", "Proposal"])
PIPELINES = st.sampled_from([None, "d", "e", "sales"])
SAYINGS = st.lists(
    st.fixed_dictionaries(
        {"pipeline": st.sampled_from(["d", "e", "sales"])},
        optional={
            "stage": STAGES,
            "name": st.sampled_from(["Proposal", "proposal", "new", "x", None]),
            "pipeline_name": st.sampled_from(["Sales", "other"]),
            "outcome": st.sampled_from(["open", "won", None]),
        },
    )
    | st.fixed_dictionaries({"stage": STAGES, "name": st.sampled_from(["Proposal", "New"])}),
    max_size=6,
)


@given(SAYINGS, SAYINGS, st.randoms(use_true_random=False))
def test_equal_digests_mean_equal_resolved_and_order_changes_nothing(
    some: list[dict[str, Any]], more: list[dict[str, Any]], chance: Any
) -> None:
    fields = [
        field
        for time, one in enumerate(some + more)
        for field in stage_data_fields(StageData.model_validate({"source": "crm", **one}), time % 4, str(time))
    ]
    mixed = fields + chance.sample(fields, len(fields) // 2)
    chance.shuffle(mixed)
    policy = a_policy(sales=["new", "Proposal"], more=["new", "1"])
    after, before = StageResolver(policy, StageMap.of(mixed)), StageResolver(policy, a_map(*some))

    asked = [(p, s) for p in (None, "d", "e", "sales", "z") for s in ("1", "2", "new", "Proposal")]
    resolved = [after.resolve("crm:1", *place) for place in asked]
    again = StageResolver(policy, StageMap.of(fields))
    assert (again.digest, [again.resolve("crm:1", *place) for place in asked]) == (after.digest, resolved)
    if before.digest == after.digest:
        assert [before.resolve("crm:1", *place) for place in asked] == resolved


def test_memory_is_bounded() -> None:
    resolver = StageResolver(SALES, StageMap(), max_cached=3)

    for number in range(10):
        assert resolver.resolve("crm:1", "p", str(number)) == ResolvedStage("p", str(number), StageOutcome.OPEN)
    assert resolver.cached <= 3


def test_a_name_in_one_pipeline_and_in_all_is_ambiguous_there() -> None:
    stage_map = a_map({"stage": "3", "name": "Proposal"}, {"pipeline": "sales", "stage": "4", "name": "Proposal"})
    resolver = StageResolver(SALES, stage_map)

    assert [resolver.resolve("crm:1", "sales", stage).stage for stage in ("3", "4")] == ["3", "4"]
