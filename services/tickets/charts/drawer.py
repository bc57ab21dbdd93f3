"""The processes of `drawing.py`: each draws one chart after the other until its connection ends."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from services.tickets.charts import render
from services.tickets.charts.drawing import DrawingError, DrawingPurpose
from services.tickets.charts.spec import Drawing, LineChart, from_json

_DRAW: Mapping[DrawingPurpose, Callable[[Drawing], Any]] = {
    DrawingPurpose.MAIL: render.png,
    DrawingPurpose.PAGE: render.inline,
    DrawingPurpose.FILE: render.svg,
}

# Whoever reads a page has it already; events and mails go first.
READERS_NICENESS = 5
# Drawn at the start: the first chart of all loads fonts.
_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST = LineChart("A day", "deals", {"deals": [(_FIRST_DAY, 0.0)]}, _FIRST_DAY, _FIRST_DAY + timedelta(days=1), "UTC")


def main() -> None:
    # Signals to the whole group end the service, which may still need charts then, and this process with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    render.png(_FIRST)
    # What a chart leaves behind is collected once it has been sent, and nobody waits.
    gc.disable()
    gc.freeze()
    mails, readers = (Connection(int(one)) for one in sys.argv[1:])
    # The second process shares the memory of the first, and a mail never waits for a reader's chart.
    if os.fork():
        readers.close()
        _serve(mails)
    else:
        mails.close()
        os.nice(READERS_NICENESS)
        _serve(readers)


def _serve(connection: Connection) -> None:
    with connection, suppress(EOFError, ConnectionError):
        while True:
            connection.send(_drawn(*connection.recv()))
            gc.collect()


def _drawn(purpose: DrawingPurpose, written: bytes) -> Any:
    """The drawing; a chart of another version may fail in any way, and must not end the process."""
    try:
        return _DRAW[purpose](from_json(written))
    except Exception as error:
        return DrawingError(repr(error))


if __name__ == "__main__":
    main()
