"""Whatever happens to a ticket and whenever, its reader's mails keep their distance and the quiet hours, and say all.

A model of the queue: one notice waits at most, mails go out when they are due.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.decide import Decision, NoticeHistory, WaitingNotice, decide, report
from services.notifier.domain.quiet import end_of_quiet
from services.notifier.domain.readers import MailReader
from services.notifier.domain.reasons import ABOUT_PROBLEM, REASONS
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange
from shared.policy import QuietHours

HOUR = timedelta(hours=1)
NIGHT = QuietHours.model_validate({"from": "18:00", "to": "08:00"})
WEEKEND = QuietHours.model_validate({"from": "00:00", "to": "24:00", "days": ["sat", "sun"]})
# Both changes of daylight saving, and a plain week.
STARTS = (
    datetime(2026, 3, 27, 12, tzinfo=UTC),
    datetime(2026, 10, 23, 12, tzinfo=UTC),
    datetime(2026, 6, 3, tzinfo=UTC),
)
PROBLEM = (TicketChange.OPENED, TicketChange.GREW, TicketChange.CLEARED, TicketChange.REOPENED)
RESULTS = (TicketChange.VERDICT, TicketChange.HELD, TicketChange.DECAYED)
OCCASIONS = (NoticeReason.PLAN_DUE, NoticeReason.ESCALATED)
Happening = TicketChange | NoticeReason


class ReaderModel:
    """One ticket and one reader. `sent`: when each mail went out, its reason, and what it covers."""

    def __init__(self, reader: MailReader) -> None:
        self._reader = reader
        self.sent: list[tuple[datetime, NoticeReason, list[Happening]]] = []
        self.waiting: tuple[datetime, NoticeReason, list[Happening]] | None = None

    def pass_until(self, now: datetime) -> None:
        """Send what falls due; the sender holds mails back in quiet hours."""
        if self.waiting is None:
            return
        due = self._reader.after_quiet(self.waiting[0], [self.waiting[1]])
        if due <= now:
            self.sent.append((due, *self.waiting[1:]))
            self.waiting = None

    def happens(self, what: Happening, now: datetime) -> None:
        self.pass_until(now)
        decision = self._decided(what, now)
        if decision is None or decision.reason is None:
            return
        covered = [*self.waiting[2], what] if self.waiting and decision.into else [what]
        due = self.waiting[0] if self.waiting and decision.into else decision.due
        self.waiting = (due, decision.reason, covered)

    def _decided(self, what: Happening, now: datetime) -> Decision | None:
        waiting = [WaitingNotice(1, self.waiting[1])] if self.waiting else []
        problem = [reason for _, reason, _ in self.sent if reason in ABOUT_PROBLEM]
        history = NoticeHistory(waiting, problem[-1] if problem else None, self.sent[-1][0] if self.sent else None)
        if isinstance(what, NoticeReason):
            return report(what, now, history, HOUR)
        return decide(what, REASONS[what], now, history, HOUR)


@pytest.mark.parametrize("quiet", [(), (NIGHT,), (NIGHT, WEEKEND)])
@given(
    start=st.sampled_from(STARTS),
    happenings=st.lists(
        st.tuples(st.sampled_from((*PROBLEM, *RESULTS, *OCCASIONS)), st.integers(0, 600)), min_size=1, max_size=25
    ),
)
def test_mails_keep_their_distance_and_quiet_hours_and_report_all(
    quiet: tuple[QuietHours, ...], start: datetime, happenings: list[tuple[Happening, int]]
) -> None:
    reader = MailReader("Head", "head@sales.example", "Europe/Berlin", quiet)
    model, now = ReaderModel(reader), start
    for what, minutes in happenings:
        now += timedelta(minutes=minutes)
        model.happens(what, now)
    model.pass_until(now + timedelta(days=9))

    times = [at for at, _, _ in model.sent]
    assert model.waiting is None
    assert [what for _, _, covered in model.sent for what in covered] == [what for what, _ in happenings]
    assert all(later - earlier >= HOUR for earlier, later in pairwise(times))
    assert all(end_of_quiet(quiet, reader.zone, at) == at for at in times)
    assert times[0] == end_of_quiet(quiet, reader.zone, start + timedelta(minutes=happenings[0][1]))


@given(st.permutations((NoticeReason.PLAN_DUE, NoticeReason.ESCALATED, TicketChange.GREW, TicketChange.VERDICT)))
def test_the_verdict_names_the_mail_that_has_it(happenings: list[Happening]) -> None:
    model = ReaderModel(MailReader("Head", "head@sales.example", "UTC", (NIGHT,)))
    for what in happenings:
        model.happens(what, datetime(2026, 3, 4, 20, tzinfo=UTC))
    model.pass_until(datetime(2026, 3, 6, tzinfo=UTC))

    ((_, reason, covered),) = model.sent
    assert reason is NoticeReason.VERDICT
    assert covered == list(happenings)
