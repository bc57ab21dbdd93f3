"""What is special about one CRM: sessions that end, limits sent as refusals, stages of closed deals, faulty records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.simulator.model import DealChange
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import DealFact, Invalid, Parsed, UnreadableField
from shared.connectors.salesforce.api import SalesforceApi
from shared.contracts.events import EventType
from tests.support.crms.base import FakeCrm, Trouble
from tests.support.crms.hubspot import FakeHubSpot
from tests.support.crms.pipedrive import FakePipedrive
from tests.support.crms.salesforce import FakeSalesforce
from tests.support.crms.world import FAKES, running
from tests.unit.connectors.test_round_trip import history
from tests.unit.enricher.support import asking


def one_deal() -> list[DealChange]:
    deal = next(one.deal for one in history() if not one.created)
    return [one for one in history() if one.deal == deal]


async def read(fake: FakeCrm, **api: Any) -> list[Parsed]:
    fake.take(one_deal())
    number = fake.number(one_deal()[0].deal)
    async with asking(fake, **api) as crm:
        return (await crm.read([number]))[number]


def told(said: list[Parsed], *kinds: EventType) -> list[DealFact]:
    return [one for one in said if isinstance(one, DealFact) and one.type in kinds]


async def test_salesforce_sessions_that_end_are_opened_anew() -> None:
    with running("salesforce") as fake:
        assert isinstance(fake, FakeSalesforce)
        fake.session_lasts = 1
        assert told(await read(fake), EventType.CREATED)
        assert fake.sessions > 2


async def test_salesforce_wrong_secret_is_a_refusal_of_credentials() -> None:
    with running("salesforce") as fake, pytest.raises(CrmRejected) as error:
        await read(fake, token="another-secret")
    assert error.value.bad_credentials


async def test_salesforce_used_up_requests_mean_later() -> None:
    with running("salesforce") as fake:
        async with asking(fake, give_up=0.5) as crm:
            fake.troubles = [Trouble(403, text='[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]')] * 20
            with pytest.raises(CrmUnavailable):
                await crm.read([fake.number(1)])


async def test_salesforce_without_field_history_tells_what_it_has() -> None:
    with running("salesforce") as fake:
        whole = await read(fake)
    with running("salesforce") as fake:
        assert isinstance(fake, FakeSalesforce)
        fake.tracked = False
        less = await read(fake)

    moves = [(one.time, one.data.get("stage")) for one in told(whole, EventType.MOVED)]
    assert {(one.time, one.data.get("stage")) for one in told(less, EventType.MOVED)} == set(moves)


async def test_salesforce_pipelines_of_the_past_are_no_guess() -> None:
    with running("salesforce") as fake:
        said = await read(fake, record_types_stay=False)

    (made,) = told(said, EventType.CREATED)
    assert "stage" in made.data
    assert "pipeline" not in made.data
    (state,) = [one for one in told(said, *EventType) if "/state/" in one.id]
    assert state.data["pipeline"] == one_deal()[0].properties["pipeline"]


async def test_salesforce_ids_that_are_none_are_not_asked_for() -> None:
    with running("salesforce") as fake:
        async with asking(fake) as crm:
            assert await crm.read(["x' OR Name LIKE '%", "12"]) == {}
        assert fake.asked == []


@pytest.mark.parametrize("text", ["<html>We are down for maintenance.</html>", "[]", '{"access_token": ""}', "{}"])
async def test_salesforce_without_a_token_in_its_answer_is_away(text: str) -> None:
    with running("salesforce") as fake:
        async with asking(fake, give_up=0.2) as crm:
            fake.troubles = [Trouble(200, text=text)] * 20
            with pytest.raises(CrmUnavailable, match="access_token"):
                await crm.read([fake.number(1)])


async def test_salesforce_field_history_that_is_slow_is_asked_for_again() -> None:
    with running("salesforce") as fake:
        assert isinstance(fake, FakeSalesforce)
        slow = Trouble(400, text='[{"errorCode":"QUERY_TIMEOUT","message":"Your query request was running too long."}]')
        unknown = Trouble(400, text='[{"errorCode":"UNKNOWN_EXCEPTION"}]')
        async with asking(fake) as crm:
            fake.take(one_deal())
            number = fake.number(one_deal()[0].deal)
            fake.refusals["OpportunityFieldHistory"] = [slow]
            first = await crm.read([number])
            fake.refusals["OpportunityFieldHistory"] = [unknown]
            with pytest.raises(CrmUnavailable, match="UNKNOWN_EXCEPTION"):
                await crm.read([number])
            assert await crm.read([number]) == first
    assert any("/017" in one.id for one in told(first[number], *EventType)), "field history is told"


async def test_salesforce_stages_are_asked_for_again_when_one_is_new_and_when_they_are_old() -> None:
    with running("salesforce") as fake:
        assert isinstance(fake, FakeSalesforce)
        fake.take(one_deal())
        (kept,) = fake.deals.values()
        number = fake.number(kept.deal.id)
        async with asking(fake) as crm:

            async def queries(api: CrmApi = crm) -> int:
                before = len(fake.asked)
                await api.read([number])
                return len(fake.asked) - before

            fake.session_lasts = 1000
            await queries()
            usual = await queries()
            fake.broken[kept.deal.id] = {"StageName": "Signed", "IsClosed": True, "IsWon": True}
            fake.later = [{"ApiName": "Signed", "MasterLabel": "Signed", "IsClosed": True, "IsWon": True}]
            assert await queries() == usual + 1
            fake.broken[kept.deal.id] = {"StageName": "Removed"}
            assert [await queries() - usual, await queries() - usual] == [1, 0]
            without_ttl = SalesforceApi(crm.source, crm.api, crm.client, stages_ttl=0.0)
            await queries(without_ttl)
            assert await queries(without_ttl) == usual + 1


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_deal_of_pipedrive_whose_flow_is_not_shown_costs_no_other(status: int) -> None:
    with running("pipedrive") as fake:
        assert isinstance(fake, FakePipedrive)
        newest = {change.deal for change in [one for one in history() if one.created][-100:]}
        fake.take([one for one in history() if one.deal in newest])
        moved = [kept.deal for kept in fake.deals.values() if kept.deal.entered_at != kept.deal.created_at]
        deal, *_ = [one.id for one in moved if one.status == "open"]
        fake.unshown[deal] = status
        start = min(kept.modified for kept in fake.deals.values()).replace(microsecond=0)
        async with asking(fake) as crm:
            read = (await crm.read([str(deal)]))[str(deal)]
            walks = [
                [one for page in [page async for page in walk] for one in page.parsed]
                for walk in (crm.changed(start), crm.all(start, ""))
            ]

    for said in walks:
        assert [one for one in said if isinstance(one, DealFact) and one.deal == str(deal)] == read
        assert {one.deal for one in told(said, EventType.CREATED)} == {str(one) for one in fake.deals}
    (made,), (seen, _) = told(read, EventType.CREATED), told(read, EventType.MOVED)
    assert "stage" not in made.data, "it has moved, and nobody tells from where"
    assert seen.data["entered_at"].startswith(fake.deals[deal].deal.entered_at.isoformat()[:19])


async def test_a_stage_of_pipedrive_that_cannot_be_named_costs_no_deal() -> None:
    with running("pipedrive") as fake:
        assert isinstance(fake, FakePipedrive)
        fake.order = "first"
        said = await read(fake)

    assert len(told(said, *EventType)) == len(said)


@pytest.mark.parametrize("fields", [("won_time", "lost_time"), ("close_time",), ()])
async def test_a_deal_of_pipedrive_was_closed_when_it_was_closed_and_not_when_it_last_changed(
    fields: tuple[str, ...],
) -> None:
    with running("pipedrive") as fake:
        assert isinstance(fake, FakePipedrive)
        fake.take(one_deal())
        (kept,) = fake.deals.values()
        closed = kept.changes[-1][0].replace(microsecond=0)
        edited = closed + timedelta(days=40)
        fake.touch(kept.deal.id, edited)
        fake.silent = {"status"}
        fake.broken[kept.deal.id] = {f: None for f in ("won_time", "lost_time", "close_time") if f not in fields}
        async with asking(fake) as crm:
            said = (await crm.read([str(kept.deal.id)]))[str(kept.deal.id)]

    ends = told(said, EventType.WON, EventType.LOST)
    assert min(one.time for one in ends) == (closed if fields else edited)
    assert max(one.time for one in ends) == edited, "all other fields are as of then"
    assert len({one.id for one in ends}) == len(ends)


async def test_the_flow_tells_best_when_a_deal_of_pipedrive_was_closed() -> None:
    with running("pipedrive") as fake:
        fake.take(one_deal())
        (kept,) = fake.deals.values()
        fake.broken[kept.deal.id] = dict.fromkeys(("won_time", "lost_time", "close_time"), "2020-01-01T00:00:00Z")
        async with asking(fake) as crm:
            said = (await crm.read([str(kept.deal.id)]))[str(kept.deal.id)]

    closed = kept.changes[-1][0].replace(microsecond=0)
    assert {one.time for one in told(said, EventType.WON, EventType.LOST)} == {closed}


@pytest.mark.slow
async def test_close_keeps_its_place_behind_the_last_page() -> None:
    with running("close") as fake:
        fake.take(history())
        fake.delete(next(iter(fake.deals)), datetime.now(UTC))
        start = min(kept.modified for kept in fake.deals.values())
        async with asking(fake) as crm:
            *_, last = [page.cursor async for page in crm.all(start, "")]
            rest = [page.deals async for page in crm.all(start, last)]
    assert rest == [1], "only deletions are listed again"


async def test_a_closed_deal_of_pipedrive_stays_closed_in_another_stage() -> None:
    with running("pipedrive") as fake:
        assert isinstance(fake, FakePipedrive)
        happenings = one_deal()
        fake.take(happenings)
        (kept,) = fake.deals.values()
        assert kept.deal.status != "open"
        end = kept.changes[-1][0] + timedelta(days=1)
        fake.later = [("stage_id", kept.deal.stage, "lead", end)]
        number = fake.number(kept.deal.id)
        async with asking(fake) as crm:
            said = (await crm.read([number]))[number]

    assert end.replace(microsecond=0) not in {one.time for one in told(said, EventType.MOVED)}
    assert told(said, EventType.WON, EventType.LOST)


@pytest.mark.parametrize("kind", sorted(FAKES))
async def test_a_record_that_cannot_be_read_costs_only_itself(kind: str) -> None:
    with running(kind) as fake:
        deals = list(dict.fromkeys(one.deal for one in history()))[:2]
        fake.take(one for one in history() if one.deal in deals)
        names = ("add_time", "date_created", "CreatedDate")
        fake.broken = {deals[0]: dict.fromkeys(names, "soon") | {"properties": {"hs_createdate": "soon"}}}
        numbers = [fake.number(deal) for deal in deals]
        async with asking(fake) as crm:
            said = await crm.read(numbers)

    assert [type(one) for one in said[numbers[0]]] == [Invalid]
    assert "soon" in str(said[numbers[0]][0])
    assert told(said[numbers[1]], EventType.CREATED)


async def test_archived_deals_of_pipedrive_are_listed_and_leave_their_stages() -> None:
    with running("pipedrive") as fake:
        assert isinstance(fake, FakePipedrive)
        deals = list(dict.fromkeys(one.deal for one in history()))[:3]
        fake.take(one for one in history() if one.deal in deals)
        fake.page = 1
        at = max(kept.modified for kept in fake.deals.values()).replace(microsecond=0) + timedelta(days=1)
        fake.touch(deals[0], at)
        fake.archived[deals[0]] = at
        async with asking(fake) as crm:
            walks = [crm.changed(at - timedelta(hours=1)), crm.all(datetime(2020, 1, 1, tzinfo=UTC), "")]
            pages = [[page async for page in walk] for walk in walks]
            cursors = [page.cursor for page in pages[1]]
            rest = [[page.deals async for page in crm.all(datetime(2020, 1, 1, tzinfo=UTC), c)] for c in cursors]

    for walk in pages:
        said = [one for page in walk for one in page.parsed]
        (gone,) = [one for one in told(said, EventType.DELETED) if one.deal == str(deals[0])]
        assert (gone.time, gone.data) == (at, {"reason": "archived"})
    assert [sum(one) for one in rest][:2] == [2, 1], "a run goes on behind its cursor"


@pytest.mark.parametrize("kind", ["hubspot", "pipedrive", "salesforce"])
async def test_a_deal_that_was_deleted_and_is_there_again_is_told_to_be(kind: str) -> None:
    with running(kind) as fake:
        deal = next(one.deal for one in history() if one.created)
        fake.take([next(one for one in history() if one.deal == deal)])
        number = fake.number(deal)
        async with asking(fake) as crm:
            said = (await crm.read([number]))[number]

    (present,) = told(said, EventType.REOPENED)
    assert present.time >= max(one.time for one in told(said, EventType.CREATED, EventType.MOVED))
    assert present.data["stage"]


async def test_a_deal_of_hubspot_that_was_merged_into_another_is_told_to_be() -> None:
    with running("hubspot") as fake:
        first, second = list(dict.fromkeys(one.deal for one in history()))[:2]
        fake.take(one for one in history() if one.deal == first)
        assert isinstance(fake, FakeHubSpot)
        whole = fake.record(fake.deals[first], True)
        at = "2026-06-01T00:00:00.000Z"
        fake.aliases[str(second)] = first
        fake.broken[first] = {
            "properties": whole["properties"] | {"hs_createdate": at, "hs_merged_object_ids": f"7;{second}"},
            "propertiesWithHistory": whole["propertiesWithHistory"]
            | {"hs_merged_object_ids": [{"value": f"7;{second}", "timestamp": at}]},
        }
        async with asking(fake) as crm:
            read = await crm.read([str(second)])

    said = read[str(second)]
    (merged,) = told(said, EventType.MERGED)
    assert (merged.deal, merged.data, merged.time.isoformat()) == (
        str(second),
        {"into": f"crm:{first}"},
        "2026-06-01T00:00:00+00:00",
    )
    goes_on = [one for one in told(said, *EventType) if one.deal == str(first)]
    assert min(one.time for one in goes_on) == merged.time, "what was before the merge is the merged deal's"
    stage = whole["propertiesWithHistory"]["dealstage"]
    last = max(stage, key=lambda version: version["timestamp"])["value"]
    assert [one.data["stage"] for one in goes_on if one.type is EventType.MOVED] == [last]


@pytest.mark.parametrize("wrong", [{"value": "much"}, {"timestamp": "soon"}, {"timestamp": None}])
async def test_an_old_version_that_cannot_be_read_costs_a_deal_of_hubspot_nothing_else(wrong: dict[str, Any]) -> None:
    with running("hubspot") as fake:
        fake.take(one_deal())
        (kept,) = fake.deals.values()
        number = fake.number(kept.deal.id)
        async with asking(fake) as crm:
            whole = (await crm.read([number]))[number]
            assert isinstance(fake, FakeHubSpot)
            histories = fake.record(kept, True)["propertiesWithHistory"]
            versions = [version | wrong if n == 0 else version for n, version in enumerate(histories["amount"])]
            fake.broken[kept.deal.id] = {"propertiesWithHistory": histories | {"amount": versions}}
            said = (await crm.read([number]))[number]

    assert not any(isinstance(one, Invalid) for one in said)
    flow = (EventType.CREATED, EventType.MOVED, EventType.REOPENED)
    assert told(said, *flow) == told(whole, *flow)
    assert any(isinstance(value, UnreadableField) for one in told(said, *EventType) for value in one.data.values())
