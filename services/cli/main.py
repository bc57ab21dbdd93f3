"""`andon`: what is imported is imported inside the commands, so that help comes at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_show_locals=False, help=(
    "Andon sees where the flow of deals breaks, and opens one ticket for each problem of the system."
))  # fmt: skip
errors = Console(stderr=True)
POLICY = Annotated[Path, typer.Option("--policy", "-p", help="the policy file", envvar="ANDON_POLICY")]


def _fail(text: object) -> typer.Exit:
    errors.print(f"[red]{text}[/red]", highlight=False, soft_wrap=True)
    return typer.Exit(1)


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
    from services.detector.files import FileError
    from services.detector.report import what_if as report
    from shared.runtime.yamlfile import FaultsError

    try:
        report(events, policy, as_of, form, visits, stages)
    except (FileError, FaultsError, ValueError) as error:
        raise _fail(error) from None


@app.command()
def replay(events: Annotated[str, typer.Argument(help="events as for what-if")]) -> None:
    """Put a file of events on pipeline.events, each record at the time of its event."""
    from services.cli.progress import counting
    from services.detector.files import FileError
    from services.detector.replay import replay as run
    from shared.runtime.settings import ServiceSettings

    try:
        with counting("events published") as show:
            count = asyncio.run(run(ServiceSettings.from_environment(), events, show))
    except (FileError, TimeoutError) as error:
        raise _fail(error) from None
    errors.print(f"{count} events are on pipeline.events")


@app.command()
def hold() -> None:
    """Take deals in without judging, until reevaluate: before a back-fill or an import."""
    from services.detector.reevaluate import hold as run
    from services.detector.settings import DetectorSettings

    asyncio.run(run(DetectorSettings.from_environment()))
    errors.print("Judging waits. End it with: andon reevaluate --since TIME")


@app.command()
def reevaluate(
    since: Annotated[str, typer.Option(help="what ended before this time (ISO 8601) stays as it was told")],
) -> None:
    """Work all problems out anew: after an import, or after a change of the policy."""
    from services.cli.progress import bar
    from services.detector.clocks import micros
    from services.detector.reevaluate import reevaluate as run
    from services.detector.report import moment_of
    from services.detector.settings import DetectorSettings

    try:
        instant = micros(moment_of(since))
    except ValueError as error:
        raise _fail(error) from None
    with bar("events read again") as show:
        outcome = asyncio.run(run(DetectorSettings.from_environment(), instant, show))
    told = ", ".join(f"{count} {reason.value}" for reason, count in outcome.told.items()) if outcome else ""
    errors.print(f"Told: {told or 'nothing differs'}.")


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
    from services.cli import importing
    from services.importer.going_in import WAITS, NotInError
    from services.importer.run import BadRowsError
    from services.importer.tables import TableError
    from shared.runtime.yamlfile import FaultsError

    try:
        wishes = importing.Wishes(file, source, mapping, save, yes, dry_run, out, strict, folder)
        code = importing.run(wishes)
    except (TableError, NotInError, BadRowsError, FaultsError, ValueError, OSError) as error:
        raise _fail(error) from None
    except KeyboardInterrupt:
        raise _fail(f"Cut off. {WAITS}") from None
    raise typer.Exit(code)


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
    from services.cli.simulate import simulate as run

    try:
        run(to, secret, public_url, out, seed, days, end, live, per_minute, journal, kind)
    except (ValueError, OSError, RuntimeError) as error:
        raise _fail(error) from None


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


dead_app = typer.Typer(no_args_is_help=True, help="What could not be handled.")
app.add_typer(dead_app, name="dead-letters")
TOPIC = Annotated[str | None, typer.Option(help="of this topic only, as pipeline.events")]


@dead_app.command("list")
def dead_list(topic: TOPIC = None) -> None:
    """List dead letters, topic by topic, the oldest first."""
    from services.cli.dead_letters import show_list

    show_list(topic)


@dead_app.command("show")
def dead_show(letter: Annotated[str, typer.Argument(help="the id that the list gives")]) -> None:
    """Show one dead letter: its reason, its place, and its bytes."""
    from services.cli.dead_letters import show_one

    if not show_one(letter):
        raise _fail(f"there is no dead letter {letter}; see andon dead-letters list")


@dead_app.command("redrive")
def dead_redrive(
    letters: Annotated[list[str] | None, typer.Argument(help="ids that the list gives; none: all")] = None,
    topic: TOPIC = None,
) -> None:
    """Put dead letters back on their topic, once what they failed on is mended. Doing it twice is harmless."""
    from services.cli.dead_letters import drive_again
    from shared.bus.dead_letters import NotRedrivableError

    try:
        count = drive_again(letters, topic)
    except (NotRedrivableError, TimeoutError) as error:
        raise _fail(error) from None
    errors.print(f"{count} dead letters are on their topics again")


@app.command()
def retranslate(
    source: Annotated[str, typer.Option(help="name of the source, as in the sources file")],
    since: Annotated[str, typer.Option(help="when the requests came, as 2026-03-10 or 2026-03-10T09:00:00Z")],
) -> None:
    """Translate again what a source sent, after its translator was mended. Doing it twice is harmless."""
    from services.cli.retranslate import run
    from services.detector.report import moment_of
    from shared.runtime.yamlfile import FaultsError

    try:
        counts = run(source, moment_of(since))
    except (ValueError, FaultsError, TimeoutError) as error:
        raise _fail(error) from None
    errors.print(
        f"{counts['requests']} requests gave {counts['events']} events and described {counts['described']} stages;"
        f" {counts['ignored']} parts were ignored,"
        f" {counts['unclear']} could not be translated"
    )


SOURCE = Annotated[str, typer.Option(help="name of the source, as in the sources file; it needs `api`")]


@app.command()
def reconcile(source: SOURCE) -> None:
    """List what changed in a CRM since the last pass, and tell what it never delivered."""
    from services.cli.crm import reconcile as run
    from services.cli.progress import counting
    from services.enricher.client import AwayError, RefusedError
    from shared.runtime.yamlfile import FaultsError

    try:
        with counting("deals listed") as show:
            told = run(source, show)
    except (ValueError, FaultsError, TimeoutError, AwayError, RefusedError) as error:
        raise _fail(error) from None
    errors.print(f"{told} events were told; those that were known already change nothing")


@app.command()
def backfill(
    source: SOURCE,
    since: Annotated[str, typer.Option(help="deals that were open at some time since then (ISO 8601)")],
) -> None:
    """Let the history of a CRM's deals in over its API. Doing it twice is harmless; a run that was cut off goes on."""
    from services.cli.crm import backfill as run
    from services.cli.going_in import steps
    from services.detector.report import moment_of
    from services.enricher.client import AwayError, RefusedError
    from services.importer.going_in import WAITS, NotInError
    from shared.runtime.yamlfile import FaultsError

    try:
        with steps("events published", errors, lambda done: None) as shown:
            deals, went = run(source, moment_of(since), shown)
    except (ValueError, FaultsError, NotInError) as error:
        raise _fail(error) from None
    except (AwayError, RefusedError) as error:
        raise _fail(f"{error}. {WAITS}") from None
    except KeyboardInterrupt:
        raise _fail(f"Cut off. {WAITS}") from None
    told = ", ".join(f"{count} {reason.value}" for reason, count in went.outcome.told.items()) if went.outcome else ""
    errors.print(f"{deals} deals were looked at, {went.published} events published. Told: {told or 'nothing differs'}.")


