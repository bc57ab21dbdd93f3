"""The policy in the browser: who may change what, checks, versions, going back, two who save at once."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.tickets.access.roles import Role
from services.tickets.app import Tickets, application, policy_of
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts, personal, policy_changes
from shared.contracts.policies import PolicyEvent, PolicyVersionData
from shared.policy import parse
from shared.postgres.pool import Pool
from shared.runtime.clock import ClockKind, SystemClock
from shared.stream import policies
from tests.integration.tickets.access.test_tokens import token_of
from tests.support.problems import POLICY, day
from tests.support.signed_in import PASSWORD, Browser, hashed

OWNER, OTHER = "head@sales.example", "old@sales.example"
TWO = POLICY + POLICY.partition("pipelines:\n")[2].replace("  new:", "  old:", 1).replace(OWNER, OTHER)
CHANGED = TWO.replace("limit: 10d", "limit: 12d", 1)
ADDED = {
    "base": "1",
    "pipelines.new.key": "123",
    "pipelines.new.name": "Renewals",
    "pipelines.new.owner.name": "Head",
    "pipelines.new.owner.mail": OWNER,
    "pipelines.new.stages": "due",
}
GENERAL = TWO.replace("version: 1\n", "version: 1\ndoing_limit: 3\n")


def words(answer: httpx.Response) -> str:
    """The text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


