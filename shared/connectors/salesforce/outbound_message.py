"""Reads Salesforce's Outbound Messages: states of records, in SOAP.

Messages in exactly Salesforce's own layout are read by regular expressions, in a third of the time of an XML parser;
all other XML is parsed. A message that both can read gives the same result.

Source: Salesforce's SOAP API guide, "Outbound Messaging".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from xml.sax.saxutils import unescape

from lxml import etree

from shared.connectors.base.fields import REPLACEMENT, InvalidField, quoted

OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
OBJECT = "{urn:sobject.enterprise.soap.sforce.com}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    encoding="utf-8",
)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCE = re.compile("&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,8}));")
_NO_SESSION = '<SessionId xsi:nil="true"/>'
# Characters of a head that is kept in memory.
_MOST_KEPT = 2000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Text that XML neither forbids nor changes, without blanks at its ends. Possessive quantifiers (`*+`) never backtrack,
# so that the time is linear in the length.
_PLAIN = r"[^<>&\x00-\x08\x0b-\x1f\ufffe\uffff]*+"
_WORDS = rf"(?![\s<]){_PLAIN}(?<!\s)"
_TEXT = rf"(?![\s<]){_PLAIN}(?:&(?:amp|lt|gt|quot|apos);{_PLAIN})*+(?<!\s)"
_ENTITIES = {"&quot;": '"', "&apos;": "'"}
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,99}+"
# Between elements: nothing, or a line break with indentation.
_S = r"[ \n]*+"
_HEAD = re.compile(
    rf'<\?xml version="1\.0" encoding="UTF-8"\?>{_S}'
    r'<soapenv:Envelope xmlns:soapenv="http://schemas\.xmlsoap\.org/soap/envelope/" '
    r'xmlns:xsd="http://www\.w3\.org/2001/XMLSchema" xmlns:xsi="http://www\.w3\.org/2001/XMLSchema-instance">'
    rf'{_S}<soapenv:Body>{_S}<notifications xmlns="http://soap\.sforce\.com/2005/09/outbound">'
    rf"{_S}<OrganizationId>({_WORDS})</OrganizationId>{_S}<ActionId>{_WORDS}</ActionId>"
    rf'{_S}<SessionId(?: xsi:nil="true"/>|>{_PLAIN}</SessionId>)'
    rf"{_S}<EnterpriseUrl>({_WORDS})</EnterpriseUrl>{_S}<PartnerUrl>{_WORDS}</PartnerUrl>{_S}"
)
_PART = re.compile(
    rf"<Notification>{_S}<Id>({_WORDS})</Id>"
    rf'{_S}<sObject xsi:type="sf:({_NAME})" xmlns:sf="urn:sobject\.enterprise\.soap\.sforce\.com">'
    rf"({_S}(?:<sf:({_NAME})>{_TEXT}</sf:\4>{_S})*+)</sObject>{_S}</Notification>{_S}"
)
_FIELD = re.compile(rf"<sf:({_NAME})>([^<]++)<")
_TAIL = re.compile(rf"</notifications>{_S}</soapenv:Body>{_S}</soapenv:Envelope>{_S}")


class OutboundPart(NamedTuple):
    """One notification: its id, the record's type and fields (empty text is None), and its XML.

    `fields` is empty if the record was deleted before the message was sent.
    """

    id: str
    type: str
    fields: dict[str, str | None]
    xml: str


class OutboundMessage(NamedTuple):
    """One Outbound Message; `organization` and `url` are empty if they are missing."""

    organization: str
    url: str
    parts: list[OutboundPart]


def read_message(body: bytes) -> OutboundMessage:
    """The message of a body; raises InvalidField."""
    return match_message(body) or parse_message(body)


def match_message(body: bytes) -> OutboundMessage | None:
    """A message in exactly Salesforce's own layout; None if the layout differs."""
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        return None
    at = text.find("<Notification>")
    if at < 0:
        at = text.find("</notifications>")
    head = text[: max(at, 0)]
    origin = _known_head(head) if may_be_kept(head) else _read_head(head)
    if origin is None:
        return None
    parts = []
    while part := _PART.match(text, at):
        parts.append(_matched_part(part))
        at = part.end()
    return OutboundMessage(*origin, parts) if _TAIL.fullmatch(text, at) else None


def may_be_kept(head: str) -> bool:
    """Whether a head may stay in memory: a session id is a secret."""
    return len(head) <= _MOST_KEPT and _NO_SESSION in head and head.count("SessionId") == 1


def _read_head(head: str) -> tuple[str, str] | None:
    """Organization and URL; None if the layout differs."""
    found = _HEAD.fullmatch(head)
    return None if found is None else (found[1], found[2])


# All messages of one workflow have the same head.
_known_head = lru_cache(256)(_read_head)


def _matched_part(found: re.Match[str]) -> OutboundPart:
    notification_id, kind, record, _ = found.groups()
    fields = dict(_FIELD.findall(record))
    if "&" in record:
        fields = {name: unescape(value, _ENTITIES) for name, value in fields.items()}
    return OutboundPart(notification_id, kind, fields, found[0])


def parse_message(body: bytes) -> OutboundMessage:
    """A message in any XML; raises InvalidField.

    Resolves no entities, fetches nothing, and refuses any DTD.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        try:
            envelope = etree.fromstring(body, _PARSER)
        except etree.XMLSyntaxError:
            # A character that XML forbids must not cost the other notifications.
            envelope = etree.fromstring(_with_replacements(body), _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        why = f"{type(error).__name__}: {quoted(str(error))}"
        raise InvalidField(f"body: not XML in UTF-8 ({why}); an Outbound Message is expected") from None
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise InvalidField("body: XML with a DTD is not accepted; an Outbound Message has none")
    message = next(envelope.iter(f"{OUTBOUND}notifications"), None)
    if message is None:
        raise InvalidField("body: no notifications element; an Outbound Message is expected")
    parts = [_parsed_part(part) for part in message.iterchildren(f"{OUTBOUND}Notification")]
    return OutboundMessage(_text(message, "OrganizationId"), _text(message, "EnterpriseUrl"), parts)


def _with_replacements(body: bytes) -> bytes:
    """The body with U+FFFD for bytes that are not UTF-8 and characters or references that XML forbids."""
    text = _FORBIDDEN.sub(REPLACEMENT, body.decode("utf-8", "replace"))
    return _REFERENCE.sub(_legal_reference, text).encode()


def _legal_reference(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    legal = code <= 0x10FFFF and code not in range(0xD800, 0xE000) and not _FORBIDDEN.match(chr(code))
    return match[0] if legal else REPLACEMENT


def without_sessions(body: bytes) -> bytes:
    """The message without session ids, in any form that XML allows; a body that is not XML ends before the first."""
    try:
        envelope = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return body[: body.index(b"SessionId")]
    for element in envelope.iter("{*}SessionId"):
        element.clear()
    return bytes(etree.tostring(envelope))


def _parsed_part(notification: etree._Element) -> OutboundPart:
    record = next(notification.iterchildren(f"{OUTBOUND}sObject"), None)
    fields: dict[str, str | None] = {}
    kind = ""
    if record is not None:
        fields = {field.tag.removeprefix(OBJECT): (field.text or "").strip() or None for field in record}
        kind = record.get(TYPE, "").rpartition(":")[2]
    return OutboundPart(_text(notification, "Id"), kind, fields, etree.tostring(notification, encoding="unicode"))


def _text(parent: etree._Element, name: str) -> str:
    child = next(parent.iterchildren(f"{OUTBOUND}{name}"), None)
    return "" if child is None else (child.text or "").strip()
