"""The fields of somebody who gets mails: the owner of a pipeline, and each of its recipients."""

from __future__ import annotations

from services.tickets.web.policy_form.sheet import PolicyField
from services.tickets.web.policy_form.values import (
    notices_of,
    notices_text,
    quiet_of,
    quiet_text,
    report_of,
    report_text,
)
from shared.contracts.notices import CHOICES
from shared.policy import Subscriber

_HELD_BACK = {"all": "all mails", "all-but-urgent": "all mails but urgent ones"}


def who(prefix: str, one: Subscriber | None) -> list[PolicyField]:
    """Name and address; None: of one that can be added."""
    needed = one is not None
    return [
        PolicyField(
            f"{prefix}name", ("name",), "Name", one.name if one else "", "A role, or a person", is_needed=needed
        ),
        PolicyField(
            f"{prefix}mail",
            ("mail",),
            "Mail address",
            one.mail if one else "",
            "as sales@example.org",
            is_needed=needed,
        ),
    ]


def habits(prefix: str, one: Subscriber | None) -> list[PolicyField]:
    """What mails are about, and when they come."""
    return [
        PolicyField(
            f"{prefix}notices",
            ("notices",),
            "Mails about",
            notices_text(one.notices) if one else "",
            f"some of {', '.join(CHOICES)}; none; empty: all but escalated",
            read=notices_of,
        ),
        PolicyField(
            f"{prefix}timezone",
            ("timezone",),
            "Time zone",
            (one.timezone if one else "") or "",
            "as Europe/Berlin; empty: that of the policy",
        ),
        *_quiet_hours(prefix, one),
        PolicyField(
            f"{prefix}report",
            ("report",),
            "Weekly report",
            report_text(one.report) if one else "",
            "as mon 08:00",
            read=report_of,
        ),
    ]


def _quiet_hours(prefix: str, one: Subscriber | None) -> list[PolicyField]:
    return [
        PolicyField(
            f"{prefix}quiet",
            ("quiet",),
            "Quiet hours",
            quiet_text(one.quiet) if one else "",
            "as 18:00-08:00, sat sun 08:00-18:00; empty: none",
            read=quiet_of,
        ),
        PolicyField(
            f"{prefix}quiet_for",
            ("quiet_for",),
            "Quiet hours hold back",
            one.quiet_for if one else "all",
            choices=_HELD_BACK,
        ),
    ]
