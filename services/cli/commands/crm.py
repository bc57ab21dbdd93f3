"""`andon reconcile`, `andon backfill` and `andon retranslate`: fetch or translate a source's deals again."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.arguments import SourceOption, parse_time
from services.cli.console import counted, fail, stderr, with_notes
from services.cli.published import describe_counts


def reconcile(source: SourceOption) -> None:
    """List the deals that changed in a CRM since the last pass, and publish what webhooks missed."""
    from services.cli.crm_jobs import reconcile as run
    from services.cli.progress import counter
    from services.cli.servers import check_servers
    from shared.contracts.topics import EVENTS
    from shared.runtime.yaml_file import FaultsError

    check_servers(topics=(EVENTS,), schemas=("crm",))
    try:
        with counter("deals listed") as show:
            published = run(source, show)
    except (ValueError, FaultsError, TimeoutError) as error:
        raise fail(error) from None
    stderr.print(f"{counted(published, 'event', 'events')} published; those already known change nothing")


def backfill(
    source: SourceOption,
    since: Annotated[str, typer.Option(help="Load deals that were open at any time since then (ISO 8601).")],
) -> None:
    """Load the history of deals through a CRM's API. Safe to repeat; an interrupted run resumes."""
    from services.cli.crm_jobs import backfill as run
    from services.cli.progress import load_bars
    from services.cli.servers import check_servers
    from services.importer.load import STAYS_HELD, LoadError
    from shared.contracts.topics import EVENTS
    from shared.runtime.yaml_file import FaultsError

    check_servers(topics=(EVENTS,), schemas=("crm", "flow"))
    try:
        with load_bars("events published", lambda done: None) as progress:
            job, result = run(source, parse_time(since), progress)
    except (ValueError, FaultsError, LoadError) as error:
        raise fail(with_notes(error)) from None
    except KeyboardInterrupt:
        raise fail(f"Interrupted. {STAYS_HELD}") from None
    stderr.print(f"{counted(job.deals, 'deal', 'deals')} read, {counted(job.events, 'event', 'events')} published.")
    stderr.print(describe_counts(result.problems))
    if job.unreadable:
        stderr.print(f"{counted(job.unreadable, 'record', 'records')} could not be read: andon dead-letters list")


def retranslate(
    source: SourceOption,
    since: Annotated[
        str, typer.Option(help="Translate requests received since then, like 2026-03-10 or 2026-03-10T09:00:00Z.")
    ],
) -> None:
    """Translate a source's stored requests again, after its translator or settings were fixed. Safe to repeat."""
    from services.cli.retranslation import retranslate as run
    from services.cli.servers import check_servers
    from shared.contracts.topics import EVENTS, RECEIVED
    from shared.runtime.yaml_file import FaultsError

    check_servers(topics=(RECEIVED, EVENTS))
    try:
        counts = run(source, parse_time(since))
    except (ValueError, FaultsError, TimeoutError) as error:
        raise fail(error) from None
    requests = counted(counts["requests"], "request", "requests")
    events = counted(counts["accepted"], "event", "events")
    stages = counted(counts["described"], "stage description", "stage descriptions")
    stderr.print(f"{requests} translated to {events} and {stages}")
    stderr.print(
        f"{counts['ignored']} parts ignored, {counts['dead']} could not be translated, "
        f"{counts['retracted']} wrong events retracted"
    )
    if counts["gone"]:
        stderr.print(f"{counts['gone']} records were deleted from Kafka before they could be read")
