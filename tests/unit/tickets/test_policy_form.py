"""The fields of the policy: what they show, the text that they make, and what is wrong at which field."""

from __future__ import annotations

import pytest

from services.tickets.web.policy_form.pipeline_sheet import pipeline_sheet
from services.tickets.web.policy_form.shared_sheet import shared_sheet
from services.tickets.web.policy_form.sheet import PolicySheet
from services.tickets.web.policy_form.typed_sheet import SheetAnswer, changed_text, typed_values
from shared.policy import Policy, parse
from shared.policy.parts import DAYS

TEXT = """\
version: 1
timezone: Europe/Berlin
clocks:
  office:   # as agreed
    timezone: Europe/Berlin
    days: [mon, tue]
    hours: ["09:00-12:30", "13:00-17:30"]
    holidays: [2026-12-25]
pipelines:
  new:
    name: New business
    owner: {name: Head, mail: head@sales.example}
    recipients:
      - {name: Deputy, mail: deputy@sales.example, role: deputy, quiet: {from: "18:00", to: "08:00"}}
    ack_within: 2d
    stages:
      - {id: lead, name: Lead}   # first
      - {id: demo, clock: office}
      - {id: won, outcome: won}
    rules:
      - {kind: aging, stage: demo, limit: 3d}
      - {kind: shift}
      - {kind: shift, stage: demo, measure: wip_end, mode: monitor}
      - {kind: slipping}
silence:
  - {budget: 0.1}
"""


def made(sheet: PolicySheet, **sent: str) -> str | SheetAnswer:
    """The text that a form with these fields makes; `__` stands for a dot."""
    names = {name.replace("__", "."): value for name, value in sent.items()}
    assert names.keys() <= dict(sheet.labels()).keys()
    return changed_text(TEXT, sheet, typed_values(sheet, names))


def of_pipeline(**sent: str) -> str | SheetAnswer:
    return made(pipeline_sheet(parse(TEXT), "new"), **sent)


def of_all(**sent: str) -> str | SheetAnswer:
    return made(shared_sheet(parse(TEXT)), **sent)


def policy_of(found: str | SheetAnswer) -> Policy:
    assert isinstance(found, str), found
    assert "# as agreed" in found
    return parse(found)


@pytest.mark.parametrize("found", [of_pipeline(), of_all()])
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(found: str | SheetAnswer) -> None:
    assert isinstance(found, SheetAnswer)
    assert (found.faults, found.others) == ({}, ["Nothing is changed."])


def test_stages_are_renamed_moved_added_and_removed() -> None:
    text = of_pipeline(
        stages__0__place="2",
        stages__1__name="Demo",
        stages__1__clock="",
        stages__1__cord="true",
        stages__2__remove="yes",
        stages__new__id="closed",
        stages__new__outcome="lost",
    )

    stages = policy_of(text).pipelines["new"].stages
    assert [(one.id, one.name, one.clock, one.cord, one.outcome) for one in stages] == [
        ("demo", "Demo", None, True, "open"),
        ("lead", "Lead", None, None, "open"),
        ("closed", "", None, None, "lost"),
    ]
    assert "{id: lead, name: Lead}   # first" in str(text)


@pytest.mark.parametrize(
    ("places", "order"),
    [
        ({"0": "3"}, ["demo", "won", "lead"]),
        ({"2": "1"}, ["won", "lead", "demo"]),
        ({"0": "2", "1": "1"}, ["demo", "lead", "won"]),
        ({"0": "3", "2": "1"}, ["won", "demo", "lead"]),
        ({"new": "1"}, ["x", "lead", "demo", "won"]),
    ],
)
def test_a_stage_comes_where_its_place_says(places: dict[str, str], order: list[str]) -> None:
    sent = {f"stages__{number}__place": place for number, place in places.items()}

    found = policy_of(of_pipeline(**sent, **({"stages__new__id": "x"} if "new" in places else {})))

    assert [stage.id for stage in found.pipelines["new"].stages] == order


def test_recipients_are_changed_added_and_removed() -> None:
    changed = policy_of(
        of_pipeline(
            recipients__0__role="",
            recipients__0__notices="verdict, opened",
            recipients__new__name="Board",
            recipients__new__mail="board@sales.example",
            recipients__new__notices="escalated",
        )
    ).pipelines["new"]
    none = policy_of(of_pipeline(recipients__0__remove="yes")).pipelines["new"]

    assert [(one.name, one.role, one.notices) for one in changed.recipients] == [
        ("Deputy", "recipient", ("verdict", "opened")),
        ("Board", "recipient", ("escalated",)),
    ]
    assert changed.recipients[0].quiet
    assert none.recipients == ()


