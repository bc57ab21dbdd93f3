"""The words of a mail, and nothing of who wrote it: no header, no quoted mail, no signature, not their name or address.

Works on any bytes. What stands here of a person is in memory only, to be removed from the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import getaddresses
from html.parser import HTMLParser
from itertools import permutations

from services.tickets.cord.bounded_mail import parse_mail
from services.tickets.cord.pull import MAX_DEAL, MAX_SEEN, Pull
from services.tickets.cord.typed_text import plain_line, plain_text

# Text that is looked at, in bytes of the body. The rest of a mail is pictures and quoted mails.
MAX_BODY = 64 * 1024
_QUOTE = re.compile(r"^\s*(>|\|\s)")
# From here on it is another mail, or what a program added. Outlook, Gmail, Apple Mail, Thunderbird; in some languages.
_END = re.compile(
    r"^(--\s*$|_{10,}\s*$"
    r"|-{3,}.*(original|ursprüngliche|weitergeleitete|forwarded|message d'origine|mensaje original).*-{3,}"
    r"|(on|am|le|el|il|op)\b.{6,200}(wrote|schrieb.*|a écrit|escribió|ha scritto|schreef)\s*:\s*$"
    r"|(from|von|de|da|van)\s*:.*@"
    r"|(sent from my|get outlook for|von meinem .{1,30} gesendet|envoyé de mon|enviado desde mi)\b)",
    re.IGNORECASE,
)
# A closing phrase alone in its line: names and telephone numbers follow.
_SIGN_OFF = re.compile(
    r"^((best|kind|warm|many|mit|viele|liebe|schöne|beste|freundliche[nr]?|herzliche|cordialement|bien|un|met)\b.{0,40}"
    r"|(regards|cheers|thanks|thank you|thx|sincerely|yours|mfg|vg|lg|gruß|grüße|gruss|danke|merci|saludos|gracias"
    r"|atentamente|groeten)\b.{0,20})"
    r"[,.!]?\s*$",
    re.IGNORECASE,
)
# Words of a closing phrase, of which a line must hold one to be such.
_CLOSING = re.compile(
    r"\b(regards|wishes|thanks|greetings|grüße|grüßen|gruß|gruss|grüssen|gruessen|dank|cordialement|salutations|saludos"
    r"|saludo|groet|groeten|cheers|thank you|thx|sincerely|yours|mfg|vg|lg|danke|merci|gracias|atentamente)\b",
    re.IGNORECASE,
)
MAX_SIGNATURE_LINES = 8
# Letters of a line that tell whether another mail begins there.
MAX_LINE = 300
# Names and addresses of one mail that are looked for.
MAX_NAMES = 500
_SUBADDRESS = re.compile(r"\+[^@]*@")
_DEAL = re.compile(r"^deal\s*[:#]\s*(\S.*)$", re.IGNORECASE)
_PEOPLE = frozenset(("from", "sender", "reply-to", "return-path", "resent-from", "disposition-notification-to"))
_BLOCKS = frozenset(("p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote", "table", "hr"))
_HIDDEN = frozenset(("script", "style", "head", "title", "blockquote"))
# What the parser of HTML takes long for, and what is no text: comments, declarations, tags that have no end soon.
_DECLARATION = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^>]*>?", re.DOTALL)
_UNENDED = re.compile(r"<(?![^<>]{0,1000}>)")


class NoText(Exception):
    """The mail has no words of its own."""


@dataclass(frozen=True)
class MailWords:
    """What a mail says. `date`: its header Date, which tells two mails of the same words apart."""

    pull: Pull
    date: str
    is_automatic: bool


def mail_words(raw: bytes) -> MailWords:
    """The words of a mail. Raises NoText, also for a mail that cannot be read."""
    try:
        message = parse_mail(raw)
        text, people = _body(message), _people(message)
        date, automatic = str(message.get("Date", "")), str(message.get("Auto-Submitted", "no"))
    except NoText:
        raise
    except Exception:
        # The library raises many kinds of errors for headers and parts that are not as they should be.
        raise NoText from None
    lines = without_person(plain_text(text).split("\n"), people)
    deal = next((found[1] for line in lines if (found := _DEAL.match(line))), "")
    seen = plain_text("\n".join(line for line in lines if not _DEAL.match(line)))
    if not seen:
        raise NoText
    short = seen if len(seen) <= MAX_SEEN else f"{seen[: MAX_SEEN - 1].rstrip()}…"
    is_automatic = automatic.partition(";")[0].strip().lower() not in ("", "no")
    return MailWords(Pull(short, None, plain_line(deal)[:MAX_DEAL] or None), date[:100], is_automatic)


def without_person(lines: Iterable[str], people: Sequence[str]) -> list[str]:
    """Lines without quotes, signature and the names and addresses of `people`."""
    kept: list[str] = []
    for line in lines:
        if _END.match(line.strip()[:MAX_LINE]):
            break
        if not _QUOTE.match(line):
            kept.append(line)
    if people:
        # The longest first: a whole name rather than two words of it.
        hidden = re.compile("|".join(map(re.escape, sorted(people, key=len, reverse=True))), re.IGNORECASE)
        kept = [hidden.sub("[…]", line) for line in kept]
    return _without_names(_without_signature(kept), people)


def _without_signature(lines: list[str]) -> list[str]:
    """Cut at a closing phrase near the end, which is not the first line."""
    for at in range(max(1, len(lines) - MAX_SIGNATURE_LINES), len(lines)):
        if len(lines[at]) <= MAX_LINE and _SIGN_OFF.match(lines[at].strip()) and _CLOSING.search(lines[at]):
            return lines[:at]
    return lines


def _without_names(lines: list[str], people: Sequence[str]) -> list[str]:
    """Cut last lines that hold nothing but words of a name."""
    names = {word.lower() for one in people for word in re.split(r"[^\w]+", one) if word}
    while lines and all(word.lower() in names for word in re.split(r"[^\w]+", lines[-1]) if word):
        lines = lines[:-1]
    return lines


def _people(message: EmailMessage) -> list[str]:
    """What stands for a person in the headers: addresses, and names of two words or more, in any order.

    Of a subaddress (RFC 5233), `erika+andon@example.org`, also the address itself.
    """
    headers = [str(value) for name in _PEOPLE for value in message.get_all(name, [])][:20]
    found = set[str]()
    for name, address in getaddresses(headers):
        words = [word for word in re.split(r"[\s,;\"']+", name[:200]) if word][:8]
        found |= {address, _SUBADDRESS.sub("@", address), " ".join(words)}
        for first, last in permutations(words, 2):
            found |= {f"{first} {last}", f"{first}, {last}"}
    return [one for one in found if len(one) > 2][:MAX_NAMES]


def _body(message: EmailMessage) -> str:
    """The first text, plain if there is one."""
    part = message.get_body(("plain", "html"))
    if part is None:
        raise NoText
    raw = part.get_payload(decode=True)
    data = raw[:MAX_BODY] if isinstance(raw, bytes) else b""
    try:
        text = data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = data.decode("utf-8", "replace")
    return _of_html(text) if part.get_content_subtype() == "html" else text


class _Texts(HTMLParser):
    """The visible text of HTML, without quoted parts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag == self._hidden[-1]:
            self._hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))


def _of_html(text: str) -> str:
    reader = _Texts()
    reader.feed(_UNENDED.sub(" ", _DECLARATION.sub(" ", text)))
    reader.close()
    return "".join(reader.parts)
