"""How a field of the form writes a value of the policy that has several parts, and how it reads what is typed."""

from __future__ import annotations

from collections.abc import Sequence

from shared.policy import QuietHours, WeeklyReport
from shared.policy.parts import DAYS
from shared.runtime.yaml_edit import YamlValue

_NONE = "none"


def words_of(typed: str) -> YamlValue:
    """Several values, apart by commas or spaces."""
    return typed.replace(",", " ").split()


def notices_text(notices: Sequence[str] | None) -> str:
    """`opened, verdict`; empty for the usual ones, `none` for none."""
    return "" if notices is None else ", ".join(notices) or _NONE


def notices_of(typed: str) -> YamlValue:
    """The notices of such a text."""
    return [] if typed == _NONE else words_of(typed)


def time_of_day(seconds: int) -> str:
    """`09:30`, as the policy writes it."""
    text = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def quiet_text(quiet: Sequence[QuietHours]) -> str:
    """`18:00-08:00, sat sun 08:00-18:00`; every day where a span names none."""
    return ", ".join(
        " ".join([*(() if one.days == DAYS else one.days), f"{time_of_day(one.begin)}-{time_of_day(one.end)}"])
        for one in quiet
    )


def quiet_of(typed: str) -> YamlValue:
    """The spans of such a text; raises ValueError where one has no hours."""
    return [_span(one) for one in typed.split(",") if one.strip()]


def _span(typed: str) -> YamlValue:
    *days, hours = typed.split()
    begin, dash, end = hours.partition("-")
    if not dash:
        raise ValueError(f"{typed.strip()!r} has no hours; write for example 18:00-08:00, or sat sun 08:00-18:00")
    return {"from": begin, "to": end} | ({"days": days} if days else {})


def report_text(report: WeeklyReport) -> str:
    """`mon 08:00`"""
    return f"{report.day} {time_of_day(report.at)}"


def report_of(typed: str) -> YamlValue:
    """The report of such a text; raises ValueError."""
    day, _, at = typed.partition(" ")
    if not at:
        raise ValueError(f"{typed!r} is not a day and a time; write for example mon 08:00")
    return {"day": day, "at": at.strip()}


def first_stage(typed: str) -> YamlValue:
    """The stages of a pipeline that has one."""
    return [{"id": typed}]
