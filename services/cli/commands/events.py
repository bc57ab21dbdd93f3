"""`andon what-if` and `andon replay`: files of events, one JSON object per line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from services.cli.arguments import PolicyOption
from services.cli.console import FormatOption, OutputForm, counted, fail, message

EventsArgument = Annotated[str, typer.Argument(help="Events, one JSON object per line; may be gzip. - reads stdin.")]


def what_if(
    events: EventsArgument,
    policy: PolicyOption,
    as_of: Annotated[str | None, typer.Option(help="Evaluate up to this time (ISO 8601). Default: last event.")] = None,
    form: FormatOption = OutputForm.TEXT,
    visits: Annotated[bool, typer.Option("--visits", help="Also list every visit (json only).")] = False,
    stages: Annotated[Path | None, typer.Option(help="Names of stages, in the format of stages import.")] = None,
    relocks: Annotated[Path | None, typer.Option(help="When baselines begin anew: a JSON list of relocks.")] = None,
    measures: Annotated[
        bool, typer.Option("--measures", help="Also weekly measures and what the statistics say of them (json only).")
    ] = False,
) -> None:
    """Show the problems a policy would have found in a file of events. Needs neither Kafka nor Postgres.

    Exit code 3: some events, or all, could not be judged, since the policy does not know their pipeline or stage.
    """
    from services.cli.event_files import FileError
    from services.cli.what_if import print_answer
    from services.cli.what_if import what_if as run
    from shared.runtime.yaml_file import FaultsError

    try:
        answer = run(events, policy, as_of, stages, relocks)
    except (FileError, FaultsError, ValueError) as error:
        raise fail(error) from None
    print_answer(answer, form, visits, measures)
    raise typer.Exit(answer.exit_code)


def replay(events: EventsArgument) -> None:
    """Publish a file of events to pipeline.events, each record stamped with its event's time. Safe to repeat."""
    from services.cli.event_files import FileError
    from services.cli.progress import bar
    from services.cli.replay import count_events
    from services.cli.replay import replay as run
    from services.cli.servers import check_servers
    from shared.contracts.topics import EVENTS
    from shared.runtime.settings import ServiceSettings

    now = datetime.now(UTC)
    try:
        total = count_events(events, now)
        check_servers(topics=(EVENTS,))
        with bar("events published") as show:
            count = asyncio.run(run(ServiceSettings.from_environment(), events, total, now, show))
    except (FileError, TimeoutError) as error:
        raise fail(error) from None
    message(f"{counted(count, 'event is', 'events are')} on pipeline.events")
