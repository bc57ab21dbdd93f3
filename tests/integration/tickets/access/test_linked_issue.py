"""A ticket's issue in Jira: set on its page and by API, shown on both, kept in the history, and told to others."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_tokens import bearer, token_of
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem
from tests.support.signed_in import Browser

ISSUE, OTHER = "https://shop.atlassian.net/browse/OPS-7", "https://shop.atlassian.net/browse/OPS-8"
LINK = "/tickets/1/link"


@pytest.fixture
def app(app_of: Callable[..., Starlette]) -> Starlette:
    return app_of(tickets_issue_hosts="shop.atlassian.net")


@pytest.fixture
async def member(app: Starlette, people: dict[Role, str], parts: TicketParts) -> Browser:
    """Who works on the one ticket that there is."""
    await parts.handle(record(event(problem()), 0))
    one = Browser(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080"))
    assert (await one.sign_in(people[Role.MEMBER])).status_code == 303
    return one


async def test_an_issue_is_linked_changed_and_removed_and_the_history_says_so(
    member: Browser, parts: TicketParts, pool: Pool
) -> None:
    assert "Link an issue in Jira" in (await member.get("/tickets/1")).text
    assert (await member.send(LINK, "/account", version="1", issue=f" {ISSUE.lower()}?x=1 ")).status_code == 303
    page = (await member.get("/tickets/1")).text
    assert f'href="{ISSUE}" rel="noreferrer"><bdi>OPS-7</bdi>' in page
    assert "Linked to an issue by Member" in page

    assert (await member.send(LINK, "/account", version="2", issue=OTHER)).status_code == 303
    # The same again changes nothing.
    assert (await member.send(LINK, "/account", version="3", issue=OTHER)).status_code == 303
    assert (await member.send(LINK, "/account", version="3", issue="")).status_code == 303
    page = (await member.get("/tickets/1")).text
    assert "The link to an issue was removed by Member" in page
    assert "issue-page" not in page
    rows = await pool.fetch("SELECT change, reason, from_state = to_state AS stays FROM change ORDER BY seq")
    assert [tuple(row) for row in rows[1:]] == [
        ("linked", ISSUE, True),
        ("linked", OTHER, True),
        ("linked", None, True),
    ]
    told = [one.data for one in await parts.messages()]
    assert [one.issue for one in told] == [None, ISSUE, OTHER, None]
    assert [one.change.value for one in told[1:]] == ["linked"] * 3
    assert await pool.fetchval("SELECT count(*) FROM audit WHERE event = 'ticket-changed'") == 3


@pytest.mark.parametrize(
    ("issue", "says"),
    [
        ("https://evil.example/browse/OPS-7", "Issues may be on shop.atlassian.net only."),
        ("javascript:alert(1)", "This is not the address of an issue"),
    ],
)
async def test_a_wrong_address_is_refused_with_what_was_typed(
    member: Browser, pool: Pool, issue: str, says: str
) -> None:
    answer = await member.send(LINK, "/account", version="1", issue=issue)

    assert answer.status_code == 422
    assert says in answer.text
    assert f'value="{issue}"' in answer.text
    assert 'href="javascript' not in answer.text
    assert await pool.fetchval("SELECT count(*) FROM change") == 1


async def test_a_closed_ticket_is_linked_too_and_an_old_page_overrides_nothing(member: Browser, pool: Pool) -> None:
    closed = {"outcome": "wont-fix", "reason": "It is fine.", "confirmed": "yes"}
    assert (await member.send("/tickets/1/close", "/account", version="1", **closed)).status_code == 303
    assert (await member.send(LINK, "/account", version="1", issue=ISSUE)).status_code == 409
    assert (await member.send(LINK, "/account", version="2", issue=ISSUE)).status_code == 303
    assert await pool.fetchval("SELECT state || ' ' || issue FROM ticket") == f"closed {ISSUE}"


async def test_the_api_links_and_shows_it_and_a_viewer_may_not(
    member: Browser, people: dict[Role, str], pool: Pool
) -> None:
    work, viewer = await token_of(pool, people[Role.MEMBER], "work"), await token_of(pool, people[Role.VIEWER], "read")
    address = "/api/v1/tickets/1/link"
    refused = await member.client.post(address, json={"version": 1, "issue": ISSUE}, headers=bearer(viewer))
    wrong = await member.client.post(address, json={"version": 1, "issue": "x"}, headers=bearer(work))
    done = await member.client.post(address, json={"version": 1, "issue": ISSUE}, headers=bearer(work))

    assert (refused.status_code, wrong.status_code, done.status_code) == (403, 422, 200)
    assert wrong.json()["field"] == "issue"
    assert done.json()["issue"] == ISSUE
    listed = (await member.client.get("/api/v1/tickets", headers=bearer(work))).json()
    assert [one["issue"] for one in listed["tickets"]] == [ISSUE]


async def test_where_no_jira_is_set_there_is_no_field(
    app_of: Callable[..., Starlette], people: dict[Role, str], parts: TicketParts
) -> None:
    await parts.handle(record(event(problem()), 0))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app_of()), base_url="http://127.0.0.1:8080")
    one = Browser(client)
    await one.sign_in(people[Role.MEMBER])

    assert "Jira" not in (await one.get("/tickets/1")).text
    answer = await one.send(LINK, "/account", version="1", issue=ISSUE)
    assert (answer.status_code, "No Jira is set" in answer.text) == (422, True)
