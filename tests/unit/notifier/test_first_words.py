"""What a mail begins with, and when it says that its problem was found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from tests.unit.notifier.test_compose import mail, part


def test_a_problem_of_weekly_charts_says_when_it_was_found_without_a_clock_time() -> None:
    """Opened and cleared at midnight from Sunday to Monday in Berlin."""
    monday = datetime(2026, 3, 1, 23, tzinfo=UTC)
    later = ProblemInterval(opened_at=monday, cleared_at=monday + timedelta(weeks=3), peak=95)
    weekly = {"kind": "shift", "key": "shift/new//throughput", "stage": None, "stage_name": None, "evidence": None}

    for kind in ("plain", "html"):
        found = part(mail(**weekly, problem=later.model_copy(update={"cleared_at": None})), kind)
        assert "Found at the end of the week of 23 February." in found
        assert "It began" not in found
        assert "00:00" not in found
        over = part(mail(NoticeReason.CLEARED, seq=2, **weekly, problem=later), kind)
        assert "Found at the end of the week of 23 February, over at the end of the week of 16 March." in over


def test_a_source_was_quiet_before_that_was_noticed() -> None:
    silent = {"kind": "silence", "key": "silence/crm", "source": "crm", "stage": None, "stage_name": None}

    for kind in ("plain", "html"):
        found = part(mail(**silent, evidence=None), kind)
        assert "It was noticed on Monday 2 March, 10:00." in found
        assert "It began" not in found


def test_a_first_mail_begins_with_the_sentence() -> None:
    assert part(mail(), "plain").startswith("12 deals, usually 3, have been in Proposal")
    assert part(mail(NoticeReason.REOPENED, seq=2), "plain").startswith("The problem has come back.")