class ManagedCompany:
    """The application over two pipelines, and people of it."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool, self._file = pool, folder / "policy.yaml"
        self._file.write_text(TWO)

    async def start(self, managed: str = "browser", clock: ClockKind = ClockKind.WALL) -> None:
        settings = TicketsSettings(sign_in="password", policy=self._file, policy_managed=managed, clock=clock)
        registry, found = CollectorRegistry(), await policy_of(settings, self.pool)
        self.app = application(Tickets(settings, self.pool, registry, found), self.pool, registry, settings.hosts)

    async def browser(self, email: str) -> Browser:
        transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 4711))
        one = Browser(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080"))
        assert (await one.sign_in(email)).status_code == 303
        return one

    async def person(self, email: str, role: Role = Role.MEMBER) -> Browser:
        await accounts.add(self.pool, email, email.partition("@")[0], role, SystemClock().now(), hashed(PASSWORD))
        return await self.browser(email)


@pytest.fixture
async def company(pool: Pool, tmp_path: Path) -> ManagedCompany:
    made = ManagedCompany(pool, tmp_path)
    await made.start()
    return made


async def save(one: Browser, base: int, text: str, why: str = "Proposals take longer now") -> httpx.Response:
    return await one.send("/policy", "/account", base=str(base), text=text, why=why)


async def test_a_change_is_shown_before_it_is_saved_and_becomes_a_version_with_who_and_why(
    company: ManagedCompany,
) -> None:
    one = await company.person(OWNER)

    shown = await one.send("/policy/review", "/account", base="1", text=CHANGED.replace("\n", "\r\n"))
    answer = await save(one, 1, CHANGED.replace("\n", "\r\n"))

    assert (shown.status_code, answer.status_code, answer.headers["location"]) == (200, 303, "/policy?saved=2")
    assert "removed" in words(shown)
    assert "limit: 12d" in words(shown)
    assert "Save as version 2" in words(shown)
    page = words(await one.get("/policy?saved=2"))
    assert "Version 2 is saved. It judges from" in page
    assert re.search(r"Version 2 .{0,60} head Proposals take longer now", page)
    latest = await policies.latest(company.pool)
    assert latest is not None
    assert (latest.version, latest.text) == (2, CHANGED)
    sent = await company.pool.fetch("SELECT value FROM outbox WHERE topic = 'improvement.policy' ORDER BY id")
    messages = [PolicyEvent.model_validate_json(row["value"]) for row in sent]
    assert [one.data.version for one in messages] == [1, 2]
    assert messages[1].data == latest
    assert b"Proposals take longer" not in sent[1]["value"]
    audit = await company.pool.fetch("SELECT detail FROM audit WHERE event = 'policy-changed'")
    assert [row["detail"] for row in audit] == [{"version": 2}]


@pytest.mark.parametrize(
    ("email", "role", "text", "status"),
    [
        ("member@shop.example", Role.MEMBER, CHANGED, 403),
        (OTHER, Role.MEMBER, CHANGED, 403),
        (OWNER, Role.VIEWER, CHANGED, 403),
        (OWNER, Role.MEMBER, GENERAL, 403),
        (OWNER, Role.MEMBER, TWO + "# a comment\n", 403),
        (OWNER, Role.MEMBER, CHANGED, 303),
        ("admin@shop.example", Role.ADMIN, CHANGED, 303),
        ("admin@shop.example", Role.ADMIN, GENERAL, 303),
    ],
)
async def test_an_owner_changes_their_own_pipeline_and_an_admin_everything(
    company: ManagedCompany, email: str, role: Role, text: str, status: int
) -> None:
    answer = await save(await company.person(email, role), 1, text)

    assert answer.status_code == status
    latest = await policies.latest(company.pool)
    assert latest is not None
    assert latest.version == (2 if status == 303 else 1)
    events = await company.pool.fetch("SELECT event FROM audit WHERE event IN ('refused', 'policy-changed')")
    assert [row["event"] for row in events] == ["policy-changed" if status == 303 else "refused"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            TWO.replace("count: 5", "count: 0", 1),
            "Line 11: pipelines.new.rules.0.count: '0' is too small; write at least 1.",
        ),
        (TWO.replace("limit: 21d", "limit: soon", 1), "'soon' is not a duration; write for example"),
        (TWO.replace("stage: demo", "stage: dema", 1), "'dema' is not a stage of this pipeline; use the id of one"),
        (TWO + "lateness: 40d\n", "ANDON_TICKETS_INBOX_DAYS"),
        (TWO.replace("  old:", "  older:", 1), "pipeline 'old' would be gone; keep it"),
        (TWO, "Nothing is changed"),
        ("", "is not a group of fields; write each as"),
        ("a: [", "a bracket or brace is not closed; close it"),
        (TWO + "#" * 200_000, "200,000 are the most"),
    ],
)
async def test_what_is_no_policy_is_answered_with_its_place_and_the_way_out(
    company: ManagedCompany, text: str, says: str
) -> None:
    one = await company.person("admin@shop.example", Role.ADMIN)

    answers = [await one.send("/policy/review", "/account", base="1", text=text), await save(one, 1, text)]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert [says in words(answer) for answer in answers] == [True, True]


async def test_a_version_needs_a_reason(company: ManagedCompany) -> None:
    one = await company.person("admin@shop.example", Role.ADMIN)

    for why in ("", "  ", "\u200b", "x" * 1001):
        answer = await save(one, 1, CHANGED, why)
        assert (answer.status_code, "Say why" in words(answer)) == (422, True), why


FIELDS = {"name": "New business", "owner.name": "Head of new business", "owner.mail": OWNER, "ack_within": ""}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("owner.mail", "nobody", "Not a mail address; write one address, as sales@example.org"),
        ("owner.name", "", "Write something here"),
        ("name", "x" * 301, "Write 300 letters at most"),
        ("ack_within", "soon", "'soon' is not a duration; write for example"),
        ("ack_within", "", "Nothing is changed"),
    ],
)
async def test_a_wrong_value_is_named_at_its_field(company: ManagedCompany, field: str, value: str, says: str) -> None:
    one = await company.person(OWNER)

    answer = await one.send("/policy/pipelines/new", "/account", base="1", **(FIELDS | {field: value}))

    assert answer.status_code == 422
    assert says in words(answer)
    assert (f'id="{field}-fault"' in answer.text) == (says != "Nothing is changed")


async def test_fields_of_a_pipeline_lead_to_the_review_of_their_text(company: ManagedCompany) -> None:
    one, other = await company.person(OWNER), await company.person(OTHER)
    asked = FIELDS | {"owner.mail": "new@sales.example", "ack_within": "2d", "name": "Neu: a"}

    shown = await one.send("/policy/pipelines/new", "/account", base="1", **asked)
    refused = await other.send("/policy/pipelines/new", "/account", base="1", **asked)
    late = await one.send("/policy/pipelines/new", "/account", base="0", **asked)

    assert (shown.status_code, refused.status_code, late.status_code) == (200, 403, 409)
    found = re.search(r'<textarea name="text"[^>]*>\n(.*?)</textarea>', shown.text, re.DOTALL)
    assert found is not None
    changed = parse(unescape(found[1])).pipelines["new"]
    assert (changed.name, changed.owner.mail, changed.owner.name) == (
        "Neu: a",
        "new@sales.example",
        FIELDS["owner.name"],
    )
    assert changed.ack_within is not None
    assert (await save(one, 1, unescape(found[1]))).status_code == 303
    assert (await one.get("/policy/pipelines/nowhere")).status_code == 404


async def test_what_all_pipelines_share_is_changed_in_fields_by_who_owns_all(company: ManagedCompany) -> None:
    admin, owner = await company.person("admin@shop.example", Role.ADMIN), await company.person(OWNER)
    asked = {"base": "1", "doing_limit": "3", "clocks.0.holidays": "2026-12-25"}

    shown = await admin.send("/policy/shared", "/account", **asked)
    wrong = await admin.send("/policy/shared", "/account", **(asked | {"clocks.0.days": "monday"}))
    refused = await owner.send("/policy/shared", "/account", **asked)
    added = await admin.send("/policy/shared", "/account", **ADDED)

    assert (shown.status_code, wrong.status_code, refused.status_code) == (200, 422, 403)
    assert "It also changes what all pipelines share." in words(shown)
    assert "Renewals : This pipeline is new. It has no rules yet." in words(added)
    assert "holidays: [2026-12-25]" in words(shown)
    assert 'id="clocks.0.days-fault"' in wrong.text
    links = [('href="/policy/shared"' in (await one.get("/policy")).text) for one in (admin, owner)]
    assert links == [True, False]
    assert [(await one.get("/policy/shared")).status_code for one in (admin, owner)] == [200, 403]


async def test_of_two_who_save_at_once_one_is_shown_what_the_other_did(company: ManagedCompany) -> None:
    first, second = await company.person(OWNER), await company.person(OTHER)
    theirs = TWO[: TWO.index("  old:")] + TWO[TWO.index("  old:") :].replace("max: 25", "max: 30")

    answers = await asyncio.gather(save(first, 1, CHANGED, "Mine"), save(second, 1, theirs, "Theirs"))

    assert sorted(answer.status_code for answer in answers) == [303, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    page = words(refused)
    assert "Nothing is saved. Version 2 was saved by" in page
    assert ("Theirs" in page, "Mine" in page) in ((True, False), (False, True))
    assert 'name="base" value="2"' in refused.text
    for base in ("0", "3", "x", "99999999999999999999", ""):
        answer = await first.send("/policy", "/account", base=base, text=CHANGED, why="Mine")
        assert answer.status_code == 409, base


async def test_a_form_that_is_sent_twice_saves_one_version(company: ManagedCompany) -> None:
    one = await company.person(OWNER)

    answers = [await save(one, 1, CHANGED) for _ in range(2)]

    assert [answer.headers.get("location") for answer in answers] == ["/policy?saved=2"] * 2
    latest = await policies.latest(company.pool)
    assert latest is not None
    assert latest.version == 2


async def test_going_back_makes_a_new_version_with_the_old_text(company: ManagedCompany) -> None:
    one = await company.person(OWNER)
    await save(one, 1, CHANGED)

    page = await one.get("/policy/versions/1")
    assert "Going back to it" in words(page)
    assert "limit: 10d" in words(page)
    answer = await save(one, 2, TWO, "Back to version 1: it was right")

    assert answer.headers["location"] == "/policy?saved=3"
    latest = await policies.latest(company.pool)
    assert latest is not None
    assert (latest.version, latest.text) == (3, TWO)
    assert "Going back to it" not in words(await one.get("/policy/versions/3"))
    for number in ("0", "4", "99999999999"):
        assert (await one.get(f"/policy/versions/{number}")).status_code == 404


async def test_versions_take_effect_in_their_order_at_instants_to_come(company: ManagedCompany) -> None:
    one = await company.person(OWNER)
    await save(one, 1, CHANGED)
    await save(one, 2, TWO)

    rows = await company.pool.fetch(
        "SELECT version, effective_at > clock_timestamp() AS is_ahead FROM policy_version ORDER BY effective_at"
    )
    assert [tuple(row) for row in rows] == [(1, False), (2, True), (3, True)]
    assert await policies.number_in_force(company.pool) == 1


async def test_by_the_clock_of_the_log_a_version_judges_from_where_the_log_is(company: ManagedCompany) -> None:
    await company.start(clock=ClockKind.LOG)
    one = await company.person(OWNER)
    await company.pool.execute("INSERT INTO judged (at) VALUES ($1)", day(10))

    for base, text in ((1, CHANGED), (2, TWO)):
        await save(one, base, text)

    found = await company.pool.fetch("SELECT effective_at FROM policy_version WHERE version > 1 ORDER BY version")
    assert [row["effective_at"] for row in found] == [day(10), day(10) + timedelta(microseconds=1)]


async def test_a_policy_that_is_managed_in_a_file_is_only_shown(company: ManagedCompany) -> None:
    await company.start("file")
    one = await company.person("admin@shop.example", Role.ADMIN)

    page = await one.get("/policy")
    answers = [await save(one, 1, CHANGED), await one.send("/policy/review", "/account", base="1", text=CHANGED)]

    assert "The policy is managed in a file" in words(page)
    assert "limit: 21d" in words(page)
    assert "/policy/text" not in page.text
    assert [answer.status_code for answer in answers] == [409, 409]
    assert (await one.get("/policy/text")).status_code == 409
    assert (await one.get("/policy.yaml")).text == TWO
    assert parse(TWO).pipelines.keys() == {"new", "old"}


async def test_markup_in_a_policy_and_its_reason_is_text(company: ManagedCompany) -> None:
    one = await company.person(OWNER)
    mark = "<script>alert(1)</script>"
    text = CHANGED.replace("name: Proposal", f'name: "{mark}</textarea>"', 1)

    pages = [await one.send("/policy/review", "/account", base="1", text=text, why=mark)]
    await save(one, 1, text, mark)
    pages += [await one.get("/policy"), await one.get("/policy/versions/2"), await one.get("/policy/text")]

    assert all(mark not in page.text and "&lt;script&gt;" in page.text for page in pages)
    foreign = await one.client.post(
        "/policy",
        data={"base": "2", "text": TWO, "why": "x", "csrf": await one.token("/account")},
        headers={"Origin": "https://evil.example"},
    )
    assert foreign.status_code == 403


async def test_what_a_person_saved_can_be_shown_and_their_name_erased(company: ManagedCompany) -> None:
    one = await company.person(OWNER)
    await save(one, 1, CHANGED)
    number = await company.pool.fetchval("SELECT id FROM account WHERE email = $1", OWNER)

    shown = await personal.rows(company.pool, number)
    await personal.forget(company.pool, OWNER)

    assert [(row["version"], row["why"]) for row in shown["policies"]] == [(2, "Proposals take longer now")]
    assert [saved.name for saved in await policy_changes.listed(company.pool)] == ["", ""]


async def test_the_api_saves_a_version_as_the_pages_do(company: ManagedCompany) -> None:
    await company.person(OWNER)
    token = await token_of(company.pool, OWNER, "own")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(company.app, client=("192.0.2.7", 4711)),
        base_url="http://127.0.0.1:8080/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        found = await client.get("/policy")
        assert (found.json()["managed"], found.json()["version"], found.headers["etag"]) == ("browser", 1, '"1"')
        body = {"text": CHANGED, "why": "Proposals take longer now"}
        statuses = [
            (await client.post("/policy", json=body | other, headers=headers)).status_code
            for other, headers in (
                ({}, {}),
                ({"version": 2}, {}),
                ({}, {"If-Match": '"2"'}),
                ({"version": 1, "why": " "}, {}),
                ({"version": 1, "text": "a: ["}, {}),
                ({"version": 1, "text": TWO}, {}),
                ({"version": 1, "text": GENERAL}, {}),
                ({"version": 1}, {"Idempotency-Key": "one"}),
                ({"version": 1}, {"Idempotency-Key": "one"}),
                ({"version": 1}, {}),
            )
        ]
        versions = (await client.get("/policy/versions")).json()["versions"]
        old = (await client.get("/policy/versions/1")).json()

    assert statuses == [422, 409, 412, 422, 422, 422, 403, 200, 200, 409]
    assert (versions[0]["version"], versions[0]["why"]) == (2, "Proposals take longer now")
    assert (len(versions), old["text"], old["in_force"]) == (2, TWO, 1)


async def test_a_version_that_only_its_topic_kept_is_listed_and_followed(company: ManagedCompany) -> None:
    one = await company.person(OWNER)
    now = await policy_changes.database_now(company.pool)
    await policies.save(company.pool, [PolicyVersionData(version=2, effective_at=now, text=CHANGED)])

    assert "Version 2 " in words(await one.get("/policy"))
    assert "limit: 12d" in words(await one.get("/policy/versions/2"))
    assert (await save(one, 1, TWO)).status_code == 409
    assert (await save(one, 2, TWO)).status_code == 303
