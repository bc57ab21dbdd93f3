"""Charts drawn in processes of their own: a thread that draws would keep Python's lock from pages and messages."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
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
from queue import SimpleQueue
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
    """A chart to draw."""

    purpose: DrawingPurpose
    written: bytes
    drawn: Future[Any]


class _Drawer:
    """Two processes that share their memory: one draws for mails, the other for readers, and yields to all else.

    They get no settings, which hold passwords, and each ends when this end of its connection does.
    """

    def __init__(self) -> None:
        (mails, of_mails), (readers, of_readers) = Pipe(), Pipe()
        self._connections = {True: mails, False: readers}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("ANDON_")}
        with of_mails, of_readers:
            theirs = of_mails.fileno(), of_readers.fileno()
            command = [sys.executable, "-m", DRAWER, *map(str, theirs)]
            # A group of their own: they end together. One thread each, as a process with others must not fork.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
                env=plain | {"OPENBLAS_NUM_THREADS": "1"},
                process_group=0,
            )

    def draw(self, purpose: DrawingPurpose, written: bytes) -> Any:
        """A drawing, or a DrawingError. Raises EOFError or OSError where the process has ended, or is stuck."""
        connection = self._connections[purpose is DrawingPurpose.MAIL]
        connection.send((purpose, written))
        if not connection.poll(LONGEST_SECONDS):
            raise TimeoutError(f"a chart takes longer than {LONGEST_SECONDS:.0f} s")
        return connection.recv()

    def end(self) -> None:
        """End both. Whoever waits for the other sees its connection end."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Drawings:
    """Draws one chart at a time for mails, and one for readers.

    A chart is drawn once for all that ask for it at the same time, and kept while it is one of the last. `written` is
    as `spec.to_json` writes it. What cannot be drawn raises DrawingError.
    """

    def __init__(self) -> None:
        self._wanted = {is_for_mail: SimpleQueue[_Wanted]() for is_for_mail in (True, False)}
        self._kept: OrderedDict[tuple[DrawingPurpose, bytes], Future[Any]] = OrderedDict()
        self._workers: list[threading.Thread] = []
        self._drawer: _Drawer | None = None
        self._changing = threading.Lock()

    def start(self) -> None:
        """Start the processes now; else they start with the first chart."""
        if not self._workers:
            self._workers = [
                threading.Thread(target=self._work, args=[wanted], name="drawings", daemon=True)
                for wanted in self._wanted.values()
            ]
            for worker in self._workers:
                worker.start()

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
            self._wanted[purpose is DrawingPurpose.MAIL].put(_Wanted(purpose, written, found))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def _work(self, asked: SimpleQueue[_Wanted]) -> None:
        with suppress(OSError):
            self._running()
        while True:
            wanted = asked.get()
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
        drawer = self._running()
        try:
            return drawer.draw(wanted.purpose, wanted.written)
        except (EOFError, OSError):
            self._replace(drawer)
            raise

    def _running(self) -> _Drawer:
        with self._changing:
            self._drawer = self._drawer or _Drawer()
            return self._drawer

    def _replace(self, drawer: _Drawer) -> None:
        """End it, unless the other worker has."""
        with self._changing:
            drawer.end()
            if self._drawer is drawer:
                self._drawer = None


DRAWINGS = Drawings()
"""Of this process: a service that is built anew keeps it."""