source_app = typer.Typer(no_args_is_help=True, help="The connections to CRMs.")
app.add_typer(source_app, name="source")


@source_app.command("check")
def source_check(
    source: Annotated[str, typer.Argument(help="name of the source, as in the sources file")],
    file: Annotated[Path, typer.Argument(help="a saved request: headers, an empty line, the body")],
) -> None:
    """Explain a saved request: whether it is genuine, why not, and what is understood of it."""
    from datetime import UTC, datetime

    from services.intake.config import load
    from services.intake.explain import explained, saved
    from services.intake.settings import IntakeSettings
    from shared.runtime.yamlfile import FaultsError

    try:
        sources = load(IntakeSettings.from_environment().sources)
        if source not in sources:
            raise ValueError(f"{source}: no such source; there are {', '.join(sorted(sources))}")
        lines = list(explained(sources[source], saved(file.read_bytes(), datetime.now(UTC))))
    except (FaultsError, ValueError, OSError) as error:
        raise _fail(error) from None
    for line in lines:
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


@source_app.command("add")
def source_add(
    name: Annotated[str, typer.Argument(help="lower-case letters, digits and dashes: it stands in the address")],
    kind: Annotated[str | None, typer.Option(help="the CRM; asked for where it is not given")] = None,
    address: Annotated[str | None, typer.Option(help="https://... at which the CRM reaches intake")] = None,
    wait: Annotated[bool, typer.Option(help="wait for the first webhook and say what it says")] = True,
) -> None:
    """Connect a CRM: asks, writes the sources file, says what to click, waits for the first webhook."""
    from services.cli import sources
    from services.intake.settings import IntakeSettings
    from shared.runtime.yamlfile import FaultsError

    try:
        settings = IntakeSettings.from_environment()
        source = sources.add(name, kind, settings.sources, address)
        if wait:
            sources.wait(settings.kafka, settings.topic_prefix, source)
    except (FaultsError, ValueError, OSError) as error:
        raise _fail(error) from None


