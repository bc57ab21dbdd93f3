"""Mails carry a link at which their ticket is read without sign-in, where there is a key."""

from __future__ import annotations

import email
from email.policy import default

from services.notifier.domain.mail import Mail, Notice
from services.notifier.render.compose import Composer
from shared.contracts.notices import NoticeReason
from shared.runtime.read_links import PATH, ReadLinks, ticket_mark
from tests.support.notices import HEAD, LINKS
from tests.support.problems import day, policy, ticket_event
from tests.unit.notifier.test_compose import written


def test_both_parts_link_to_the_ticket_for_reading_where_there_is_a_key() -> None:
    links = ReadLinks((b"k" * 32,))
    facts = ticket_event().data
    written_at = Mail(1, "<1@x.example>", "Head", HEAD, day(0), 1, day(1), (Notice(1, 1, NoticeReason.OPENED, facts),))

    def parts_of(read_links: ReadLinks) -> list[str]:
        made = Composer("andon@x.example", "x.example", policy(), LINKS, read_links).compose(written_at)
        sent = email.message_from_bytes(made.as_bytes(), policy=default)
        return [written(sent, kind) for kind in ("plain", "html")]  # type: ignore[arg-type, unused-ignore]

    pages = facts.url.partition("/tickets/")[0]
    address = pages + PATH + links.token(facts.ticket, ticket_mark(facts.key, facts.opened_at), day(0))
    assert all(address in one for one in parts_of(links))
    assert not any(PATH in one for one in parts_of(ReadLinks()))
