"""Every kind of the policy is whole: rule, policy model, words, chart, mail. And an unknown one can be read, too."""

from __future__ import annotations

import ast
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.notifier.domain.links import Links
from services.notifier.domain.mail import Mail, Notice, message_id, notice_name
from services.notifier.render.compose import Composer
from shared import wording
from shared.contracts.measures import Column
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import BottleneckDetail, BottleneckLabel, CauseClass, SignalDetail
from shared.flow.rules import KINDS as RULES
from shared.policy import StageTitles
from shared.policy.model import CountRule
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES
from shared.wording.problem_text import text_of
from shared.wording.signals import MIDDLE, WORSE
from tests.support.problems import policy, problem, ticket_event

ROOT = Path(__file__).parents[3]
MODELS = {typing.get_args(model.model_fields["kind"].annotation)[0]: model for model in typing.get_args(CountRule)}
# Kinds whose limits are no numbers of the policy: on weekly measures, learned, on sources, pulled by a person.
SIGNALS = {"shift", "rework", "slipping", "bottleneck", "aging-learned", "silence", "cord"}
# What a mail about each kind says first.
MAILS = {
    "aging": "12 deals, usually 3, have been in Proposal for more than 21 days.",
    "wip-high": "12 deals, usually 3, are in Proposal; the limit is 5.",
    "wip-low": "12 deals are in Proposal; the next stages need at least 5 there. This stage is usually at 3:"
    " the policy asks for more than the process can do.",
    "stalled": "12 deals in Proposal, usually 3, have shown no progress for 21 days.",
}


def test_every_kind_has_all_of_its_parts() -> None:
    assert set(RULES) == set(MODELS) == set(wording.KINDS) - SIGNALS == set(MAILS)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_a_kinds_chart_shows_what_its_rule_counts(kind: str) -> None:
    spec = wording.of(kind).chart

    assert spec is not None
    assert spec.measure is RULES[kind].measure


@pytest.mark.parametrize(("kind", "sentence"), MAILS.items())
def test_a_mail_about_each_kind(kind: str, sentence: str) -> None:
    text = text_of(problem(kind=kind), policy(), StageTitles.of(policy()))
    about: Any = ticket_event(kind=kind, title=text.title, sentence=text.sentence).data
    written = datetime.now(UTC)

    notice = Notice(about.ticket, 1, NoticeReason.OPENED, about)
    identity = message_id(notice_name(about, "a@x.example"), "x.example")
    intent = Mail(1, identity, "Head", "h@x.example", written, 1, written, (notice,))
    mail = Composer("a@x.example", "x.example", policy(), Links(b"")).compose(intent)

    body = mail.get_body(("plain",))
    assert text.title in str(mail["Subject"])
    assert body is not None
    assert sentence in " ".join(body.get_content().split())


@pytest.mark.parametrize(
    ("kind", "measure", "title"),
    [
        ("shift", Column.TIME_IN_STAGE_MEDIAN, "Deals stay longer in Proposal"),
        ("rework", Column.REWORK_RATE, "More deals come back to Proposal"),
    ],
)
def test_a_problem_on_a_measure_says_what_its_weeks_show(kind: str, measure: Column, title: str) -> None:
    weeks = ("2026-W40", "2026-W41", "2026-W42", "2026-W43")
    signal = SignalDetail(measure=measure, weeks=weeks, baseline=("2026-W10",), pairs=95, pairs_needed=91)
    shown = problem(kind=kind, count=95, threshold=91, usual=None, signal=signal, chance=0.127)
    text = text_of(shown, policy(), StageTitles.of(policy()))

    assert text.title == title
    assert text.sentence == (
        "Of 100 pairs of a baseline week and one of the last 4 weeks, in 95 the recent week was worse."
        " By chance this chart says so about once in 7.9 quarters."
    )


@pytest.mark.parametrize(
    ("fields", "wip"),
    [({}, "WIP 46"), ({"count": 153, "peak": 153}, "WIP up to 153"), ({"cleared": 70}, "WIP up to 46")],
)
def test_a_bottleneck_says_how_much_more_came_in_and_why(fields: dict[str, Any], wip: str) -> None:
    detail = BottleneckDetail(label=BottleneckLabel.CAPACITY, net=30, wip=46, usual_wip=16.5)
    numbers = {"count": 46, "peak": 46, "threshold": 0, "limit": None, "usual": None, "chance": 0.1} | fields
    text = text_of(problem(kind="bottleneck", bottleneck=detail, **numbers), policy(), StageTitles.of(policy()))

    assert text.title == "Proposal is a bottleneck"
    assert text.sentence == (
        f"More came into Proposal than left it: 30 in 13 weeks, {wip} against 16, and its deals grow older."
        " Cause: capacity."
    )