def test_the_owner_and_a_recipient_have_habits_of_their_own() -> None:
    found = policy_of(
        of_pipeline(
            owner__timezone="Asia/Tokyo",
            owner__quiet="18:00-08:00, sat sun 08:00-18:00",
            owner__report="fri 16:30",
            recipients__0__quiet="",
            recipients__0__quiet_for="all-but-urgent",
            recipients__0__notices="none",
        )
    ).pipelines["new"]

    week, weekend = found.owner.quiet
    assert (found.owner.timezone, week.days, weekend.days) == ("Asia/Tokyo", DAYS, ("sat", "sun"))
    assert (week.begin, week.end) == (18 * 3600, 8 * 3600)
    assert (found.owner.report.day, found.owner.report.at) == ("fri", 16 * 3600 + 1800)
    deputy = found.recipients[0]
    assert (deputy.quiet, deputy.quiet_for, deputy.notices) == ((), "all-but-urgent", ())


def test_all_rules_are_turned_off_and_on_at_once() -> None:
    off = of_pipeline(stop="off", rules__3__mode="monitor")
    all_off = of_pipeline(stop="off")
    assert isinstance(all_off, str)
    sheet = pipeline_sheet(parse(all_off), "new")
    on = changed_text(all_off, sheet, typed_values(sheet, {"stop": ""}))

    assert [rule.mode for rule in policy_of(off).pipelines["new"].rules] == ["off", "off", "off", "monitor"]
    assert [rule.mode for rule in policy_of(on).pipelines["new"].rules] == ["active"] * 4


def test_rules_on_charts_are_changed_added_and_removed() -> None:
    found = policy_of(
        of_pipeline(
            rules__1__mode="off",
            rules__2__stage="lead",
            rules__2__measure="arrivals",
            rules__3__remove="yes",
            rules__new__kind="bottleneck",
            rules__new__stage="demo",
        )
    )

    assert [one.model_dump(exclude_defaults=True) for one in found.pipelines["new"].rules[1:]] == [
        {"kind": "shift", "mode": "off"},
        {"kind": "shift", "stage": "lead", "measure": "arrivals", "mode": "monitor"},
        {"kind": "bottleneck", "stage": "demo"},
    ]
    assert found.pipelines["new"].rules[0].kind == "aging"


def test_the_pipeline_has_its_own_fields() -> None:
    found = policy_of(of_pipeline(name="Neu: a", ack_within="", clock="office", cord="true")).pipelines["new"]

    assert (found.name, found.ack_within, found.clock, found.cord) == ("Neu: a", None, "office", True)


def test_clocks_are_changed_and_added() -> None:
    found = policy_of(
        of_all(
            timezone="",
            clocks__0__hours="08:00-16:00",
            clocks__0__holidays="2026-12-25 2027-01-01,",
            clocks__new__name="late",
            clocks__new__timezone="UTC",
            clocks__new__days="sat",
            clocks__new__hours="12:00-24:00",
        )
    )

    assert found.timezone == "UTC"
    assert found.clocks["office"].hours == ((8 * 3600, 16 * 3600),)
    assert sorted(map(str, found.clocks["office"].holidays)) == ["2026-12-25", "2027-01-01"]
    assert (found.clocks["late"].days, found.clocks["late"].day_seconds) == (("sat",), 12 * 3600)


def test_a_clock_that_nobody_uses_is_removed() -> None:
    text = TEXT.replace(", clock: office", "")
    sheet = shared_sheet(parse(text))
    gone = changed_text(text, sheet, typed_values(sheet, {"clocks.0.remove": "yes"}))
    new = {"name": "late", "timezone": "UTC", "days": "sat", "hours": "12:00-24:00"}
    asked = {"clocks.0.remove": "yes"} | {f"clocks.new.{name}": value for name, value in new.items()}
    other = changed_text(text, sheet, typed_values(sheet, asked))

    assert isinstance(gone, str)
    assert isinstance(other, str)
    assert ("clocks" in gone, [*parse(other).clocks]) == (False, ["late"])


def test_a_pipeline_is_added_after_the_others() -> None:
    found = policy_of(
        of_all(
            pipelines__new__key="123",
            pipelines__new__name="Renewals",
            pipelines__new__owner__name="Head",
            pipelines__new__owner__mail="head@sales.example",
            pipelines__new__stages="lead",
        )
    )

    assert [*found.pipelines] == ["new", "123"]
    added = found.pipelines["123"]
    assert (added.name, added.owner.mail, added.open_stages) == ("Renewals", "head@sales.example", ("lead",))


