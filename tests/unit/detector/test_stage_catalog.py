"""What the policy makes of every stage, and the hint where it does not know one."""

from __future__ import annotations

from services.detector.publish.stage_catalog import CatalogStage, StageCatalog
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from tests.unit.flow.test_stage_resolver import NAMED, SALES, a_map, a_policy


def rows(deals: dict[tuple[str, str, str], int], stage_map: StageMap | None = None) -> dict[str, CatalogStage]:
    places = StageResolver(SALES, stage_map or StageMap())
    return {"/".join(row.key[1:]): row for row in StageCatalog(SALES, places, deals).rows()}


def test_described_stages_stand_where_the_policy_has_them() -> None:
    found = rows({("crm", "sales", "Proposal"): 4, ("crm", "sales", "13"): 2}, a_map(*NAMED))

    assert list(found) == ["default/13", "default/11", "default/12", "default/14"]
    assert (found["default/11"].watched, found["default/11"].home[:2]) == (True, ("sales", "Proposal"))
    assert (found["default/11"].deals, found["default/11"].hint) == (4, None)
    assert (found["default/11"].pipeline_name, found["default/13"].deals) == ("Sales", 2)


def test_a_stage_that_the_policy_does_not_know_says_how_to_name_it() -> None:
    found = rows({}, a_map(*NAMED))

    assert found["default/13"].hint == (
        'stage 13 (Legal) of pipeline default is not in the policy; add `- {id: "13"}` or name it `Legal`'
    )
    assert found["default/14"].hint is None, "it closes deals, which needs no policy"


def test_a_name_that_two_bear_is_no_way_out() -> None:
    twice = {"pipeline": "default", "stage": "15", "name": "LEGAL"}

    hint = rows({}, a_map(*NAMED, twice))["default/13"].hint
    assert hint is not None
    assert "another of its stages is called Legal, too" in hint


def test_stages_that_were_only_seen_are_listed() -> None:
    deals = {("crm", "sales", "x"): 1, ("crm", "renewals", "y"): 2, ("crm", "", "z"): 3, ("crm", "sales", "new"): 4}
    found = rows(deals)

    assert {place: row.deals for place, row in found.items()} == {
        "sales/x": 1,
        "renewals/y": 2,
        "/z": 3,
        "sales/new": 4,
    }
    assert found["sales/new"].watched
    assert (found["sales/x"].hint or "").endswith('add `- {id: "x"}` to its stages')
    assert "the policy has no such pipeline; add renewals under pipelines" in (found["renewals/y"].hint or "")
    assert "in no pipeline of the policy" in (found["/z"].hint or "")


def test_a_seen_stage_of_a_pipeline_named_by_name_has_the_crms_id() -> None:
    found = rows({("crm", "sales", "16"): 1}, a_map(*NAMED))

    assert found["default/16"].hint == (
        'stage 16 of pipeline default is not in the policy; add `- {id: "16"}` to its stages'
    )


def test_policy_and_crm_that_differ_are_told() -> None:
    found = rows({}, a_map({"pipeline": "sales", "stage": "Proposal", "outcome": "lost"}))

    assert found["sales/Proposal"].hint == "the policy has it open, the CRM lost; correct outcome in the policy"


def test_titles_are_what_all_sources_agree_on() -> None:
    policy = a_policy(p=["1", "2"])
    said = [{"pipeline": "p", "stage": number, "name": name} for number, name in (("1", "New"), ("2", "Offer"))]
    other = {"pipeline": "p", "stage": "2", "name": "Angebot", "source": "other"}

    assert StageCatalog(policy, StageResolver(policy, a_map(*said)), {}).titles() == {
        ("p", "1"): "New",
        ("p", "2"): "Offer",
    }
    assert StageCatalog(policy, StageResolver(policy, a_map(*said, other)), {}).titles() == {("p", "1"): "New"}
