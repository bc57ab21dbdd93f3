"""What receivers get: signed as the specification says, without markup, without a person's words."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.notifier.domain.mail import CoveredChange
from services.notifier.hooks.client import HookRequest
from services.notifier.hooks.config import parse
from services.notifier.hooks.message import event_of
from services.notifier.hooks.networks import Reachable
from services.notifier.hooks.reasons import HookOccasion, occasion_of
from services.notifier.hooks.retry_delays import MAX_PAUSE_SECONDS, pause_after
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import (
    Actor,
    PlanFacts,
    PredictedFacts,
    TaskFacts,
    TicketChange,
    TicketOutcome,
    TicketState,
)
from tests.support.problems import day, policy, ticket_event

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_plJ3nmyCDGBKInavdOK15jsl38FrJYeT"
FILE = f"""hooks:
  erp: {{kind: webhook, url: 'https://erp.example/in', secrets: [{NEW}, {OLD}]}}
  chat: {{kind: slack, url: 'https://slack.example/in'}}
  team: {{kind: teams, url: 'https://teams.example/in'}}
"""
HOSTILE = "<!channel> <https://evil.example|Proposal> & [x](https://evil.example) *b* :smile:\r\n@here"


def request(name: str, why: NoticeReason = NoticeReason.OPENED, **fields: Any) -> HookRequest:
    facts = ticket_event(**fields).data
    covered = CoveredChange(change=facts.change, at=facts.at, count=facts.count)
    event = event_of(facts, why, covered)
    return parse(FILE, policy(), Reachable())[name].request("andon-1-1-abcdef01", event, datetime.now(UTC))


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_the_reference_library_accepts_the_signature_of_each_secret(secret: str) -> None:
    sent = request("erp")
    found = Webhook(secret).verify(sent.body, dict(sent.headers))

    assert found["type"] == "andon.ticket.opened"
    assert datetime.fromisoformat(found["timestamp"]) == day(0)
    assert found["data"]["ticket"] == 1
    assert found["data"]["sentence"].startswith("12 deals, usually 3, have been in Proposal")


def test_the_reference_library_refuses_a_changed_body() -> None:
    sent = request("erp")

    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(sent.body.replace(b"12 deals", b"13 deals"), dict(sent.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(sent.body, dict(sent.headers) | {"webhook-id": "andon-2"})


def texts(value: Any) -> list[str]:
    """All texts in a document."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for one in inner for text in texts(one)]
    return [value] if isinstance(value, str) else []


def test_slack_gets_plain_text_and_a_link() -> None:
    document = json.loads(request("chat", title=HOSTILE, stage_name=HOSTILE).body)
    *blocks, actions = document["blocks"]

    assert {one["type"] for one in blocks} == {"header", "section", "context"}
    shown = [one["text"] for one in blocks if "text" in one] + [e for one in blocks for e in one.get("elements", [])]
    assert {one["type"] for one in shown} == {"plain_text"}
    assert not any(one["emoji"] for one in shown)
    assert [one["url"] for one in actions["elements"]] == ["http://andon.example/tickets/1"]
    assert "<" not in document["text"]
    assert "\n" not in "".join(texts(document))


def test_slack_keeps_to_the_limits_of_its_blocks() -> None:
    document = json.loads(request("chat", title="x" * 5000, sentence="y" * 5000, stage_name="z" * 5000).body)

    assert max(map(len, texts(document))) <= 1000
    assert len(document["blocks"][0]["text"]["text"]) <= 150


def test_teams_gets_a_card_without_markup() -> None:
    document = json.loads(request("team", title=HOSTILE).body)
    (attachment,) = document["attachments"]
    card = attachment["content"]

    assert (document["type"], card["type"]) == ("message", "AdaptiveCard")
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {one["type"] for one in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for one in card["body"] for run in one["inlines"]} == {"TextRun"}
    assert [one["type"] for one in card["actions"]] == ["Action.OpenUrl"]
    assert len(request("team", title="ü" * 50_000, sentence="ü" * 50_000).body) < 28_000


@pytest.mark.parametrize("name", ["erp", "chat", "team"])
def test_nothing_that_a_person_wrote_and_no_deal_is_sent(name: str) -> None:
    plan = PlanFacts(
        cycle=1,
        measure="new/proposal/cycle_time",
        measure_words="Time in stage",
        change="Ada Lovelace writes offers",
        change_date=date(2026, 3, 5),
        predicted=PredictedFacts(size=None, unit="share", why="Ada Lovelace says so"),
        hash="0" * 64,
        looks=(),
        tasks=(TaskFacts(what="Call Ada Lovelace", who="Ada Lovelace", by=date(2026, 3, 4)),),
    )
    reasons = (NoticeReason.PLAN_DUE, NoticeReason.VERDICT, NoticeReason.ESCALATED, NoticeReason.LOOK_DUE)
    for why in reasons:
        body = request(name, why, plan=plan, reason="Ada Lovelace left").body.decode()

        assert "Lovelace" not in body
        assert "sample" not in body


def occasion(change: TicketChange, was: TicketState | None = None, **fields: Any) -> HookOccasion | None:
    return occasion_of(ticket_event(change, **fields).data, was)


def test_changes_that_are_sent() -> None:
    assert occasion(TicketChange.GREW) == HookOccasion(NoticeReason.GREW)
    assert occasion(TicketChange.UPDATED) is None
    assert occasion(TicketChange.REOPENED) == HookOccasion(NoticeReason.REOPENED)
    assert occasion(TicketChange.REOPENED, actor=Actor.PERSON) is None
    assert occasion(TicketChange.CLOSED, outcome=TicketOutcome.ABANDONED) is None
    withdrawn = occasion(TicketChange.CLOSED, outcome=TicketOutcome.RETRACTED)
    assert withdrawn is not None
    assert (withdrawn.reason, bool(withdrawn.after)) == (NoticeReason.CLEARED, True)
    taken_back = occasion(TicketChange.VERIFYING, TicketState.CLOSED)
    assert taken_back == HookOccasion(NoticeReason.VERDICT, (NoticeReason.VERDICT,))


def test_pauses_grow_to_six_hours() -> None:
    pauses = [pause_after(n, 1.0).total_seconds() for n in range(1, 30)]

    assert pauses[:4] == [5, 20, 80, 320]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS
    assert pause_after(1, 0.0).total_seconds() == 2.5