def test_silent_sources_are_changed_and_added() -> None:
    found = policy_of(of_all(silence__0__mode="monitor", silence__new__source="crm", silence__new__budget="0.5"))

    assert [(one.source, float(one.budget), one.mode) for one in found.silence] == [
        (None, 0.1, "monitor"),
        ("crm", 0.5, "active"),
    ]


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"stages__0__id": ""}, "stages.0.id", "Write something here."),
        ({"stages__1__id": "lead"}, "stages.0.id", "Stage 'lead' appears twice"),
        ({"stages__0__place": "4"}, "stages.0.place", "Choose one of the list."),
        (
            {"stages__0__remove": "yes", "stages__1__cord": "true", "stages__1__outcome": "won"},
            "stages.1.id",
            "no cord",
        ),
        ({"stages__new__name": "Nameless"}, "stages.new.id", "missing"),
        ({"recipients__0__mail": "nobody"}, "recipients.0.mail", "Not a mail address"),
        ({"recipients__0__notices": "opened, gossip"}, "recipients.0.notices", "'gossip' is no notice to choose"),
        ({"recipients__new__name": "Board"}, "recipients.new.mail", "missing"),
        (
            {"recipients__new__name": "H", "recipients__new__mail": "HEAD@sales.example"},
            "recipients.new.name",
            "already",
        ),
        ({"rules__2__measure": "throughput"}, "rules.2.stage", "is one of the pipeline"),
        ({"rules__new__kind": "slipping"}, "rules.3.mode", "A second slipping rule"),
        (
            {"rules__new__kind": "rework", "rules__new__measure": "wip_end"},
            "rules.new.measure",
            "No such field; remove it",
        ),
        ({"owner__quiet": "night"}, "owner.quiet", "'night' has no hours; write for example"),
        ({"owner__quiet": "18:00-8"}, "owner.quiet", "'8' is not a time of day"),
        ({"owner__quiet": "someday 18:00-08:00"}, "owner.quiet", "'mon'"),
        ({"owner__quiet": "00:00-24:00"}, "owner.quiet", "no time for mails"),
        ({"owner__report": "friday"}, "owner.report", "'friday' is not a day and a time"),
        ({"owner__report": "fri noon"}, "owner.report", "'noon' is not a time of day"),
        ({"recipients__0__timezone": "Berlin"}, "recipients.0.timezone", "is not a time zone"),
        ({"recipients__0__quiet_for": "some"}, "recipients.0.quiet_for", "Choose one of the list."),
        ({"owner__mail": "deputy@sales.example"}, "recipients.0.name", "already gets the mails"),
        ({"ack_within": "soon"}, "ack_within", "not a duration"),
        ({"name": "x" * 301}, "name", "Write 300 letters at most."),
        ({"clock": "lunch"}, "clock", "Choose one of the list."),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_named_at_its_field(sent: dict[str, str], field: str, says: str) -> None:
    found = of_pipeline(**sent)

    assert isinstance(found, SheetAnswer)
    assert says in found.faults.get(field, ""), found


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"timezone": "Berlin"}, "timezone", "'Berlin' is not a time zone"),
        ({"doing_limit": "0"}, "doing_limit", "too small"),
        ({"clocks__0__days": "mon, monday"}, "clocks.0.days", "'monday'"),
        ({"clocks__0__hours": "09:00-12:00, 11:00-13:00"}, "clocks.0.hours", "Hours overlap"),
        ({"clocks__0__holidays": "Christmas"}, "clocks.0.holidays", "'Christmas' is not a day"),
        ({"clocks__new__days": "mon"}, "clocks.new.name", "Write something here."),
        ({"clocks__new__name": "office"}, "clocks.new.name", "There is office already"),
        ({"clocks__new__name": "late"}, "clocks.new.timezone", "missing"),
        ({"clocks__new__name": "calendar"}, "clocks.new.name", "this name means 24 x 7"),
        ({"clocks__0__remove": "yes"}, "clocks.0.remove", "the clock of demo of New business"),
        ({"pipelines__new__name": "Nameless"}, "pipelines.new.key", "Write something here."),
        ({"pipelines__new__key": "new"}, "pipelines.new.key", "There is new already"),
        ({"pipelines__new__key": "x"}, "pipelines.new.name", "missing"),
        ({"pipelines__new__key": "x", "pipelines__new__name": "X"}, "pipelines.new.owner.name", "missing"),
        ({"pipelines__new__key": "x", "pipelines__new__owner__mail": "no"}, "pipelines.new.owner.mail", "address"),
        ({"pipelines__new__key": "x", "pipelines__new__name": "X"}, "pipelines.new.stages", "missing"),
        ({"silence__0__budget": "0"}, "silence.0.budget", "not a number greater than 0"),
        ({"silence__new__mode": "off"}, "silence.0.source", "a second entry"),
    ],
)
def test_what_is_wrong_with_what_all_share_is_named_at_its_field(sent: dict[str, str], field: str, says: str) -> None:
    found = of_all(**sent)

    assert isinstance(found, SheetAnswer)
    assert says.lower() in found.faults.get(field, "").lower(), found


def test_what_is_wrong_elsewhere_is_named_with_its_line() -> None:
    found = of_pipeline(stages__1__remove="yes")

    assert isinstance(found, SheetAnswer)
    assert any("pipelines.new.rules.0: stage 'demo' is not a stage of this pipeline" in one for one in found.others)


def test_all_that_is_wrong_is_named_at_once() -> None:
    found = of_pipeline(stages__0__id="", recipients__0__mail="nobody", ack_within="soon", clock="lunch")
    shared = of_all(clocks__new__days="mon", lateness="soon")

    assert isinstance(found, SheetAnswer)
    assert isinstance(shared, SheetAnswer)
    assert found.faults.keys() == {"ack_within", "clock", "stages.0.id", "recipients.0.mail"}
    assert found.typed["stages.0.id"] == ""
    assert shared.faults.keys() == {"lateness", "clocks.new.name"}
    assert (found.others, shared.others) == ([], [])
