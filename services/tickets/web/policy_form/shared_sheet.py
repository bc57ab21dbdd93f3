"""The form of what all pipelines share: times, clocks, silent sources; and of a pipeline that is added."""

from __future__ import annotations

from dataclasses import replace

from services.tickets.web.board_view import listed
from services.tickets.web.policy_form.pipeline_sheet import MODES
from services.tickets.web.policy_form.sheet import FieldGroup, PolicyField, PolicySheet, SheetSection
from services.tickets.web.policy_form.subscriber_fields import who
from services.tickets.web.policy_form.values import first_stage, time_of_day, words_of
from shared.policy import ClockPolicy, Policy, SilenceRule, StageTitles
from shared.policy.numbers import decimal

ADDRESS = "/policy/shared"


def shared_sheet(policy: Policy) -> PolicySheet:
    """The form as the policy has it."""
    own = FieldGroup("", _own(policy), "")
    return PolicySheet(
        "What all pipelines share",
        ADDRESS,
        [SheetSection("Times", (), [own]), _clocks(policy), _silence(policy), _pipelines(policy)],
    )


def _own(policy: Policy) -> list[PolicyField]:
    return [
        PolicyField("timezone", ("timezone",), "Time zone of days and mails", policy.timezone, "as Europe/Berlin"),
        PolicyField(
            "lateness",
            ("lateness",),
            "How far back late events may change what was found",
            policy.lateness.text,
            "as 7d",
        ),
        PolicyField(
            "reopen_within",
            ("reopen_within",),
            "A problem that returns reopens its ticket within",
            policy.reopen_within.text,
            "as 14d",
        ),
        PolicyField(
            "doing_limit",
            ("doing_limit",),
            "Changes of one owner that may be under way at once",
            str(policy.doing_limit),
        ),
    ]


def _clocks(policy: Policy) -> SheetSection:
    groups = [
        FieldGroup(name, _clock(f"clocks.{number}.", clock), name, f"clocks.{number}.remove", _users(policy, name))
        for number, (name, clock) in enumerate(policy.clocks.items())
    ]
    named = PolicyField("clocks.new.name", (), "Name", "", "as office")
    new = FieldGroup("Add a clock", [named, *_clock("clocks.new.", None)], None)
    return SheetSection(
        "Clocks and holidays",
        ("clocks",),
        [*groups, new],
        entries=len(groups),
        named_by=named.name,
        taken=policy.clocks,
    )


def _users(policy: Policy, clock: str) -> str:
    """Who uses the clock, in a sentence; empty: nobody."""
    titles, users = StageTitles.of(policy), list[str]()
    for key, pipeline in policy.pipelines.items():
        users += [pipeline.name] if pipeline.clock == clock else []
        users += [f"{titles.title(key, one.id)} of {pipeline.name}" for one in pipeline.stages if one.clock == clock]
    return f"It is the clock of {listed(users)}: choose another one there first." if users else ""


def _clock(prefix: str, clock: ClockPolicy | None) -> list[PolicyField]:
    needed = clock is not None
    hours = ", ".join(f"{time_of_day(begin)}-{time_of_day(end)}" for begin, end in clock.hours) if clock else ""
    holidays = ", ".join(day.isoformat() for day in sorted(clock.holidays)) if clock else ""
    return [
        PolicyField(
            f"{prefix}timezone",
            ("timezone",),
            "Time zone",
            clock.timezone if clock else "",
            "as Europe/Berlin",
            is_needed=needed,
        ),
        PolicyField(
            f"{prefix}days",
            ("days",),
            "Working days",
            ", ".join(clock.days) if clock else "",
            "as mon, tue, wed, thu, fri",
            is_needed=needed,
            read=words_of,
        ),
        PolicyField(
            f"{prefix}hours",
            ("hours",),
            "Working hours",
            hours,
            "as 09:00-12:30, 13:00-17:30",
            is_needed=needed,
            read=words_of,
        ),
        PolicyField(
            f"{prefix}holidays", ("holidays",), "Holidays", holidays, "as 2026-12-25, 2026-12-26", read=words_of
        ),
    ]


def _silence(policy: Policy) -> SheetSection:
    groups = [
        FieldGroup(
            "Every other source" if rule.source is None else rule.source,
            _silent(f"silence.{number}.", rule),
            number,
            f"silence.{number}.remove",
        )
        for number, rule in enumerate(policy.silence)
    ]
    new = FieldGroup("Add a rule", _silent("silence.new.", None), None)
    return SheetSection("Silent sources", ("silence",), [*groups, new], is_list=True, entries=len(groups))


def _silent(prefix: str, rule: SilenceRule | None) -> list[PolicyField]:
    modes = MODES if rule else {"": "choose", **MODES}
    return [
        PolicyField(
            f"{prefix}source", ("source",), "Source", (rule.source if rule else "") or "", "empty: every other source"
        ),
        PolicyField(
            f"{prefix}budget",
            ("budget",),
            "Openings a quarter by chance",
            decimal(rule.budget) if rule else "",
            "as 0.1",
        ),
        PolicyField(f"{prefix}mode", ("mode",), "The rule", rule.mode.value if rule else "", choices=modes),
    ]


def _pipelines(policy: Policy) -> SheetSection:
    """No fields of those that are there: each has a form of its own."""
    key = PolicyField("pipelines.new.key", (), "The CRM's id or name", "")
    fields = [
        key,
        PolicyField("pipelines.new.name", ("name",), "Name of the pipeline", ""),
        *(
            replace(one, key=("owner", *one.key), label=f"Owner: {one.label.lower()}")
            for one in who("pipelines.new.owner.", None)
        ),
        PolicyField(
            "pipelines.new.stages",
            ("stages",),
            "First stage: the CRM's id or name",
            "",
            "Its form, once it is in force, has the others, and its rules.",
            read=first_stage,
        ),
    ]
    return SheetSection(
        "Pipelines",
        ("pipelines",),
        [FieldGroup("Add a pipeline", fields, None)],
        entries=len(policy.pipelines),
        named_by=key.name,
        taken=policy.pipelines,
    )
