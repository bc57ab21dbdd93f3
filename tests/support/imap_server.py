"""A small IMAP4rev1 server with one folder, in memory: what a mailbox that takes mail for cords needs of RFC 3501."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.policy import compat32

_LITERAL_HEADERS = re.compile(rb"\(BODY\.PEEK\[HEADER\.FIELDS \(([^)]*)\)\]\)")
_PARTIAL = re.compile(rb"\(BODY\.PEEK\[\]<0\.(\d+)>\)")


class ImapServer:
    """`mails` by their numbers; `deleted` of them wait for an EXPUNGE. `commands`: what clients asked, in order.

    With `has_uidplus` false the server has no UID EXPUNGE (RFC 4315).
    """

    def __init__(self, user: str, password: str, has_uidplus: bool = True) -> None:
        self._user, self._password, self._has_uidplus = user, password, has_uidplus
        self.mails, self.deleted = dict[int, bytes](), set[int]()
        self.commands, self.uidvalidity = list[str](), 1
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def deliver(self, raw: bytes) -> int:
        """Put a mail into the folder; returns its number."""
        number = max(self.mails, default=100) + 1
        self.mails[number] = raw
        return number

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _ImapSession(self, writer)
        writer.write(b"* OK ready\r\n")
        while not session.is_over and (line := await reader.readline()):
            tag, _, rest = line.strip().partition(b" ")
            session.handle(tag, rest)
            await writer.drain()
        writer.close()

    @property
    def capabilities(self) -> str:
        return "IMAP4rev1" + (" UIDPLUS" if self._has_uidplus else "")

    def accepts(self, arguments: bytes) -> bool:
        return arguments == f'{self._user} "{self._password}"'.encode()

    def expunge(self, numbers: set[int]) -> int:
        gone = self.deleted & numbers
        for number in gone:
            del self.mails[number]
        self.deleted -= gone
        return len(gone)


class _ImapSession:
    def __init__(self, server: ImapServer, writer: asyncio.StreamWriter) -> None:
        self._server, self._writer, self._is_known, self._has_folder = server, writer, False, False
        self.is_over = False

    def handle(self, tag: bytes, line: bytes) -> None:
        name, _, arguments = line.partition(b" ")
        if name == b"UID":
            second, _, arguments = arguments.partition(b" ")
            name += b" " + second
        self._server.commands.append(name.decode())
        handler = getattr(self, "_" + name.decode().lower().replace(" ", "_"), None)
        needs = name.startswith((b"UID", b"EXPUNGE"))
        if handler is None or (needs and not self._has_folder) or (name == b"SELECT" and not self._is_known):
            self._say(tag + b" BAD not now")
        else:
            self._say(tag + b" " + handler(arguments))

    def _say(self, line: bytes) -> None:
        self._writer.write(line + b"\r\n")

    def _capability(self, _: bytes) -> bytes:
        self._say(f"* CAPABILITY {self._server.capabilities}".encode())
        return b"OK done"

    def _login(self, arguments: bytes) -> bytes:
        self._is_known = self._server.accepts(arguments)
        return b"OK welcome" if self._is_known else b"NO wrong"

    def _select(self, arguments: bytes) -> bytes:
        if arguments != b'"INBOX"':
            return b"NO no such folder"
        self._say(b"* %d EXISTS" % len(self._server.mails))
        self._say(b"* OK [UIDVALIDITY %d] valid" % self._server.uidvalidity)
        self._has_folder = True
        return b"OK [READ-WRITE] selected"

    def _uid_search(self, arguments: bytes) -> bytes:
        assert arguments == b"UNDELETED"
        found = sorted(set(self._server.mails) - self._server.deleted)
        self._say(b"* SEARCH" + b"".join(b" %d" % number for number in found))
        return b"OK done"

    def _uid_fetch(self, arguments: bytes) -> bytes:
        number, _, what = arguments.partition(b" ")
        raw = self._server.mails.get(int(number))
        if raw is not None:
            name, data = self._part(raw, what)
            self._say(b"* 1 FETCH (UID %s %s {%d}\r\n%s)" % (number, name, len(data), data))
        return b"OK done"

    @staticmethod
    def _part(raw: bytes, what: bytes) -> tuple[bytes, bytes]:
        if partial := _PARTIAL.fullmatch(what):
            return b"BODY[]<0>", raw[: int(partial[1])]
        wanted = _LITERAL_HEADERS.fullmatch(what)
        assert wanted, what
        message = message_from_bytes(raw, policy=compat32)
        lines = [
            f"{name}: {value}\r\n" for name, value in message.items() if name.upper().encode() in wanted[1].split()
        ]
        return b"BODY[HEADER.FIELDS (%s)]" % wanted[1], "".join([*lines, "\r\n"]).encode()

    def _uid_store(self, arguments: bytes) -> bytes:
        number, _, flags = arguments.partition(b" ")
        assert flags == rb"+FLAGS.SILENT (\Deleted)", flags
        self._server.deleted.add(int(number))
        return b"OK done"

    def _uid_expunge(self, arguments: bytes) -> bytes:
        return self._gone({int(arguments)})

    def _expunge(self, _: bytes) -> bytes:
        return self._gone(set(self._server.mails))

    def _gone(self, numbers: set[int]) -> bytes:
        for _ in range(self._server.expunge(numbers)):
            self._say(b"* 1 EXPUNGE")
        return b"OK done"

    def _logout(self, _: bytes) -> bytes:
        self._say(b"* BYE")
        self.is_over = True
        return b"OK bye"