@pytest.mark.parametrize(
    ("label", "cause", "starved", "says"),
    [
        (
            BottleneckLabel.CAPACITY,
            CauseClass.SPECIAL,
            False,
            "find it before you change anything."
            " Capacity: fewer deals leave the stage than before. Look for what holds them up there.",
        ),
        (
            BottleneckLabel.DEMAND,
            CauseClass.SPECIAL,
            True,
            "find it before you change anything."
            " Demand: more deals come into the stage than before. Look at where they come from."
            " Meanwhile the next stage has less to work on than before.",
        ),
        (
            BottleneckLabel.UNCLEAR,
            CauseClass.UNKNOWN,
            None,
            "Look at what comes in and at what leaves before you change anything.",
        ),
    ],
)
def test_a_bottleneck_says_what_its_label_means(
    label: BottleneckLabel, cause: CauseClass, starved: bool | None, says: str
) -> None:
    detail = BottleneckDetail(label=label, net=30, wip=46, usual_wip=16.5, next_starved=starved)
    fields = {"threshold": 0, "limit": None, "cause_class": cause, "cause_points": None, "cause_needed": None}
    text = text_of(problem(kind="bottleneck", bottleneck=detail, **fields), policy(), StageTitles.of(policy()))

    assert text.asks_for.endswith(says)
    assert "unclear" not in text.asks_for, "the sentence names the cause"


def test_every_measure_that_a_policy_may_watch_has_a_title() -> None:
    watchable = STAGE_MEASURES.keys() | PIPELINE_MEASURES.keys()

    assert {column.measure for column in WORSE} == watchable


def test_a_kind_of_a_newer_detector_can_be_read() -> None:
    text = text_of(problem(kind="drought"), policy(), StageTitles.of(policy()))

    assert text.title == "drought in Proposal"
    assert text.sentence == "12 deals, usually 3, are in Proposal; the limit is 5."
    assert wording.of("drought").chart is None


def comparisons_of_kinds(path: Path) -> list[str]:
    """Where a file compares with the name of a kind. A file that quotes none is not parsed."""
    text = path.read_text()
    if not any(f'"{kind}"' in text for kind in RULES):
        return []
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Constant) and side.value in RULES for side in (node.left, *node.comparators))
    ]


def test_nobody_else_tells_kinds_apart() -> None:
    folders = ("services/tickets", "services/notifier", "services/demo", "shared")
    found = [place for one in folders for path in (ROOT / one).rglob("*.py") for place in comparisons_of_kinds(path)]
    templates = [p for one in folders for p in (ROOT / one).rglob("*.html") if 'kind == "' in p.read_text()]

    assert (found, templates) == ([], [])


DAY = 86_400.0


@pytest.mark.parametrize(
    ("measure", "stage", "recent", "usual", "told"),
    [
        (Column.TIME_IN_STAGE_MEDIAN, "proposal", 34 * DAY, 21 * DAY, "deals usually stayed 34 days; {}, 21 days. "),
        # A day of Legal's clock has eight hours.
        (
            Column.TIME_IN_STAGE_MEDIAN,
            "legal",
            2 * 28_800.0,
            7200.0,
            "deals usually stayed 2 working days; {}, 2 hours. ",
        ),
        (Column.WIN_RATE, None, 0.23, 0.375, "usually 23 % of the closed deals were won; {}, 38 %. "),
        (
            Column.REWORK_RATE,
            "proposal",
            0.22,
            0.11,
            "usually 22 % of the deals that entered had come back from a later stage; {}, 11 %. ",
        ),
        (Column.PUSHED_SHARE, None, 0.31, 0.18, "usually 31 % of the close dates were put off in a week; {}, 18 %. "),
        (Column.THROUGHPUT, None, 2.5, 4.0, "the number won or lost was usually 2.5 deals a week; {}, 4 deals. "),
        (Column.THROUGHPUT, None, 1.0, 0.0, "the number won or lost was usually 1 deal a week; {}, 0 deals. "),
    ],
)
def test_a_problem_on_a_measure_says_how_much_it_is(
    measure: Column, stage: str | None, recent: float, usual: float, told: str
) -> None:
    first = f"In the last 4 weeks, {told.format('in the 20 weeks they are compared with')}Of 100 pairs"

    assert weekly_sentence(measure, stage, recent, usual).startswith(first)


@pytest.mark.parametrize(("recent", "usual"), [(None, None), (0.0, 0.0), (0.0301, 0.0302)])
def test_middles_that_are_not_known_or_look_alike_are_not_shown(recent: float | None, usual: float | None) -> None:
    assert weekly_sentence(Column.PUSHED_SHARE, None, recent, usual).startswith("Of 100 pairs")


def weekly_sentence(measure: Column, stage: str | None, recent: float | None, usual: float | None) -> str:
    signal = SignalDetail(
        measure=measure,
        weeks=("2026-W40",) * 4,
        baseline=("2026-W10",) * 20,
        pairs=95,
        pairs_needed=91,
        recent=recent,
        usual=usual,
    )
    shown = problem(kind="shift", stage=stage, count=95, threshold=91, usual=None, evidence=None, signal=signal)
    return text_of(shown, policy(), StageTitles.of(policy())).sentence


def test_every_measure_with_a_title_says_how_much_it_is() -> None:
    assert MIDDLE.keys() == WORSE.keys()


def test_a_learned_limit_says_what_is_enough_and_where_it_is_from() -> None:
    told = "11 are enough to open a ticket. That number and the limit come from the stage's own past."

    assert {name: kind.learned(11) for name, kind in wording.KINDS.items() if kind.learned(11)} == {
        "aging-learned": told
    }
