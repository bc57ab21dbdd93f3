"""Runs the simulated CRM for `andon simulate`: writes its history to a file, or posts it and then live events."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from services.cli.arguments import parse_time
from services.cli.console import message
from services.cli.progress import counter
from services.simulator import dialects, run
from services.simulator.dialects import DIALECTS
from services.simulator.post import Poster, PostRejected, poster
from services.simulator.run import SimulationJournal
from shared.runtime.dependencies import TIMEOUT_SECONDS, reason_of


class Simulation:
    """One simulated company; with a `journal` file it resumes where the last run stopped."""

    def __init__(self, seed: int, days: int, end: str | None = None, journal: Path | None = None) -> None:
        until = parse_time(end) if end else datetime.now(UTC).replace(microsecond=0)
        self._file = journal
        self._journal = SimulationJournal.open(journal, seed, days, until)

    def write(self, out: Path) -> None:
        """Write the history to a file as Andon's own events."""
        count = 0
        with out.open("wb") as file:
            for change in run.history(self._journal.seed, self._journal.days, self._journal.end):
                for event in dialects.canonical(change):
                    file.write(orjson.dumps(event) + b"\n")
                    count += 1
        message(f"{count} events are in {out}")

    def post(
        self,
        url: str,
        secret: str,
        public_url: str | None = None,
        kind: str = "hubspot",
        per_minute: float | None = None,
    ) -> None:
        """Post the history, unless the journal says it is done, then live events if `per_minute` is given.

        Raises ValueError if the receiver rejects the webhooks.
        """
        # Saved before the first webhook, so that an interrupted run resumes the same history.
        self._journal.save(self._file)
        try:
            asyncio.run(self._post(url, secret, public_url, kind, per_minute))
        except KeyboardInterrupt:
            message("stopped")
        except PostRejected as error:
            raise ValueError(str(error)) from None

    async def _post(self, url: str, secret: str, public_url: str | None, kind: str, per_minute: float | None) -> None:
        async with poster(url, secret, public_url, kind) as sender:
            if not self._journal.history:
                await self._post_history(sender)
            if per_minute is not None:
                with counter("live events posted") as show:
                    await run.live(sender, self._journal, self._file, per_minute, lambda _, number: show(number))

    async def _post_history(self, sender: Poster) -> None:
        with counter("events posted") as show:
            count = await run.post_history(sender, self._journal, show)
        message(f"{count} events of history posted")
        self._journal.history = True
        self._journal.save(self._file)


def check_target(url: str | None, secret: str, kind: str) -> str:
    """The URL to post to; raises ValueError that names the option to set, also if nothing answers there."""
    if not url or not secret:
        raise ValueError("set where to post (--to) and the source's secret (--secret), or a file to write (--out)")
    if kind not in DIALECTS:
        raise ValueError(f"--kind {kind}: not known; use one of {', '.join(sorted(DIALECTS))}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError(f"--to {url}: is not an address; write it like http://127.0.0.1:8081/v1/ingest/NAME")
    try:
        # Later the simulated CRM retries forever.
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except OSError as error:
        raise ValueError(f"--to {url}: {reason_of(error, TIMEOUT_SECONDS)}; start intake, or correct it") from None
    return url
