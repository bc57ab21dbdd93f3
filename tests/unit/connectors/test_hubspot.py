"""HubSpot's samples and vectors, byte for byte, and its refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hubspot.utils.signature import Signature

from shared.connectors.base.facts import DealFact, Ignored, Invalid
from shared.connectors.base.source import Unauthenticated
from tests.support.webhooks import HUBSPOT, NOW, SECRET, URL, request, sample, signed_v3, source

LEGACY, GENERIC, WON = (sample(f"hubspot-deal-{n}.json") for n in ("batch-legacy", "batch-generic", "stage-won-legacy"))


def translated(body: bytes, **settings: Any) -> list[Any]:
    return source("hubspot", **settings).translate(request(body, {}))


@pytest.mark.parametrize("vector", HUBSPOT["vectors"], ids=lambda v: v["name"])
def test_published_vectors_are_genuine(vector: dict[str, Any]) -> None:
    source("hubspot", public_url=vector["uri"]).verify(request(sample(vector["body_file"]), vector["headers"]))


def test_a_url_that_was_not_decoded_by_hubspots_table_is_not_genuine() -> None:
    vector = HUBSPOT["vectors"][2]
    headers = vector["headers"] | {"X-HubSpot-Signature-v3": vector["wrong_v3_if_uri_not_decoded"]}

    with pytest.raises(Unauthenticated, match="does not match"):
        source("hubspot", public_url=vector["uri"]).verify(request(sample(vector["body_file"]), headers))


def test_hubspots_own_library_agrees_with_our_signatures() -> None:
    headers = signed_v3(LEGACY, stamp=str(int(NOW.timestamp() * 1000)))

    source("hubspot").verify(request(LEGACY, headers))
    assert headers["X-HubSpot-Signature-v3"] == Signature.get_signature(
        client_secret=SECRET,
        request_body=LEGACY.decode(),
        signature_version="v3",
        http_uri=URL,
        http_method="POST",
        timestamp=headers["X-HubSpot-Request-Timestamp"],
    )


def test_the_creation_array_says_name_stage_and_pipeline() -> None:
    told = [one for one in translated(LEGACY) if isinstance(one, DealFact)]

    assert [(one.type.value, one.data) for one in told] == [
        ("andon.deal.changed", {"amount": "48500.00"}),
        ("andon.deal.changed", {"expected_close": "2026-04-13"}),
        ("andon.deal.changed", {"pipeline": "default"}),
        (
            "andon.deal.moved",
            {"stage": "qualifiedtobuy", "url": "https://app.hubspot.com/contacts/48112233/record/0-3/21840077001"},
        ),
        ("andon.deal.created", {"url": "https://app.hubspot.com/contacts/48112233/record/0-3/21840077001"}),
    ]
    assert {one.deal for one in told} == {"21840077001"}
    assert {one.time.isoformat() for one in told} == {"2026-03-10T09:00:00+00:00"}


def test_the_owner_is_not_kept() -> None:
    assert translated(LEGACY)[2] == Ignored("owner")
    assert "61123456" not in str([one.data for one in translated(LEGACY) if isinstance(one, DealFact)])


def test_generic_subscriptions_are_understood_and_other_objects_left_alone() -> None:
    said = translated(GENERIC)

    assert [one.type.value.rpartition(".")[2] if isinstance(one, DealFact) else one for one in said] == [
        "changed",
        "moved",
        "created",
        "moved",
        Ignored("not-a-deal"),
        "deleted",
    ]
    assert said[0].data == {"name": "Café Zürich – renewal"}


def test_a_resent_array_has_the_same_ids() -> None:
    again = json.dumps([{**event, "attemptNumber": 3} for event in json.loads(WON)]).encode()

    assert [one.id for one in translated(WON)] == [one.id for one in translated(again)]


def test_ids_of_different_events_differ() -> None:
    ids = [one.id for body in (LEGACY, GENERIC, WON) for one in translated(body) if isinstance(one, DealFact)]

    assert len(set(ids)) == len(ids)


def event(**fields: Any) -> bytes:
    base = {"eventId": 1, "portalId": 2, "occurredAt": 1773133200000, "objectId": 3}
    return json.dumps([base | fields]).encode()


def test_merged_deals_end_in_the_one_that_lives_on_under_a_new_id() -> None:
    body = event(subscriptionType="deal.merge", primaryObjectId=10, mergedObjectIds=[11, 12], newObjectId=13)

    assert [(one.deal, one.data) for one in translated(body)] == [
        ("11", {"into": "acme:13"}),
        ("12", {"into": "acme:13"}),
        ("10", {"into": "acme:13", "primary": True}),
    ]


@pytest.mark.parametrize("survivor", [{}, {"newObjectId": None}, {"newObjectId": 10}, {"newObjectId": "10"}])
def test_a_deal_that_survives_under_its_own_id_takes_no_place(survivor: dict[str, Any]) -> None:
    body = event(subscriptionType="deal.merge", primaryObjectId=10, mergedObjectIds=[11, 10], **survivor)

    assert [(one.deal, one.data) for one in translated(body)] == [("11", {"into": "acme:10"})]


def test_a_merge_into_one_of_the_other_deals_takes_no_place() -> None:
    body = event(subscriptionType="deal.merge", primaryObjectId=10, mergedObjectIds=[11, 12], newObjectId=12)

    assert [(one.deal, one.data) for one in translated(body)] == [
        ("11", {"into": "acme:12"}),
        ("10", {"into": "acme:12"}),
    ]


def test_the_primary_deal_may_be_listed_among_the_merged_or_be_the_object() -> None:
    listed = event(subscriptionType="deal.merge", primaryObjectId="10", mergedObjectIds=[10, 11], newObjectId=13)
    unnamed = event(
        subscriptionType="object.merge", objectTypeId="0-3", objectId=10, mergedObjectIds=[11], newObjectId=13
    )

    for body in (listed, unnamed):
        primary = [one.deal for one in translated(body) if one.data.get("primary")]
        assert primary == ["10"]


def test_a_cleared_property_is_taken_back() -> None:
    body = event(subscriptionType="deal.propertyChange", propertyName="notes_next_activity_date", propertyValue="")

    assert translated(body)[0].data == {"next_step_at": None}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"subscriptionType": 7}, "subscriptionType"),
        ({"subscriptionType": "deal.creation", "objectId": 2.5}, "objectId"),
        ({"subscriptionType": "deal.creation", "objectId": 10**25}, "objectId"),
        ({"subscriptionType": "deal.creation", "occurredAt": "yesterday"}, "occurredAt"),
        ({"subscriptionType": "deal.creation", "occurredAt": 10**30}, "occurredAt"),
        ({"subscriptionType": "deal.creation", "eventId": None}, "eventId"),
        ({"subscriptionType": "deal.propertyChange", "propertyName": "amount", "propertyValue": "1,5"}, "amount"),
        ({"subscriptionType": "deal.propertyChange", "propertyName": "amount", "propertyValue": "NaN"}, "amount"),
        ({"subscriptionType": "deal.propertyChange", "propertyName": "dealname", "propertyValue": 7}, "dealname"),
        ({"subscriptionType": "deal.frobbed"}, "deal.frobbed"),
        ({"subscriptionType": "Deal.creation"}, "deal is expected"),
        ({"subscriptionType": "deal.propertyChange", "propertyName": []}, "propertyName"),
        ({"subscriptionType": "deal.merge", "mergedObjectIds": 5}, "mergedObjectIds"),
    ],
)
def test_what_cannot_be_translated_is_named(fields: dict[str, Any], named: str) -> None:
    (one,) = translated(event(**fields))

    assert isinstance(one, Invalid)
    assert named in one.detail


def test_one_bad_event_costs_the_others_nothing() -> None:
    said = translated(json.dumps([*json.loads(WON), "not an event", None]).encode())

    assert [type(one) for one in said] == [DealFact, DealFact, Invalid, Invalid]


def test_another_account_is_not_ours() -> None:
    assert all(isinstance(one, DealFact) for one in translated(WON, portal=48112233))
    assert all(isinstance(one, Invalid) for one in translated(WON, portal=1))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no-signature"),
        (signed_v3(WON) | {"X-HubSpot-Request-Timestamp": ""}, "no-signature"),
        (signed_v3(WON, secret="another-secret"), "wrong-signature"),
        (signed_v3(WON + b" "), "wrong-signature"),
        (signed_v3(WON) | {"X-HubSpot-Request-Timestamp": "1773133201501"}, "wrong-signature"),
        (signed_v3(WON) | {"X-HubSpot-Signature-v3": "é"}, "wrong-signature"),
        (signed_v3(WON, stamp="1773132900000"), "old-timestamp"),
        (signed_v3(WON, stamp="1773133503000"), "old-timestamp"),
        (signed_v3(WON, stamp="NaN"), "bad-timestamp"),
        (signed_v3(WON, stamp="9" * 400), "bad-timestamp"),
    ],
)
def test_what_is_not_shown_to_be_genuine_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        source("hubspot").verify(request(WON, headers))

    assert (refused.value.status, refused.value.reason) == (401, reason)


def test_both_secrets_fit_during_a_rotation() -> None:
    rotating = source("hubspot", secrets=["the-new-secret", SECRET])

    rotating.verify(request(WON, signed_v3(WON)))
    rotating.verify(request(WON, signed_v3(WON, secret="the-new-secret")))


def test_version_1_alone_must_be_allowed_and_never_mends_a_wrong_version_3() -> None:
    vector = HUBSPOT["vectors"][0]
    v1 = {name: value for name, value in vector["headers"].items() if name != "X-HubSpot-Signature-v3"}
    both = vector["headers"] | {"X-HubSpot-Signature-v3": "d3Jvbmc="}

    source("hubspot", allow_v1=True).verify(request(LEGACY, v1))
    with pytest.raises(Unauthenticated):
        source("hubspot").verify(request(LEGACY, v1))
    with pytest.raises(Unauthenticated):
        source("hubspot", allow_v1=True).verify(request(LEGACY, both))
