"""Which descriptions of stages and pipelines are published."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from services.intake.stage_cache import TTL_SECONDS, RecentDescriptions
from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, StageFact
from shared.connectors.base.messages import to_messages
from shared.contracts.stages import StageEvent
from tests.support.webhooks import NOW, SAMPLES_RECEIVED_AT, sample
from tests.unit.connectors import test_generic_sources as generic
from tests.unit.connectors.test_samples import posted, source

SAYS = {"pipeline": "1", "stage": "3", "name": "Proposal", "order": 2, "probability": 0.5, "outcome": "open"}


def pipedrive(**changed: Any) -> list[Parsed]:
    document = json.loads(sample("pipedrive-v2-stage-change.json"))
    document["data"] |= changed
    return source("pipedrive").translate(posted(json.dumps(document).encode()))


def cloud(data: Any, kind: str = "andon.stage.described") -> list[Any]:
    return generic.cloud(json.dumps({**generic.MOVED, "type": kind, "data": data}).encode())


@pytest.mark.parametrize("kind", ["stage.described", "andon.stage.described", "org.example.crm.stage.described.v1"])
def test_senders_of_our_own_form_describe_stages(kind: str) -> None:
    assert cloud(SAYS, kind) == [StageFact(generic.cloud(sample("cloudevents-structured.json"))[0].time, SAYS, False)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probability", 60),
        ("probability", "high"),
        ("order", 1.5),
        ("order", True),
        ("order", 10**9),
        ("name", 5),
    ],
)
def test_a_field_that_cannot_be_read_costs_a_description_nothing_else(field: str, value: Any) -> None:
    result = to_messages("crm", cloud({**SAYS, field: value}), SAMPLES_RECEIVED_AT, "")

    ((left_out, detail),) = result.left_out
    assert (result.described, left_out) == (1, field)
    assert f"data.{field}" in detail


@pytest.mark.parametrize(("field", "value"), [("outcome", "closed"), ("stage", [])])
def test_what_cannot_be_meant_is_answered_with_field_and_value(field: str, value: Any) -> None:
    (said,) = cloud({**SAYS, field: value})

    assert isinstance(said, Invalid)
    assert f"data.{field}" in said.detail


def test_a_description_of_nothing_says_what_is_missing() -> None:
    (said,) = cloud({"name": "Proposal"})

    assert "data.stage" in said.detail


def test_a_stage_of_pipedrive_that_cannot_be_is_kept_and_explained() -> None:
    (said,) = pipedrive(pipeline_id=None)

    assert isinstance(said, Invalid)
    assert "pipeline_id" in said.detail


def test_a_stage_that_is_gone_describes_nothing() -> None:
    document = json.loads(sample("pipedrive-v2-stage-change.json"))
    document["meta"]["action"], document["data"] = "delete", None

    assert source("pipedrive").translate(posted(json.dumps(document).encode())) == [Ignored("stage-deleted")]


@pytest.mark.parametrize("label", [None, "", 7, ["x"], "\x00"])
def test_a_name_that_is_none_costs_the_deal_nothing(label: Any) -> None:
    document = json.loads(sample("close-opportunity-created.json"))
    document["event"]["data"]["status_label"] = label
    told, described = source("close").translate(posted(json.dumps(document).encode()))

    assert isinstance(told, DealFact)
    assert isinstance(described, StageFact)
    assert "name" not in described.data


def test_the_teams_name_is_the_pipelines() -> None:
    document = json.loads(sample("odoo-crm-lead-17.json")) | {"team_id": [5, "Direct sales"]}
    said = source("odoo").translate(posted(json.dumps(document).encode()))

    assert [one.data for one in said if isinstance(one, StageFact)] == [
        {"stage": "3", "name": "Proposition"},
        {"pipeline": "5", "pipeline_name": "Direct sales"},
    ]


def test_dynamics_tells_the_label_of_an_option_where_it_is_formatted() -> None:
    document = json.loads(sample("dynamics-opportunity-update.json"))
    target = document["InputParameters"][0]["value"]
    target["Attributes"].append({"key": "statuscode", "value": {"Value": 2}})
    target["FormattedValues"] = [{"key": "statuscode", "value": "On Hold"}]
    said = source("dynamics", stage_field="statuscode").translate(posted(json.dumps(document).encode()))

    assert [one.data for one in said if isinstance(one, StageFact)] == [{"stage": "2", "name": "On Hold"}]


def test_a_description_is_a_message_of_the_contract_and_known_by_what_it_says() -> None:
    first, again = (to_messages("crm", pipedrive(), NOW + timedelta(hours=1), "t.") for _ in range(2))
    (message,) = first.messages
    event = StageEvent.model_validate_json(message.value)

    assert (first.described, first.accepted, message.topic) == (1, 0, "t.pipeline.stages")
    assert message.key == event.data.key.encode() == b"crm/1/3/name+order+probability"
    assert event.id == StageEvent.model_validate_json(again.messages[0].value).id


def test_a_description_from_the_future_would_outlive_all_others_and_is_put_aside() -> None:
    result = to_messages("crm", pipedrive(), NOW - timedelta(days=2), "")

    assert (result.described, len(result.invalid)) == (0, 1)


def test_what_is_told_in_passing_is_written_once_a_minute_and_news_at_once() -> None:
    now = [0.0]
    recent = RecentDescriptions(lambda: now[0])
    passing = StageFact(NOW, {"stage": "3", "name": "Proposal"})
    renamed, own = passing._replace(data={"stage": "3", "name": "Offer"}), passing._replace(incidental=False)
    ignored = Ignored("x")

    assert recent.without_repeats("crm", [passing, ignored]) == [passing, ignored]
    assert recent.without_repeats("crm", [passing]) == [passing], "it was never written"
    recent.remember("crm", [passing, ignored])
    assert recent.without_repeats("crm", [passing, ignored, renamed, own]) == [ignored, renamed, own]
    assert recent.without_repeats("other", [passing]) == [passing]
    now[0] = TTL_SECONDS
    assert recent.without_repeats("crm", [passing]) == [passing]


def test_memory_of_descriptions_is_bounded() -> None:
    recent = RecentDescriptions(max_entries=3)

    recent.remember("crm", [StageFact(NOW, {"stage": str(number), "name": "x"}) for number in range(10)])

    assert len(recent) <= 3