stages_app = typer.Typer(no_args_is_help=True, help="What CRMs call their stages, and what the policy makes of them.")
app.add_typer(stages_app, name="stages")


@stages_app.command("import")
def stages_import(
    file: Annotated[Path, typer.Argument(help="YAML or CSV: source, pipeline, stage, name, order, probability, ...")],
) -> None:
    """Tell what stages are called, where the CRM does not. Doing it twice is harmless."""
    from services.cli import stages
    from shared.runtime.yamlfile import FaultsError

    try:
        count = stages.bring(file)
    except (FaultsError, TimeoutError) as error:
        raise _fail(error) from None
    errors.print(f"{count} stages are on pipeline.stages; see andon stages list")


@stages_app.command("list")
def stages_list(
    source: Annotated[str | None, typer.Option(help="of this source only")] = None,
    policy: POLICY = Path("policy.yaml"),
) -> None:
    """List every stage that is known or was seen, whether the policy watches it, and what to do where it does not."""
    from services.cli import stages
    from shared.policy import PolicyError

    try:
        stages.show(policy, source)
    except PolicyError as error:
        raise _fail(error) from None


policy_app = typer.Typer(no_args_is_help=True, help="The policy file.")
app.add_typer(policy_app, name="policy")


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="the policy file")]) -> None:
    """Say everything that is wrong with a policy file, or what it judges."""
    from shared.policy import PolicyError, load

    try:
        policy = load(file)
    except PolicyError as error:
        raise _fail(error) from None
    for name, pipeline in policy.pipelines.items():
        Console().print(
            f"{name}: {len(pipeline.stages)} stages, {len(pipeline.rules)} rules, owner {pipeline.owner.mail}"
        )


topics_app = typer.Typer(no_args_is_help=True, help="The topics on Kafka.")
app.add_typer(topics_app, name="topics")


@topics_app.command("create")
def topics_create(
    replication: Annotated[int, typer.Option(help="replicas of each partition; 3 on a cluster")] = 1,
) -> None:
    """Make the topics that are missing."""
    from shared.bus.admin import TopicMismatchError, create_topics
    from shared.runtime.settings import ServiceSettings

    settings = ServiceSettings.from_environment()
    try:
        made = asyncio.run(create_topics(settings.kafka, settings.topic_prefix, replication=replication))
    except TopicMismatchError as error:
        raise _fail(error) from None
    errors.print(f"made: {', '.join(made) or 'nothing, all topics are there'}")


@app.command()
def migrate() -> None:
    """Bring the database of every service up to date."""
    from shared.runtime.settings import ServiceSettings
    from shared.storage.migrate import MigrationError, migrate_all

    try:
        applied = asyncio.run(migrate_all(ServiceSettings.from_environment().dsn))
    except MigrationError as error:
        raise _fail(error) from None
    for schema, names in applied.items():
        errors.print(f"{schema}: {', '.join(names) or 'up to date'}")


if __name__ == "__main__":
    app()
