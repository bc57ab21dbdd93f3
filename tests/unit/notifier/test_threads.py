"""All mails about a ticket are one thread, by the documented rules of Gmail, Outlook and Apple Mail."""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import default

import pytest

from services.notifier.domain.mail import Mail, Notice, Thread, notice_name, subject_of
from services.notifier.domain.mail import message_id as id_of_name
from services.notifier.domain.reasons import REASONS
from services.notifier.render.compose import Composer
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketChange, TicketData
from tests.support.notices import HEAD, LINKS, id_of
from tests.support.problems import day, policy, ticket_event

Grouping = Callable[[Sequence[EmailMessage]], list[set[str]]]
DEPUTY = "deputy@sales.example"


def mail_of(facts: TicketData, thread: Thread, address: str, occasion: str | None = None) -> EmailMessage:
    """A mail about one change, as its recipient gets it."""
    reason = REASONS.get(facts.change, NoticeReason.PLAN_DUE)
    identity = id_of_name(notice_name(facts, address, occasion), "x.example")
    written = Mail(
        1, identity, "Head", address, day(0), 1, day(1), (Notice(1, facts.seq, reason, facts, thread=thread),)
    )
    raw = Composer("andon@x.example", "x.example", policy(), LINKS).compose(written).as_bytes()
    return email.message_from_bytes(raw, policy=default)  # type: ignore[return-value, unused-ignore]


def life(ticket: int, address: str = HEAD, **fields: str) -> list[EmailMessage]:
    """Mails over the life of a ticket whose stage is renamed meanwhile."""
    first = ticket_event(ticket=ticket, **fields).data
    thread = Thread(subject_of(first), id_of(first, address, "x.example"))
    renamed = {"title": "Deals wait too long in Offer", "pipeline_name": "Neugeschäft"}
    changes = (TicketChange.GREW, TicketChange.VERDICT, TicketChange.HELD, TicketChange.DECAYED, TicketChange.REOPENED)
    later = [ticket_event(change, ticket, seq, **renamed).data for seq, change in enumerate(changes, 2)]
    due = ticket_event(TicketChange.PLANNED, ticket, 9, **renamed).data
    return [
        mail_of(first, thread, address),
        *(mail_of(facts, thread, address) for facts in later),
        mail_of(due, thread, address, "plan-due 2026-03-09"),
    ]


def ids(mails: Sequence[EmailMessage]) -> set[str]:
    return {str(mail["Message-ID"]) for mail in mails}


def referenced(mail: EmailMessage) -> list[str]:
    return re.findall(r"<[^<>\s]+>", f"{mail['References'] or ''} {mail['In-Reply-To'] or ''}")


def bare_subject(mail: EmailMessage) -> str:
    """Without the prefixes of replies."""
    return re.sub(r"^((re|fwd?|aw|wg)\s*:\s*)+", "", str(mail["Subject"]), flags=re.IGNORECASE).strip()


def _joined(
    mails: Sequence[EmailMessage], belongs: Callable[[EmailMessage, list[EmailMessage]], bool]
) -> list[set[str]]:
    threads: list[list[EmailMessage]] = []
    for mail in mails:
        found = next((thread for thread in threads if belongs(mail, thread)), None)
        if found is None:
            threads.append([mail])
        else:
            found.append(mail)
    return [ids(thread) for thread in threads]


def gmail(mails: Sequence[EmailMessage]) -> list[set[str]]:
    """Same subject, and References to the Message-ID of a mail in the thread, or to the same one."""

    def belongs(mail: EmailMessage, thread: list[EmailMessage]) -> bool:
        known = ids(thread) | {one for other in thread for one in referenced(other)}
        same_subject = bare_subject(mail) == bare_subject(thread[0])
        return same_subject and bool(known & {str(mail["Message-ID"]), *referenced(mail)})

    return _joined(mails, belongs)


def outlook(mails: Sequence[EmailMessage]) -> list[set[str]]:
    """The GUID in Thread-Index (MS-OXOMSG, conversation id); without one, a digest of the topic."""

    def conversation(mail: EmailMessage) -> bytes:
        index = base64.b64decode(str(mail["Thread-Index"] or ""))
        assert len(index) in (22, 27)
        assert index[0] == 1
        return index[6:22]

    def belongs(mail: EmailMessage, thread: list[EmailMessage]) -> bool:
        assert str(mail["Thread-Topic"]) == bare_subject(mail)
        return conversation(mail) == conversation(thread[0])

    return _joined(mails, belongs)


def outlook_without_index(mails: Sequence[EmailMessage]) -> list[set[str]]:
    """Where a gateway removed Thread-Index: In-Reply-To a mail of the conversation, with the same topic."""

    def belongs(mail: EmailMessage, thread: list[EmailMessage]) -> bool:
        known = ids(thread) | {str(other["In-Reply-To"]) for other in thread if other["In-Reply-To"]}
        return str(mail["Thread-Topic"]) == str(thread[0]["Thread-Topic"]) and str(mail["In-Reply-To"]) in known

    return _joined(mails, belongs)


def apple_mail(mails: Sequence[EmailMessage]) -> list[set[str]]:
    """References or In-Reply-To a mail in the thread, or the same one; the subject does not count."""

    def belongs(mail: EmailMessage, thread: list[EmailMessage]) -> bool:
        known = ids(thread) | {one for other in thread for one in referenced(other)}
        return bool(known & {str(mail["Message-ID"]), *referenced(mail)})

    return _joined(mails, belongs)


PROGRAMS: list[Grouping] = [gmail, outlook, outlook_without_index, apple_mail]


@pytest.mark.parametrize("group", PROGRAMS)
def test_two_tickets_are_two_threads(group: Grouping) -> None:
    one, other = life(1), life(2, stage_name="Legal", title="Deals wait too long in Legal")
    mixed = [mail for pair in zip(one, other, strict=True) for mail in pair]

    assert group(mixed) == [ids(one), ids(other)]


@pytest.mark.parametrize("group", PROGRAMS)
def test_tickets_of_one_problem_are_two_threads(group: Grouping) -> None:
    """The same problem again, months later: the subject is the same."""
    one, other = life(1), life(2)

    assert group([*one, *other]) == [ids(one), ids(other)]


@pytest.mark.parametrize("group", PROGRAMS)
def test_a_thread_holds_where_its_first_mail_was_lost(group: Grouping) -> None:
    _, *later = life(1)

    assert group(later) == [ids(later)]


@pytest.mark.parametrize("group", PROGRAMS)
def test_each_recipient_has_a_thread(group: Grouping) -> None:
    """A mailbox that gets the mails of both, as by a rule that forwards them, keeps them apart."""
    mine, theirs = life(1), life(1, DEPUTY)

    assert not ids(mine) & ids(theirs)
    assert group([*mine, *theirs]) == [ids(mine), ids(theirs)]
