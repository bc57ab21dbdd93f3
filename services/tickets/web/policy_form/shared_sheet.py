"""The form of what all pipelines share: times, clocks, silent sources."""

from __future__ import annotations

from services.tickets.web.policy_form.pipeline_sheet import MODES
from services.tickets.web.policy_form.sheet import FieldGroup, PolicyField, PolicySheet, SheetSection
from shared.policy import ClockPolicy, Policy, SilenceRule
from shared.policy.numbers import decimal

ADDRESS = "/policy/shared"


def shared_sheet(policy: Policy) -> PolicySheet:
    """The form as the policy has it."""
    own = FieldGroup("", _own(policy), "")
    return PolicySheet(
        "What all pipelines share",
        ADDRESS,
        [SheetSection("Times", (), [own]), _clocks(policy), _silence(policy)],
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
        FieldGroup(name, _clock(f"clocks.{number}.", clock), name)
        for number, (name, clock) in enumerate(policy.clocks.items())
    ]
    named = PolicyField("clocks.new.name", (), "Name", "", "as office")
    new = FieldGroup("Add a clock", [named, *_clock("clocks.new.", None)], None)
    return SheetSection("Clocks and holidays", ("clocks",), [*groups, new], entries=len(groups), named_by=named.name)


def _clock(prefix: str, clock: ClockPolicy | None) -> list[PolicyField]:
    needed = clock is not None
    hours = ", ".join(f"{_time(begin)}-{_time(end)}" for begin, end in clock.hours) if clock else ""
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
            is_list=True,
        ),
        PolicyField(
            f"{prefix}hours",
            ("hours",),
            "Working hours",
            hours,
            "as 09:00-12:30, 13:00-17:30",
            is_needed=needed,
            is_list=True,
        ),
        PolicyField(
            f"{prefix}holidays", ("holidays",), "Holidays", holidays, "as 2026-12-25, 2026-12-26", is_list=True
        ),
    ]


def _time(seconds: int) -> str:
    """`09:30`, as the policy writes it."""
    text = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


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
