"""Both readers of Salesforce's Outbound Messages, side by side."""

from __future__ import annotations

from shared.connectors.salesforce.outbound_message import OutboundMessage, match_message, parse_message


def meant(message: OutboundMessage) -> object:
    """All but the text of the parts."""
    return message.organization, message.url, [part[:3] for part in message.parts]


def agree(body: bytes) -> None:
    """The patterns read nothing, or what the parser reads."""
    if (message := match_message(body)) is not None:
        assert meant(message) == meant(parse_message(body))
