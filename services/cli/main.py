"""`andon`: what is imported is imported inside the commands, so that help comes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands import groups
from services.cli.console import POLICY, counted, errors, fail
from services.cli.errors import Commands

if TYPE_CHECKING:
    from shared.contracts.problems import ProblemReason

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Andon sees where the flow of deals breaks, and opens one ticket for each problem of the system.",
)
app.add_typer(groups.dead_app, name="dead-letters")
app.add_typer(groups.source_app, name="source")
app.add_typer(groups.stages_app, name="stages")
app.add_typer(groups.policy_app, name="policy")
app.add_typer(groups.topics_app, name="topics")


@app.command()
def intake() -> None:
    """Run the service that takes webhooks."""
    from services.intake.app import main

    main()


@app.command()
def detector() -> None:
    """Run the service that sees where deals are and judges."""
    from services.detector.app import main

    main()


@app.command()
def tickets() -> None:
    """Run the service that keeps tickets and shows them."""
    from services.tickets.app import main

    main()


@app.command()
def notifier() -> None:
    """Run the service that sends mails."""
    from services.notifier.app import main

    main()


@app.command()
def enricher() -> None:
    """Run the service that asks CRMs for what their webhooks left out or lost."""
    from services.enricher.app import main

    main()


@app.command("what-if")
def what_if(
    events: Annotated[str, typer.Argument(help="events, one JSON object a line; gzip or not; - for standard input")],
    policy: POLICY,
    as_of: Annotated[str | None, typer.Option(help="judge as of this time (ISO 8601); default: the last event")] = None,
    form: Annotated[str, typer.Option("--format", help="text or json")] = "text",
    visits: Annotated[bool, typer.Option("--visits", help="list every visit too (json)")] = False,
    stages: Annotated[Path | None, typer.Option(help="names of stages, as for stages import")] = None,
) -> None:
    """What would this policy have found in these events? No Kafka, no database."""
    from services.cli.event_files import FileError
    from services.cli.what_if import what_if as report
    from shared.runtime.yaml_file import FaultsError

    try:
        report(events, policy, as_of, form, visits, stages)
    except (FileError, FaultsError, ValueError) as error:
        raise fail(error) from None


@app.command()
def replay(events: Annotated[str, typer.Argument(help="events as for what-if")]) -> None:
    """Put a file of events on pipeline.events, each record at the time of its event."""
    from services.cli.event_files import FileError
    from services.cli.progress import counting
    from services.cli.replay import replay as run
    from shared.runtime.settings import ServiceSettings

    try:
        with counting("events published") as show:
            count = asyncio.run(run(ServiceSettings.from_environment(), events, show))
    except (FileError, TimeoutError) as error:
        raise fail(error) from None
    errors.print(f"{count} events are on pipeline.events")


@app.command()
def hold() -> None:
    """Take deals in without judging, until reevaluate: before a back-fill or an import."""
    from services.detector import control
    from services.detector.settings import DetectorSettings

    asyncio.run(control.hold(DetectorSettings.from_environment()))
    errors.print("Evaluation is held. Release it with: andon reevaluate --since TIME")


@app.command()
def reevaluate(
    since: Annotated[str, typer.Option(help="what ended before this time (ISO 8601) stays as it was told")],
) -> None:
    """Work all problems out anew: after an import, or after a change of the policy."""
    from services.cli.progress import bar
    from services.cli.what_if import moment_of
    from services.detector import control
    from services.detector.settings import DetectorSettings
    from shared.runtime.instants import micros

    try:
        instant = micros(moment_of(since))
    except ValueError as error:
        raise fail(error) from None
    with bar("events read again") as show:
        published = asyncio.run(control.reevaluate(DetectorSettings.from_environment(), instant, show))
    errors.print(_published_words(published))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="a CSV, Excel (.xlsx) or Parquet file of deals; gzip or not")],
    source: Annotated[str, typer.Option(help="name of the source whose deals these are, as its webhooks come in")],
    mapping: Annotated[Path | None, typer.Option(help="what the columns mean; nothing is asked")] = None,
    save: Annotated[Path | None, typer.Option(help="write what was proposed and answered here, for --mapping")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="take what is proposed; stops where something must be asked")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="let nothing in: say what would go in")] = False,
    out: Annotated[Path | None, typer.Option(help="with --dry-run: write the events here, for what-if")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="let nothing in if any row cannot be taken")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="where the journal and the rejected rows are kept; default: beside FILE")
    ] = None,
) -> None:
    """Let a CRM's export of deals in; what its columns mean is proposed and asked. Doing it twice is harmless."""
    from services.importer import wizard
    from services.importer.job import BadRowsError
    from services.importer.load import STAYS_HELD, LoadError
    from services.importer.tables import TableError
    from shared.runtime.yaml_file import FaultsError

    try:
        wishes = wizard.Wishes(file, source, mapping, save, yes, dry_run, out, strict, folder)
        code = wizard.run(wishes)
    except (TableError, LoadError, BadRowsError, FaultsError, ValueError, OSError) as error:
        raise fail(_with_notes(error)) from None
    except KeyboardInterrupt:
        raise fail(f"Interrupted. {STAYS_HELD}") from None
    raise typer.Exit(code)


def _published_words(published: Mapping[ProblemReason, int] | None) -> str:
    """`Problem messages published: 3 opened, 2 cleared.`"""
    words = ", ".join(f"{count} {reason.value}" for reason, count in (published or {}).items())
    return f"Problem messages published: {words or 'none, nothing differs'}."


