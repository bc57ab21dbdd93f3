"""Charts drawn in a process of their own: a thread that draws would keep Python's lock from pages and messages."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from multiprocessing import Pipe
from queue import PriorityQueue
from typing import Any, NamedTuple

DRAWER = "services.tickets.charts.drawer"
# Drawings that are kept, each of about 15 kB.
KEPT = 1000
# A process that takes longer for one chart is stuck. A new one first loads its library, for a second.
LONGEST_SECONDS = 60.0


class DrawingPurpose(StrEnum):
    """What a chart is drawn for: a PNG for a mail, SVG within a page, or SVG as a file of its own."""

    MAIL = "mail"
    PAGE = "page"
    FILE = "file"


class DrawingError(RuntimeError):
    """A chart could not be drawn."""


@dataclass(frozen=True)
class InlineChart:
    """SVG within a page. `origin`: where 0 or 1970 is, in units of its view box from the left; `per_unit`: of 1, or of
    one day.
    """

    svg: str
    origin: float
    per_unit: float

    def x_of(self, place: datetime | float) -> float:
        """Where an instant, or a number, is."""
        number = place.timestamp() / 86_400 if isinstance(place, datetime) else place
        return self.origin + self.per_unit * number


class _Wanted(NamedTuple):
    """A chart to draw, in order: those of mails first, then those that were asked for first."""

    is_for_reader: bool
    number: int
    purpose: DrawingPurpose
    written: bytes
    drawn: Future[Any]


class _Drawer:
    """The process. It gets no settings, which hold passwords, and ends when this end of the connection does."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
        with theirs:
            command = [sys.executable, "-m", DRAWER, str(theirs.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=plain)

    def draw(self, purpose: DrawingPurpose, written: bytes) -> Any:
        """A drawing, or a DrawingError. Raises EOFError or OSError where the process has ended, or is stuck."""
        self._connection.send((purpose, written))
        if not self._connection.poll(LONGEST_SECONDS):
            raise TimeoutError(f"a chart takes longer than {LONGEST_SECONDS:.0f} s")
        return self._connection.recv()

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


class Drawings:
    """Draws one chart at a time, those of mails first.

    A chart is drawn once for all that ask for it at the same time, and kept while it is one of the last. `written` is
    as `spec.to_json` writes it. What cannot be drawn raises DrawingError.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._wanted: PriorityQueue[_Wanted] = PriorityQueue()
        self._kept: OrderedDict[tuple[DrawingPurpose, bytes], Future[Any]] = OrderedDict()
        self._worker: threading.Thread | None = None
        self._drawer: _Drawer | None = None

    def start(self) -> None:
        """Start the process now; else it starts with the first chart."""
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="drawings", daemon=True)
            self._worker.start()

    async def png(self, written: bytes) -> bytes:
        """PNG for a mail."""
        return bytes(await self._draw(DrawingPurpose.MAIL, written))

    async def inline(self, written: bytes) -> InlineChart:
        """SVG within a page."""
        found: InlineChart = await self._draw(DrawingPurpose.PAGE, written)
        return found

    async def svg(self, written: bytes) -> str:
        """SVG as a file of its own."""
        return str(await self._draw(DrawingPurpose.FILE, written))

    async def _draw(self, purpose: DrawingPurpose, written: bytes) -> Any:
        self.start()
        # Others may wait for the same chart, also after this one has gone.
        return await asyncio.shield(asyncio.wrap_future(self._drawn(purpose, written)))

    def _drawn(self, purpose: DrawingPurpose, written: bytes) -> Future[Any]:
        key = purpose, hashlib.sha256(written).digest()
        found = self._kept.get(key)
        if found is None or (found.done() and found.exception()):
            found = self._kept[key] = Future()
            is_for_reader = purpose is not DrawingPurpose.MAIL
            self._wanted.put(_Wanted(is_for_reader, next(self._numbers), purpose, written, found))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _work(self) -> None:
        with suppress(OSError):
            self._drawer = _Drawer()
        while True:
            wanted = self._wanted.get()
            try:
                wanted.drawn.set_result(self._answer(wanted))
            except Exception as error:
                wanted.drawn.set_exception(error if isinstance(error, DrawingError) else DrawingError(repr(error)))

    def _answer(self, wanted: _Wanted) -> Any:
        try:
            answer = self._attempt(wanted)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            # It was killed, perhaps long ago: by another chart, or where memory ran out.
            answer = self._attempt(wanted)
        if isinstance(answer, DrawingError):
            raise answer
        return answer

    def _attempt(self, wanted: _Wanted) -> Any:
        """Draw in the process that runs, or a new one."""
        drawer = self._drawer = self._drawer or _Drawer()
        try:
            return drawer.draw(wanted.purpose, wanted.written)
        except (EOFError, OSError):
            self._drawer = None
            drawer.end()
            raise


DRAWINGS = Drawings()
"""Of this process: a service that is built anew keeps it."""
