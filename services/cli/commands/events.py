"""`andon what-if` and `andon replay`: files of events, one JSON object per line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import FormatOption, OutputForm, counted, fail, message

EventsArgument = Annotated[str, typer.Argument(help="Events, one JSON object per line; may be gzip. - reads stdin.")]


def what_if(
    events: EventsArgument,
    policy: Annotated[
        list[Path], typer.Option("--policy", "-p", help="Policy file; twice: compare two.", envvar="ANDON_POLICY")
    ],
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

    With two policies: what both find, what only one does, and what each rule costs by chance.

    Exit code 3: some events, or all, could not be judged, since the policy does not know their pipeline or stage.
    """
    from services.cli.comparison import print_comparison
    from services.cli.event_files import FileError
    from services.cli.what_if import print_answer
    from services.cli.what_if import what_if as run
    from shared.runtime.memory import without_cycle_detection
    from shared.runtime.yaml_file import FaultsError

    if len(policy) > 2:
        raise fail(f"--policy: {len(policy)} policies are given; compare two at a time")
    with without_cycle_detection():
        try:
            answers = run(events, policy, as_of, stages, relocks)
        except (FileError, FaultsError, ValueError) as error:
            raise fail(error) from None
        if len(answers) == 2:
            print_comparison(answers, policy, form)
        else:
            print_answer(answers[0], form, visits, measures)
    raise typer.Exit(max(answer.exit_code for answer in answers))


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
