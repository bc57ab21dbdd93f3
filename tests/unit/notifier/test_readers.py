"""Who gets mails about a ticket, by the policy and by what each reader chose."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.notifier.domain.readers import Choice, MailPace, MailReaders, escalated_to, reached
from shared.contracts.notices import NoticeReason
from shared.policy import Policy, parse
from tests.support.problems import ticket_event

HEAD, DEPUTY, CHIEF = "head@sales.example", "deputy@sales.example", "chief@sales.example"
OFF, WEEKLY = Choice(MailPace.OFF), Choice(MailPace.WEEKLY)
TEXT = """
version: 1
timezone: Europe/Berlin
pipelines:
  new:
    name: New business
    owner: {name: Head, mail: head@sales.example, quiet: {from: "18:00", to: "08:00"}}
    ack_within: 2d
    recipients:
      - {name: Deputy, mail: Deputy@sales.example, role: deputy, notices: [opened, verdict]}
      - {name: Chief, mail: chief@sales.example, role: escalation, notices: [escalated, weekly-report],
         timezone: America/New_York, quiet_for: all-but-urgent, quiet: {from: "00:00", to: "24:00", days: [sat]}}
    stages: [{id: proposal}]
  renewals:
    name: Renewals
    owner: {name: Care, mail: care@sales.example}
    recipients: [{name: Head, mail: HEAD@sales.example}]
    stages: [{id: asked}]
"""


@pytest.fixture
def rules() -> Policy:
    return parse(TEXT)


def wanted(rules: Policy, choices: dict[str, Choice] | None = None) -> dict[str, set[str]]:
    """The reasons that each reader gets mails for."""
    found = MailReaders(rules).addressees(ticket_event().data, choices or {})
    return {to.reader.address: {reason.value for reason in to.wanted} for to in found}


def test_each_gets_what_the_policy_lists(rules: Policy) -> None:
    found = wanted(rules)

    assert list(found) == [HEAD, DEPUTY, CHIEF]
    assert found[HEAD] == {reason.value for reason in NoticeReason} - {"escalated"}
    assert found[DEPUTY] == {"opened", "opened-and-cleared", "verdict"}
    assert found[CHIEF] == {"escalated", "weekly-report"}


def test_a_reader_switches_reasons_off_or_takes_the_report_only(rules: Policy) -> None:
    found = wanted(rules, {HEAD: WEEKLY, DEPUTY: Choice(unwanted=frozenset({NoticeReason.OPENED}))})

    assert found[HEAD] == {"weekly-report"}
    assert found[DEPUTY] == {"verdict"}


@pytest.mark.parametrize(
    ("off", "escalated"),
    [
        ((), [CHIEF]),
        ((HEAD,), [CHIEF]),
        ((CHIEF,), [HEAD]),
        ((CHIEF, HEAD), [DEPUTY]),
        ((CHIEF, HEAD, DEPUTY), []),
    ],
)
def test_an_escalation_goes_to_somebody_as_long_as_anybody_takes_mails(
    rules: Policy, off: tuple[str, ...], escalated: list[str]
) -> None:
    choices = dict.fromkeys(off, OFF)

    assert escalated_to(rules.pipelines["new"], choices) == escalated
    assert [one for one, reasons in wanted(rules, choices).items() if "escalated" in reasons] == escalated


@pytest.mark.parametrize("choice", [OFF, WEEKLY, Choice(bounced=True)])
def test_who_is_still_reached(rules: Policy, choice: Choice) -> None:
    pipeline = rules.pipelines["new"]

    assert [one.address for one in reached(pipeline, {HEAD: choice})] == [DEPUTY]
    assert reached(pipeline, {HEAD: choice, DEPUTY: choice}) == []


def test_habits_hold_for_an_address_wherever_it_is_listed(rules: Policy) -> None:
    reader = MailReaders(rules).by_address[HEAD]

    assert (reader.zone, len(reader.quiet)) == ("Europe/Berlin", 1)
    assert set(MailReaders(rules).pipelines_of(HEAD)) == {"new", "renewals"}


def test_urgent_mails_pass_quiet_hours_where_the_policy_says_so(rules: Policy) -> None:
    chief, head = MailReaders(rules).by_address[CHIEF], MailReaders(rules).by_address[HEAD]
    saturday, night = datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 4, 22, tzinfo=UTC)

    assert chief.after_quiet(saturday, [NoticeReason.ESCALATED]) == saturday
    assert chief.after_quiet(saturday, [NoticeReason.WEEKLY_REPORT]) == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert head.after_quiet(night, [NoticeReason.ESCALATED]) == datetime(2026, 3, 5, 7, tzinfo=UTC)


def test_a_pipeline_that_the_policy_does_not_have_has_no_recipient(rules: Policy) -> None:
    (nobody,) = MailReaders(rules).addressees(ticket_event(pipeline="gone").data, {})

    assert nobody.reader.mail == ""
