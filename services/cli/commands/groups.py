"""Groups of commands of `andon`: dead letters, sources, stages, the policy, topics. Imports as in `main`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.console import POLICY, counted, errors, fail

dead_app = typer.Typer(no_args_is_help=True, help="What could not be handled.")
TOPIC = Annotated[str | None, typer.Option(help="of this topic only, as pipeline.events")]


@dead_app.command("list")
def dead_list(topic: TOPIC = None) -> None:
    """List dead letters, topic by topic, the oldest first."""
    from services.cli.commands.dead_letters import show_list

    show_list(topic)


@dead_app.command("show")
def dead_show(letter: Annotated[str, typer.Argument(help="the id that the list gives")]) -> None:
    """Show one dead letter: its reason, its place, and its bytes."""
    from services.cli.commands.dead_letters import show_one

    if not show_one(letter):
        raise fail(f"there is no dead letter {letter}; see andon dead-letters list")


@dead_app.command("redrive")
def dead_redrive(
    letters: Annotated[list[str] | None, typer.Argument(help="ids that the list gives; none: all")] = None,
    topic: TOPIC = None,
) -> None:
    """Put dead letters back on their topic, once what they failed on is mended. Doing it twice is harmless."""
    from services.cli.commands.dead_letters import drive_again
    from shared.stream.dead_letters import NotRedrivableError

    try:
        count = drive_again(letters, topic)
    except (NotRedrivableError, TimeoutError) as error:
        raise fail(error) from None
    errors.print(f"{counted(count, 'dead letter is', 'dead letters are')} on the topic again")


source_app = typer.Typer(no_args_is_help=True, help="The connections to CRMs.")


@source_app.command("check")
def source_check(
    source: Annotated[str, typer.Argument(help="name of the source, as in the sources file")],
    file: Annotated[Path, typer.Argument(help="a saved request: headers, an empty line, the body")],
) -> None:
    """Explain a saved request: whether it is genuine, why not, and what is understood of it."""
    from datetime import UTC, datetime

    from services.intake.explain import explain, parse_saved_request
    from services.intake.settings import IntakeSettings
    from shared.connectors.config import load
    from shared.runtime.yaml_file import FaultsError

    try:
        sources = load(IntakeSettings.from_environment().sources)
        if source not in sources:
            raise ValueError(f"{source}: no such source; there are {', '.join(sorted(sources))}")
        lines = list(explain(sources[source], parse_saved_request(file.read_bytes(), datetime.now(UTC))))
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None
    for line in lines:
        Console().print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


@source_app.command("add")
def source_add(
    name: Annotated[str, typer.Argument(help="lower-case letters, digits and dashes: it stands in the address")],
    kind: Annotated[str | None, typer.Option(help="the CRM; asked for where it is not given")] = None,
    address: Annotated[str | None, typer.Option(help="https://... at which the CRM reaches intake")] = None,
    wait: Annotated[bool, typer.Option(help="wait for the first webhook and say what it says")] = True,
) -> None:
    """Connect a CRM: asks, writes the sources file, says what to click, waits for the first webhook."""
    from services.cli.commands import sources
    from services.intake.settings import IntakeSettings
    from shared.runtime.yaml_file import FaultsError

    try:
        settings = IntakeSettings.from_environment()
        source = sources.add(name, kind, settings.sources, address)
        if wait:
            sources.wait(settings.kafka, settings.topic_prefix, source)
    except (FaultsError, ValueError, OSError) as error:
        raise fail(error) from None


stages_app = typer.Typer(no_args_is_help=True, help="What CRMs call their stages, and what the policy makes of them.")


@stages_app.command("import")
def stages_import(
    file: Annotated[Path, typer.Argument(help="YAML or CSV: source, pipeline, stage, name, order, probability, ...")],
) -> None:
    """Tell what stages are called, where the CRM does not. Doing it twice is harmless."""
    from services.cli.commands import stages
    from shared.runtime.yaml_file import FaultsError

    try:
        count = stages.bring(file)
    except (FaultsError, TimeoutError) as error:
        raise fail(error) from None
    errors.print(f"{counted(count, 'stage is', 'stages are')} on pipeline.stages; see andon stages list")


@stages_app.command("list")
def stages_list(
    source: Annotated[str | None, typer.Option(help="of this source only")] = None,
    policy: POLICY = Path("policy.yaml"),
) -> None:
    """List every stage that is known or was seen, whether the policy watches it, and what to do where it does not."""
    from services.cli.commands import stages
    from shared.policy import PolicyError

    try:
        stages.show(policy, source)
    except PolicyError as error:
        raise fail(error) from None


policy_app = typer.Typer(no_args_is_help=True, help="The policy file.")


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="the policy file")]) -> None:
    """Say everything that is wrong with a policy file, or what it judges."""
    from shared.policy import PolicyError, load

    try:
        policy = load(file)
    except PolicyError as error:
        raise fail(error) from None
    for name, pipeline in policy.pipelines.items():
        Console().print(
            f"{name}: {len(pipeline.stages)} stages, {len(pipeline.rules)} rules, owner {pipeline.owner.mail}",
            markup=False,
            emoji=False,
        )


topics_app = typer.Typer(no_args_is_help=True, help="The topics on Kafka.")


@topics_app.command("create")
def topics_create(
    replication: Annotated[int, typer.Option(help="replicas of each partition; 3 on a cluster")] = 1,
    partitions: Annotated[
        int | None,
        typer.Option(min=4, max=200, help="of each topic that has several: as many replicas share its work; 4"),
    ] = None,
) -> None:
    """Make the topics that are missing."""
    from shared.kafka.admin import TopicMismatchError, create_topics
    from shared.runtime.settings import ServiceSettings

    settings = ServiceSettings.from_environment()
    try:
        made = asyncio.run(
            create_topics(settings.kafka, settings.topic_prefix, replication=replication, partitions=partitions)
        )
    except TopicMismatchError as error:
        raise fail(error) from None
    errors.print(f"made: {', '.join(made) or 'nothing, all topics are there'}")
