"""Which answers of mail servers are final: only a refused recipient or content. All others wait."""

from __future__ import annotations

import pytest

from services.notifier.delivery.answers import ServerAnswer, Step, is_final

RECIPIENT_REFUSED = [
    (550, "No such user here"),
    (550, "5.1.1 <head@sales.example>: Recipient address rejected: User unknown in virtual mailbox table"),
    (550, "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking it"),
    (550, "5.1.1 <head@sales.example>: Recipient address rejected: User unknown in relay recipient table"),
    (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
    (550, "5.2.1 The email account that you tried to reach is disabled"),
    (551, "User not local; please try <head@other.example>"),
    (553, "Requested action not taken: mailbox name invalid"),
    (556, "5.1.10 Domain does not accept mail"),
    (550, "<full.sender@relay.example> unknown user account"),
    (550, "Requested action not taken: mailbox unavailable"),
    (552, "5.3.4 Message size exceeds fixed limit"),
]
CONTENT_REFUSED = [
    (554, "Message refused"),
    (550, "no such user"),
    (554, "5.6.0 Message contains invalid header"),
    (552, "5.2.3 Your message exceeded Google's message size limits"),
    (552, "Message too large"),
    (550, "5.1.1 unknown user"),
]
# Texts of real servers. What they complain of is the sender, the host, the sign-in, a full mailbox, or our speed.
OF_SETTINGS = [
    (550, "5.7.1 Unable to relay for head@sales.example"),
    (554, "5.7.1 <head@sales.example>: Relay access denied"),
    (550, "relay not permitted"),
    (550, "Relaying denied"),
    (513, "Relaying denied."),
    (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (550, "Delivery is not allowed to this address."),
    (550, "5.7.1 Client does not have permissions to send as this sender"),
    (550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),
    (550, "5.1.8 <andon@x.example>: Sender address rejected: Domain not found"),
    (550, "5.1.7 <andon@x.example>: Sender address rejected: undeliverable address"),
    (550, "5.1.0 <andon@x.example>: Sender address rejected: User unknown in local recipient table"),
    (553, "5.7.1 <andon@x.example>: Sender address rejected: not owned by user robot"),
    (550, "Sender verify failed"),
    (504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
    (550, "5.7.1 <localhost>: Helo command rejected: Host not found"),
    (550, "Invalid HELO name (See RFC2821 4.1.1.1)"),
    (530, "5.7.0 Authentication Required"),
    (530, "5.7.0 Must issue a STARTTLS command first"),
    (550, "5.7.1 Authentication required"),
    (550, "authentication is required for relay"),
    (503, "5.5.4 Error: send AUTH command first"),
    (554, "5.7.1 Service unavailable; Client host [5.1.1.20] blocked using zen.spamhaus.org"),
    (550, "Your IP 5.1.1.1 is on our blacklist"),
    (550, "SPF check failed"),
    (550, "Message rejected for policy reasons"),
    (550, "5.7.26 This mail has been blocked because the sender is unauthenticated"),
    (554, "5.7.9 Message not accepted for policy reasons"),
    (552, "5.2.2 The email account that you tried to reach is over quota"),
    (552, "Requested mail action aborted: exceeded storage allocation"),
    (550, "Mailbox is full"),
    (550, "5.4.1 Recipient address rejected: Access denied"),
    (550, "5.5.1 Invalid command"),
    (550, "4.2.2 Mailbox full"),
    (500, "5.5.1 unrecognized command"),
    (501, "5.1.7 Bad sender address syntax"),
    (501, "syntax error in parameters"),
    (502, "not implemented"),
    (503, "bad sequence of commands"),
    (504, "parameter not implemented"),
    (521, "server does not accept mail"),
    (534, "5.7.9 application-specific password required"),
    (535, "5.7.8 authentication failed"),
    (538, "encryption required"),
    (555, "5.5.4 unsupported option"),
    (571, "delivery not authorized"),
    (599, "anything"),
    (600, "anything"),
    (999, "anything"),
    (0, ""),
    (-1, "Malformed SMTP response line"),
    (250, "5.1.1 not really"),
    (421, "5.1.1 closing"),
    (450, "5.1.1 mailbox unavailable"),
]


@pytest.mark.parametrize(("code", "text"), RECIPIENT_REFUSED)
def test_a_refused_recipient_is_final(code: int, text: str) -> None:
    assert is_final(ServerAnswer(Step.RECIPIENT, code, text))


@pytest.mark.parametrize(("code", "text"), CONTENT_REFUSED)
def test_refused_content_is_final(code: int, text: str) -> None:
    assert is_final(ServerAnswer(Step.CONTENT, code, text))


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize(("code", "text"), OF_SETTINGS)
def test_a_refusal_of_our_settings_is_not_final(step: Step, code: int, text: str) -> None:
    assert not is_final(ServerAnswer(step, code, text))


@pytest.mark.parametrize("step", [Step.CONNECT, Step.SENDER, Step.DATA])
@pytest.mark.parametrize(("code", "text"), [(550, "no"), (554, "no"), (550, "5.1.1 unknown"), (554, "5.6.0 no")])
def test_before_the_content_and_the_recipient_nothing_is_final(step: Step, code: int, text: str) -> None:
    assert not is_final(ServerAnswer(step, code, text))


def test_a_mail_over_the_size_limit_is_final_where_the_server_says_so_first() -> None:
    assert is_final(ServerAnswer(Step.SENDER, 552, "5.3.4 Message size exceeds fixed limit"))
    assert not is_final(ServerAnswer(Step.SENDER, 552, "exceeded storage allocation"))
