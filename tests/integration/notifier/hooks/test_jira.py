"""Tickets that are linked to an issue: Jira gets a remote link to the ticket, over the outbox of the other hooks."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from services.notifier.hooks.config import parse
from services.notifier.hooks.loops import Hooks
from services.notifier.hooks.operate import HookRefused
from services.notifier.hooks.operate import test as send_test
from services.notifier.settings import NotifierSettings
from shared.contracts.tickets import Actor, TicketChange, TicketEvent, TicketState
from shared.policy import load
from shared.postgres.pool import Pool
from shared.runtime.yaml_file import FaultsError
from tests.integration.notifier.hooks.conftest import HookRig, MakeRig, is_all
from tests.support.jira import JiraSite, jira_site
from tests.support.problems import POLICY, policy, ticket_event
from tests.support.waiting import eventually

BASIC = f"Basic {b64encode(b'bot@shop.example:long-secret').decode()}"
ENTRY = "kind: jira, user: bot@shop.example, token: long-secret"


def linked(base: str, key: str = "OPS-7", seq: int = 2, **fields: Any) -> TicketEvent:
    known = {"actor": Actor.PERSON, "issue": f"{base}/browse/{key}"}
    return ticket_event(TicketChange.LINKED, seq=seq, **(known | fields))


def jira_rig(rig: MakeRig, base: str, entry: str = ENTRY, **entries: Any) -> HookRig:
    """A rig with a Jira beside the receivers named."""
    made = rig(**entries) if entries else rig(other="url: https://other.example/in")
    text = f"hooks:\n  jira: {{url: '{base}', {entry}}}"
    made.receivers = parse(text, policy(), made.settings.hooks_reachable) | dict(made.receivers)
    made.hooks = made.replica()
    return made


async def sent(rig: HookRig, site: JiraSite, *events: TicketEvent) -> None:
    """Handle changes, and wait until Jira has what it is to have."""
    # A replica that was stopped does not start again.
    rig.hooks = rig.replica()
    async with rig.at_work():
        await rig.handle(*events)
        await eventually(rig.states, is_all("sent"))
    assert site.statuses


async def test_an_issue_gets_a_link_to_its_ticket_and_the_same_one_says_that_it_was_closed(rig: MakeRig) -> None:
    with jira_site(BASIC, "OPS-7") as site:
        one = jira_rig(rig, site.base)
        await sent(one, site, linked(site.base))
        (((key, name), link),) = site.links.items()
        facts = linked(site.base).data
        assert (key, name, link["object"]["url"]) == ("OPS-7", facts.url, facts.url)
        assert link["object"]["title"] == "Deals wait too long in Proposal"
        assert link["object"]["status"] == {"resolved": False}
        assert "OPS-7" not in str(link)

        closed = {"state": TicketState.CLOSED, "issue": facts.issue, "actor": Actor.PERSON, "reason": "<b>Ada said so"}
        await sent(one, site, ticket_event(TicketChange.CLOSED, seq=3, **closed))
        assert site.statuses == [201, 200]
        assert [it["object"]["status"] for it in site.links.values()] == [{"resolved": True}]
        assert "Ada" not in str(site.links)


async def test_changes_that_are_no_news_to_an_issue_and_issues_of_another_site_are_not_sent(
    rig: MakeRig, pool: Pool
) -> None:
    with jira_site(BASIC, "OPS-7") as site:
        one = jira_rig(rig, site.base)
        await one.handle(
            linked("https://other.example"),
            linked(site.base + "/x", seq=3),
            linked(site.base, seq=4, issue=None),
            ticket_event(
                TicketChange.ACKNOWLEDGED, seq=5, state=TicketState.ACKNOWLEDGED, issue=f"{site.base}/browse/A-1"
            ),
        )
        assert await pool.fetchval("SELECT count(*) FROM hook_delivery WHERE hook = 'jira'") == 0


async def test_a_bearer_token_and_a_jira_below_a_path(rig: MakeRig) -> None:
    with jira_site("Bearer long-secret", "OPS-7") as site:
        one = jira_rig(rig, site.base + "/", "kind: jira, token: long-secret")
        await sent(one, site, linked(site.base))
        assert site.statuses == [201]


@pytest.mark.parametrize(
    ("entry", "key", "says"),
    [
        ("kind: jira, user: bot@shop.example, token: wrong-secret", "OPS-7", "401"),
        (ENTRY, "OPS-8", "404"),
    ],
)
async def test_what_jira_refuses_waits_with_its_answer_and_without_the_token(
    rig: MakeRig, entry: str, key: str, says: str
) -> None:
    with jira_site(BASIC, "OPS-7") as site:
        one = jira_rig(rig, site.base, entry)
        async with one.at_work():
            await one.handle(linked(site.base, key))
            (row,) = await eventually(one.rows, lambda rows: bool(rows) and rows[0]["answer"] is not None)
        assert row["state"] == "waiting"
        assert row["answer"].startswith(says)
        assert "secret" not in row["answer"]
        assert site.links == {}


async def test_a_jira_in_a_private_network_is_not_reached_unless_it_is_named(rig: MakeRig, pool: Pool) -> None:
    with jira_site(BASIC, "OPS-7") as site:
        base = site.base.replace("http://", "https://")
        one = jira_rig(rig, base)
        one.settings = NotifierSettings()
        one.hooks = one.replica()
        async with one.at_work():
            await one.handle(linked(base))
            (row,) = await eventually(one.rows, lambda rows: bool(rows) and rows[0]["answer"] is not None)
        assert "127.0.0.1" in row["answer"]
        assert site.statuses == []


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("kind: jira, url: 'https://shop.atlassian.net'", "token"),
        ("kind: jira, url: 'https://shop.atlassian.net/?a=b', token: long-secret", "base of a Jira site"),
        ("kind: jira, url: 'http://shop.atlassian.net', token: long-secret", "is not https"),
        ("kind: jira, url: 'https://bot:s@shop.atlassian.net', token: long-secret", "user"),
    ],
)
def test_a_jira_that_cannot_be_used_is_a_fault_of_the_file(entry: str, says: str) -> None:
    with pytest.raises(FaultsError) as refused:
        parse(f"hooks:\n  jira: {{{entry}}}", policy(), NotifierSettings().hooks_reachable)

    assert says in str(refused.value)
    assert "token: long-secret" not in str(refused.value)


async def test_other_receivers_hear_of_the_issue_with_what_they_hear_anyway(rig: MakeRig) -> None:
    with jira_site(BASIC, "OPS-7") as site:
        one = jira_rig(rig, site.base, erp="url: https://erp.example/in")
        await one.handle(ticket_event(TicketChange.GREW, seq=2, issue=f"{site.base}/browse/OPS-7"))
        (event,) = [row["event"] for row in await one.pool.fetch("SELECT event FROM hook_delivery WHERE hook = 'erp'")]
        assert event["data"]["issue"] == f"{site.base}/browse/OPS-7"


async def test_a_test_message_says_that_it_needs_a_ticket(tmp_path: Any) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "hooks.yaml").write_text(
        "hooks: {jira: {kind: jira, url: 'https://shop.atlassian.net', token: long-secret}}"
    )
    settings = NotifierSettings(policy=tmp_path / "policy.yaml", notifier_hooks=tmp_path / "hooks.yaml")
    assert load(settings.policy)
    with pytest.raises(HookRefused, match="link a ticket to an issue"):
        await send_test(settings, "jira")


def test_a_replica_has_a_worker_for_each_jira_too(rig: MakeRig) -> None:
    made: Hooks = jira_rig(rig, "https://shop.atlassian.net", erp="url: https://erp.example/in").hooks

    assert len(made.loops()) == 2
