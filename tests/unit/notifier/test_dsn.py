"""Notifications as mail servers write them: which say that an address takes no mails, and which do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.bounces.dsn import DsnAction, parse_dsn

ID = "<andon.ticket-1-1-0a1b2c3d@andon.example>"


def dsn(status: str, kind: str = "message/delivery-status", original: str = "message/rfc822") -> bytes:
    """A notification with these fields of recipients."""
    about = "Reporting-MTA: dns; mx.example\r\nArrival-Date: Mon, 2 Mar 2026 10:00:00 +0100\r\n\r\n"
    parts = [
        "Content-Type: text/plain\r\n\r\nThis is the mail system. Your message could not be delivered.\r\n",
        f"Content-Type: {kind}\r\n\r\n{about}{status}\r\n",
        f"Content-Type: {original}\r\n\r\nFrom: Andon <andon@andon.example>\r\nMessage-ID: {ID}\r\nSubject: x\r\n\r\n",
    ]
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    head = (
        "From: MAILER-DAEMON@mx.example\r\nTo: bounce+1-ab@andon.example\r\nSubject: Undelivered\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    )
    return (head + body).encode()


def fields(action: str, status: str, words: str, recipient: str = "rfc822; head@sales.example") -> str:
    return (
        f"Final-Recipient: {recipient}\r\nOriginal-Recipient: rfc822;head@sales.example\r\nAction: {action}\r\n"
        f"Status: {status}\r\nRemote-MTA: dns; mx.sales.example\r\nDiagnostic-Code: {words}\r\n"
    )


@pytest.mark.parametrize(
    ("action", "status", "words", "is_permanent"),
    [
        # Postfix, Exim, Exchange Online, Gmail, qmail's successors, sendmail.
        ("failed", "5.1.1", "smtp; 550 5.1.1 <head@sales.example>: Recipient address rejected: User unknown", True),
        ("failed", "5.0.0", "smtp; 550 Unrouteable address", True),
        ("failed", "5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP", True),
        ("failed", "5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist.", True),
        ("failed", "5.2.1", "smtp; 550 5.2.1 The email account that you tried to reach is disabled", True),
        ("failed", "5.1.2", "X-Postfix; Host or domain name not found. Name service error", True),
        ("FAILED", "5.1.1 (bad destination mailbox address)", "smtp; 550 no such user", True),
        ("failed", "5.0.0", "smtp; 550 5.1.1 no mailbox here by that name", True),
        (
            "failed",
            "5.1.1",
            "smtp; 550 5.1.1 <x@y>: Recipient address rejected: User unknown in relay recipient table",
            True,
        ),
        # The mailbox is full, the sender is blocked, the content is refused, the time ran out: all may pass.
        ("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full", False),
        ("failed", "5.7.1", "smtp; 550 5.7.1 blocked using zen.spamhaus.org", False),
        ("failed", "5.0.0", "smtp; 550 Message rejected: client host is in a blocklist", False),
        ("failed", "5.6.0", "smtp; 554 5.6.0 content rejected", False),
        ("failed", "5.4.7", "smtp; 550 5.4.7 delivery time expired", False),
        ("failed", "4.4.1", "X-Postfix; connect to mx.sales.example: Connection timed out", False),
        ("failed", "5.7.26", "smtp; 550 5.7.26 unauthenticated mail is not accepted (DMARC)", False),
        ("delayed", "4.2.2", "smtp; 452 4.2.2 mailbox full", False),
        ("delayed", "5.1.1", "smtp; 550 5.1.1 user unknown", False),
        ("delivered", "2.0.0", "smtp; 250 ok", False),
        ("relayed", "2.0.0", "smtp; 250 ok", False),
    ],
)
def test_only_a_bad_address_is_permanent(action: str, status: str, words: str, is_permanent: bool) -> None:
    report = parse_dsn(dsn(fields(action, status, words)))

    assert report is not None
    (found,) = report.recipients
    assert (found.recipient, found.action, found.is_permanent) == (
        "head@sales.example",
        DsnAction(action.lower()),
        is_permanent,
    )
    assert report.message_id == ID


def test_several_recipients_are_told_apart() -> None:
    both = fields("failed", "5.1.1", "smtp; 550 5.1.1 unknown") + "\r\n"
    both += fields("delivered", "2.0.0", "smtp; 250 ok", "rfc822;deputy@sales.example")

    report = parse_dsn(dsn(both))

    assert report is not None
    assert [(one.recipient, one.is_permanent) for one in report.recipients] == [
        ("head@sales.example", True),
        ("deputy@sales.example", False),
    ]


@pytest.mark.parametrize("original", ["text/rfc822-headers", "message/rfc822"])
@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
def test_all_types_of_parts_are_read(kind: str, original: str) -> None:
    report = parse_dsn(dsn(fields("failed", "5.1.1", "smtp; 550 5.1.1 unknown"), kind, original))

    assert report is not None
    assert report.message_id == ID
    assert [one.is_permanent for one in report.recipients] == [True]


def test_a_folded_diagnostic_is_one_line() -> None:
    report = parse_dsn(dsn(fields("failed", "5.1.1", "smtp; 550 5.1.1\r\n <head@sales.example>\r\n user unknown")))

    assert report is not None
    assert report.recipients[0].words == "550 5.1.1 <head@sales.example> user unknown"


OUT_OF_OFFICE = (
    b"From: head@sales.example\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\nBack on 5 May. 550 5.1.1\r\n"
)
READ_RECEIPT = (
    b'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action/MDN-sent; displayed\r\n\r\n--b--"
)


@pytest.mark.parametrize("raw", [b"", OUT_OF_OFFICE, READ_RECEIPT, b"Content-Type: multipart/report\r\n\r\nx"])
def test_other_mails_are_no_notifications(raw: bytes) -> None:
    assert parse_dsn(raw) is None


def test_a_notification_without_recipients_says_nothing() -> None:
    report = parse_dsn(dsn("X-Other: field\r\n"))

    assert report is not None
    assert report.recipients == ()


@given(cut=st.integers(0, 1200), noise=st.binary(max_size=40))
def test_no_notification_breaks_the_reader(cut: int, noise: bytes) -> None:
    raw = dsn(fields("failed", "5.1.1", "smtp; 550 5.1.1 unknown"))

    report = parse_dsn(raw[:cut] + noise + raw[cut + len(noise) :])

    assert report is None or all(one.recipient for one in report.recipients)
