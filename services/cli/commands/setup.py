"""`andon topics create` and `andon migrate`: run once before the first start, and after every update."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.console import fail, stderr

topics = typer.Typer(no_args_is_help=True, help="Create the Kafka topics.")


@topics.command()
def create(
    replication: Annotated[int, typer.Option(help="Replicas of each partition; use 3 on a cluster.")] = 1,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=4, max=200, help="Partitions of each partitioned topic: the most replicas of a service. Default: 4."
        ),
    ] = None,
) -> None:
    """Create the topics that are missing."""
    from shared.kafka.admin import TopicMismatchError, create_topics
    from shared.runtime.settings import ServiceSettings

    settings = ServiceSettings.from_environment()
    try:
        created = asyncio.run(
            create_topics(settings.kafka, settings.topic_prefix, replication=replication, partitions=partitions)
        )
    except TopicMismatchError as error:
        raise fail(error) from None
    stderr.print(f"created: {', '.join(created) or 'nothing, all topics exist'}")


def migrate() -> None:
    """Create or update the database tables of every service."""
    from shared.postgres.migrate import MigrationError, migrate_all
    from shared.runtime.settings import ServiceSettings

    try:
        applied = asyncio.run(migrate_all(ServiceSettings.from_environment().dsn))
    except MigrationError as error:
        raise fail(error) from None
    for schema, names in applied.items():
        stderr.print(f"{schema}: {', '.join(names) or 'up to date'}")
