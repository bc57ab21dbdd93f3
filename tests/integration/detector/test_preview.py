"""What another policy would have found, asked of the detector: it is what `find` finds in the same events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from starlette.applications import Starlette

from services.detector.preview import refolded
from services.detector.preview.endpoint import PreviewEndpoint
from shared.contracts.measures import Column
from shared.contracts.preview import PATH, PreviewAnswer, PreviewedRule, PreviewRefusal, PreviewRequest
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.chance import CountChance
from shared.flow.statistics.relocks import Relock
from shared.flow.visits import Event
from shared.flow.what_if import Found
from shared.policy import Policy, parse
from shared.postgres.pool import Connection, Pool
from shared.runtime.instants import micros, moment
from tests.support.detector_store import emptied
from tests.support.learning_store import LearningStore, what_if
from tests.support.preview import load_shop, preview_app
from tests.support.short_shop import UNTIL, policy_text, short_shop

# What a person tries: other numbers, a rule that is off, a hold, another budget.
OTHER = {
    "limit: 8d, count: 7": "limit: 6d, count: 9",
    "limit: 4d, count: 6": "limit: 5d, count: 4",
    "max: 14": "max: 11",
    "budget: 20": "budget: 0.1",
}

# Another time zone, a stage less and one on a clock: who is where, for how long, in which week.
STAYS = {
    "timezone: Europe/Berlin": "timezone: Asia/Tokyo",
    "      - {id: lead, name: Lead}\n": "",
    "stage: lead": "stage: qualified",
    "{id: demo, name: Demo}": "{id: demo, name: Demo, clock: office}",
    "limit: 8d": "limit: 6d",
}
# A pipeline that no deal is in.
PARTNERS = {
    "silence:\n": "  partners:\n    name: Partners\n    owner: {name: Head, mail: partners@shop.example}\n"
    "    stages: [{id: first}]\n    rules: [{kind: aging, stage: first, limit: 3d}]\nsilence:\n"
}
LEARNED = {"aging-learned/sales/proposal"}
ALL_LEARNED = LEARNED | {"aging-learned/sales/demo", "aging-learned/sales/legal"}
CHART_KINDS = ("shift", "rework", "slipping")


@pytest.fixture(scope="module")
async def store(pool: Pool) -> LearningStore:
    return await load_shop(pool)


@pytest.fixture
async def detector(store: LearningStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(preview_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://detector") as client:
        yield client


def changed(changes: dict[str, str]) -> str:
    text = policy_text()
    for written, other in changes.items():
        assert written in text
        text = text.replace(written, other)
    return text


async def ask(detector: httpx.AsyncClient, policy: str, pipeline: str = "sales") -> httpx.Response:
    content = PreviewRequest(pipeline=pipeline, policy=policy).model_dump_json()
    return await detector.post(PATH, content=content, headers={"content-type": "application/json"})


def assert_as_found(
    answer: PreviewAnswer, side: str, policy: Policy, learned: set[str], relocks: Sequence[Relock] = ()
) -> None:
    """Openings, intervals and chances of every rule on counts and on charts, and of the learned ones that changed."""
    found = what_if(short_shop(), policy, UNTIL, relocks)
    kinds = ("aging", "stalled", "wip-high", "wip-low", "bottleneck", *CHART_KINDS)
    keys = {key for key in found.problems if key.split("/")[0] in kinds and key.split("/")[1] == "sales"} | learned
    told = {one.key: finding for one in answer.rules if (finding := getattr(one, side)) is not None}
    assert told.keys() == keys
    for on_charts in (False, True):
        own = [key for key in keys if (key.split("/")[0] in CHART_KINDS) is on_charts]
        assert any(len(found.problems[key]) > 1 for key in own)
    for key, finding in told.items():
        assert_finding(finding, key, found, answer)


def assert_finding(finding: PreviewedRule, key: str, found: Found, answer: PreviewAnswer) -> None:
    since, until = micros(answer.as_of) - 4 * 91 * 86_400_000_000, micros(answer.as_of)
    shown = [one for one in found.problems[key] if one.cleared_at is None or one.cleared_at > since]
    told = [(micros(p.opened_at), p.cleared_at and micros(p.cleared_at), p.peak) for p in finding.problems]
    assert told == [tuple(one) for one in shown][-50:], key
    starts = [since + n * 91 * 86_400_000_000 for n in range(4)]
    assert finding.quarters == tuple(
        sum(start < one.opened_at <= start + 91 * 86_400_000_000 for one in found.problems[key]) for start in starts
    )
    lasting = sum((one.cleared_at or until) - max(one.opened_at, since) for one in shown)
    assert finding.open_share == pytest.approx(lasting / (until - since))
    chance = found.statistics.chances[key]
    assert finding.per_quarter == pytest.approx(chance.per_quarter, rel=1e-9)
    if isinstance(chance, CountChance):
        assert finding.usual == pytest.approx(chance.usual)
        assert finding.exceed == pytest.approx(chance.exceed)


@pytest.mark.parametrize(("changes", "learned"), [({}, set()), (OTHER, LEARNED), (STAYS, ALL_LEARNED)])
async def test_it_finds_what_the_pure_function_finds(
    detector: httpx.AsyncClient, changes: dict[str, str], learned: set[str]
) -> None:
    text = changed(changes)

    asked = await ask(detector, text)

    assert asked.status_code == 200
    answer = PreviewAnswer.model_validate_json(asked.content)
    assert (answer.as_of, answer.first_event) == (UNTIL, moment(min(micros(one.time) for one in short_shop())))
    assert_as_found(answer, "before", parse(policy_text()), learned)
    assert_as_found(answer, "after", parse(text), learned)


async def test_a_new_pipeline_finds_what_the_pure_function_finds(store: LearningStore) -> None:
    text = policy_text()
    sales, renewals = text.index("  sales:"), text.index("  renewals:")
    in_force = parse(text[:sales] + text[renewals:])
    routes = PreviewEndpoint(store.pool, Ruleset(in_force)).routes()
    transport = httpx.ASGITransport(Starlette(routes=routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://detector") as client:
        asked = await ask(client, text)
        unknown = await ask(client, changed(PARTNERS), "partners")

    answer = PreviewAnswer.model_validate_json(asked.content)
    assert_as_found(answer, "after", parse(text), ALL_LEARNED)
    assert (answer.visits > 0, {one.before for one in answer.rules}) == (True, {None})
    assert (unknown.status_code, "no event names a deal" in unknown.text) == (409, True)


async def test_pipelines_of_one_policy_are_folded_in_one_pass(
    detector: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = list[bool]()
    deals = refolded.history.deals

    def counted(connection: Connection) -> AsyncIterator[list[Event]]:
        passes.append(True)
        return deals(connection)

    monkeypatch.setattr(refolded.history, "deals", counted)
    text = changed(STAYS)

    answers = [await ask(detector, text, name) for name in ("sales", "renewals", "sales")]

    assert [one.status_code for one in answers] == [200, 200, 200]
    assert len(passes) == 1


async def test_rules_on_charts_say_how_many_weeks_they_could_judge(detector: httpx.AsyncClient) -> None:
    answer = PreviewAnswer.model_validate_json((await ask(detector, changed({}))).content)

    weeks = {(one.measure, one.stage): one.after.weeks for one in answer.rules if one.after and one.kind == "shift"}
    over, unjudged = (UNTIL - answer.first_event).days // 7, 20 + 3
    assert weeks[Column.ARRIVALS, "lead"] == over - 1 - unjudged
    # The first lead times of a log are no points.
    assert weeks[Column.LEAD_TIME_MEDIAN, ""] == over - 27 - unjudged
    # Those on bottlenecks compare eight weeks.
    bottlenecks = {one.stage: one.after.weeks for one in answer.rules if one.after and one.kind == "bottleneck"}
    assert bottlenecks == dict.fromkeys(("demo", "legal"), over - 1 - 20 - 7)
    on_counts = ("aging", "aging-learned", "stalled", "wip-high", "wip-low")
    assert {one.after.weeks for one in answer.rules if one.after and one.kind in on_counts} == {None}


async def test_deals_are_those_that_count_when_a_problem_opens(detector: httpx.AsyncClient) -> None:
    answer = PreviewAnswer.model_validate_json((await ask(detector, changed(OTHER))).content)
    found = what_if(short_shop(), parse(changed(OTHER)), UNTIL)

    rules = {rule.key: rule for rule in found.ruleset.rules}
    for one in answer.rules:
        for problem in one.after.problems[-12:] if one.after and one.key in rules else ():
            opened = micros(problem.opened_at)
            counted = [
                (start, deal)
                for deal, visit in found.visits
                if (visit.pipeline, visit.stage) == ("sales", one.stage)
                for start, end in rules[one.key].spans(visit)
                if start <= opened and (end is None or end > opened)
            ]
            assert problem.total == len(counted), one.key
            assert [(micros(d.since), d.deal) for d in problem.deals] == sorted(counted)[:10]
            assert all(deal.name for deal in problem.deals)


async def test_a_rule_that_is_off_or_new_stands_on_one_side(detector: httpx.AsyncClient) -> None:
    text = changed({"max: 14": "max: 14, mode: off"})
    off = PreviewAnswer.model_validate_json((await ask(detector, text)).content)

    gone = [one for one in off.rules if one.after is None]
    assert [(one.kind, one.before is not None) for one in gone] == [("wip-high", True)]


async def test_rules_on_charts_follow_relocks(detector: httpx.AsyncClient, store: LearningStore) -> None:
    relocks = [Relock(f"sales/{chart}", None, 12, "for a test") for chart in ("-/pushed_share", "demo/rework_rate")]
    before = what_if(short_shop(), parse(policy_text()), UNTIL).problems
    await store.relock(relocks)

    answer = PreviewAnswer.model_validate_json((await ask(detector, policy_text())).content)

    assert_as_found(answer, "after", parse(policy_text()), set(), relocks)
    after = what_if(short_shop(), parse(policy_text()), UNTIL, relocks).problems
    assert any(before[key] != after[key] for key in before)


@pytest.mark.parametrize(
    ("changes", "pipeline", "status", "says"),
    [
        ({}, "nowhere", 404, "has no pipeline 'nowhere'"),
        ({"  sales:": "  other:"}, "sales", 409, "the other policy has no pipeline 'sales'"),
        ({"limit: 8d": "limit: 8 parsecs"}, "sales", 422, "'8 parsecs' is not a duration"),
        ({"version: 1": "version: 0"}, "sales", 422, "version"),
    ],
)
async def test_what_has_no_answer_is_refused_with_the_way_out(
    detector: httpx.AsyncClient, changes: dict[str, str], pipeline: str, status: int, says: str
) -> None:
    refused = await ask(detector, changed(changes), pipeline)

    assert refused.status_code == status
    assert any(says in reason for reason in PreviewRefusal.model_validate_json(refused.content).reasons)


async def test_a_history_too_long_to_fold_again_is_refused_with_the_way_out(
    detector: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refolded, "MOST_EVENTS", 1000)

    refused = await ask(detector, changed(STAYS))

    assert (refused.status_code, "with andon what-if" in refused.text) == (409, True)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{}", "application/json", 422), (b"\xff", "application/json", 422), (b"{}", "text/plain", 415)],
)
async def test_what_is_no_question_is_refused(
    detector: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    refused = await detector.post(PATH, content=content, headers={"content-type": kind})

    assert (refused.status_code, bool(PreviewRefusal.model_validate_json(refused.content).reasons)) == (status, True)


async def test_before_the_first_judgement_it_says_so(pool: Pool, store: LearningStore) -> None:
    await emptied(pool)
    transport = httpx.ASGITransport(preview_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://detector") as client:
        refused = await ask(client, policy_text())

    assert (refused.status_code, "no deal has been judged yet" in refused.text) == (503, True)
