"""Mails say how the problem stands while they go out, beside how it was when they were written."""

from __future__ import annotations

from typing import Any

import pytest

from services.notifier.delivery.queue import _with_now
from services.notifier.domain.mail import Mail, Notice, ProblemNow
from services.notifier.render.compose import Composer
from services.notifier.render.now_text import now_sentences
from shared.contracts.notices import NoticeReason
from shared.contracts.now import NowData, RuleNow
from shared.contracts.problems import Evidence, ProblemInterval
from shared.stream.stages_now import StagesNow
from tests.support.notices import LINKS
from tests.support.problems import day, evidence, policy, ticket_event

ZONE = "Europe/Berlin"


def rule(**fields: Any) -> RuleNow:
    given = {"key": "aging/new/proposal", "kind": "aging", "count": 14, "threshold": 5, "breached": True, "peak": 20}
    return RuleNow(**(given | fields))


def stages(at: float = 1, **fields: Any) -> StagesNow:
    told = NowData(pipeline="new", stage="proposal", as_of=day(at), wip=30, rules=(rule(**fields),))
    return StagesNow(day(at), {("new", "proposal"): told})


def notice(**fields: Any) -> Notice:
    return Notice(1, 1, NoticeReason.OPENED, ticket_event(**fields).data)


def test_count_and_peak_are_of_now_with_their_time() -> None:
    assert now_sentences(ProblemNow(day(1), rule()), ZONE) == [
        "As of Tuesday 3 March, 10:00 the count is 14 deals; at most it was 20."
    ]


def test_a_learned_limit_says_what_opens_a_ticket() -> None:
    learned = rule(kind="aging-learned", threshold=7)

    assert now_sentences(ProblemNow(day(1), learned), ZONE)[1:] == [
        "7 are enough to open a ticket. That number and the limit come from the stage's own past."
    ]


def test_what_has_eased_says_since_when_and_when_it_closes() -> None:
    eased = rule(count=4, breached=False, since=day(0.5), clears_at=day(2))

    assert now_sentences(ProblemNow(day(1), eased), ZONE)[1:] == [
        "Below the limit since Monday 2 March, 22:00; the ticket closes on Wednesday 4 March, 10:00 if it stays so."
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (notice(), StagesNow(None, {})),
        (notice(), stages(key="wip-high/new/proposal")),
        (notice(evidence=Evidence(at=day(2), total=12)), stages()),
        (notice(problem=ProblemInterval(opened_at=day(0), cleared_at=day(0.5), peak=12)), stages()),
    ],
)
def test_a_mail_about_what_is_newer_or_over_stays_as_it_was_written(given: Notice, told: StagesNow) -> None:
    assert _with_now(given, told) == given


def test_both_parts_of_a_mail_say_it_and_name_the_deals_of_now() -> None:
    shown = evidence(2).worst[1].model_copy(update={"name": "Only now"})
    told = stages(evidence=Evidence(at=day(1), total=14, worst=(shown,)))
    notices = (_with_now(notice(), told),)
    mail = Mail(1, "<1@x.example>", "Head", "head@sales.example", day(1), 1, day(1), notices)

    message = Composer("andon@x.example", "x.example", policy(), LINKS).compose(mail)

    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        text = part.get_content().replace("\u00a0", " ")
        assert "the count is 14 deals; at most it was 20." in text
        assert "Only now" in text
        assert "Deal 0" not in text