def _with_notes(error: Exception) -> str:
    """What went wrong, and what it leaves behind."""
    return "\n".join((str(error), *getattr(error, "__notes__", ())))


@app.command()
def simulate(
    to: Annotated[str | None, typer.Option(help="address of a source: http://host:port/v1/ingest/NAME")] = None,
    secret: Annotated[str, typer.Option(help="the secret of that source", envvar="ANDON_DEMO_SECRET")] = "",
    public_url: Annotated[
        str | None, typer.Option(help="public_url of that source, where it differs from --to")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write Andon's own events to this file instead of posting")] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same company")] = 7,
    days: Annotated[int, typer.Option(min=1, max=3650, help="length of the history")] = 180,
    end: Annotated[str | None, typer.Option(help="end of the history (ISO 8601); default: now")] = None,
    live: Annotated[bool, typer.Option("--live/--no-live", help="go on with live events after the history")] = False,
    per_minute: Annotated[float, typer.Option(min=0.1, max=6000, help="live events a minute")] = 20,
    journal: Annotated[Path | None, typer.Option(help="remember in this file how far it got, and go on there")] = None,
    kind: Annotated[str, typer.Option(help="the CRM whose webhooks are posted: any kind of source")] = "hubspot",
) -> None:
    """Play a CRM: months of two pipelines in which things go wrong, posted as signed webhooks of any CRM."""
    from services.cli.commands.simulate import simulate as run

    try:
        run(to, secret, public_url, out, seed, days, end, live, per_minute, journal, kind)
    except (ValueError, OSError, RuntimeError) as error:
        raise fail(error) from None


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where its data live")] = Path(".data/demo"),
    seed: Annotated[int, typer.Option(help="the same seed gives the same company")] = 7,
    clean: Annotated[bool, typer.Option("--clean", help="remove its data and end")] = False,
) -> None:
    """Everything on this machine: Kafka, Postgres, a mail sink, the services, and a simulated CRM."""
    from services.demo.app import demo as run
    from services.demo.app import remove

    raise typer.Exit(remove(folder) if clean else run(folder, seed))


@app.command()
def retranslate(
    source: Annotated[str, typer.Option(help="name of the source, as in the sources file")],
    since: Annotated[str, typer.Option(help="when the requests came, as 2026-03-10 or 2026-03-10T09:00:00Z")],
) -> None:
    """Translate again what a source sent, after its translator was mended. Doing it twice is harmless."""
    from services.cli.commands.retranslate import run
    from services.cli.what_if import moment_of
    from shared.runtime.yaml_file import FaultsError

    try:
        counts = run(source, moment_of(since))
    except (ValueError, FaultsError, TimeoutError) as error:
        raise fail(error) from None
    errors.print(
        f"{counts['requests']} requests gave {counts['accepted']} events and described {counts['described']} stages;"
        f" {counts['ignored']} parts were ignored, {counts['dead']} could not be translated;"
        f" {counts['taken back']} events that were wrong are taken back"
    )
    if counts["gone"]:
        errors.print(f"{counts['gone']} records were let go by Kafka before they could be read")


SOURCE = Annotated[str, typer.Option(help="name of the source, as in the sources file; it needs `api`")]


@app.command()
def reconcile(source: SOURCE) -> None:
    """List what changed in a CRM since the last pass, and tell what it never delivered."""
    from services.cli.commands.crm import reconcile as run
    from services.cli.progress import counting
    from shared.runtime.yaml_file import FaultsError

    try:
        with counting("deals listed") as show:
            told = run(source, show)
    except (ValueError, FaultsError, TimeoutError) as error:
        raise fail(error) from None
    errors.print(f"{told} events were told; those that were known already change nothing")


@app.command()
def backfill(
    source: SOURCE,
    since: Annotated[str, typer.Option(help="deals that were open at some time since then (ISO 8601)")],
) -> None:
    """Let the history of a CRM's deals in over its API. Doing it twice is harmless; a run that was cut off goes on."""
    from services.cli.commands.crm import backfill as run
    from services.cli.load_steps import steps
    from services.cli.what_if import moment_of
    from services.importer.load import STAYS_HELD, LoadError
    from shared.runtime.yaml_file import FaultsError

    try:
        with steps("events published", errors, lambda done: None) as shown:
            filled, result = run(source, moment_of(since), shown)
    except (ValueError, FaultsError, LoadError) as error:
        raise fail(_with_notes(error)) from None
    except KeyboardInterrupt:
        raise fail(f"Interrupted. {STAYS_HELD}") from None
    errors.print(f"{filled.deals} deals were looked at, {filled.events} events published.")
    errors.print(_published_words(result.problems))
    if filled.unreadable:
        records = counted(filled.unreadable, "record", "records")
        errors.print(f"{records} could not be read: andon dead-letters list")


@app.command()
def migrate() -> None:
    """Bring the database of every service up to date."""
    from shared.postgres.migrate import MigrationError, migrate_all
    from shared.runtime.settings import ServiceSettings

    try:
        applied = asyncio.run(migrate_all(ServiceSettings.from_environment().dsn))
    except MigrationError as error:
        raise fail(error) from None
    for schema, names in applied.items():
        errors.print(f"{schema}: {', '.join(names) or 'up to date'}")


if __name__ == "__main__":
    app()
