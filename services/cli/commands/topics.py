"""`andon topics`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.console import fail, stderr

app = typer.Typer(no_args_is_help=True, help="Create the Kafka topics.")


@app.command()
def create(
    replication: Annotated[int, typer.Option(help="Replicas of each partition; use 3 on a cluster.")] = 1,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=4,
            max=200,
            help="Partitions of each partitioned topic, and the maximum of working replicas. Default: 4.",
        ),
    ] = None,
) -> None:
    """Create the topics that are missing."""
    from services.cli.servers import check_servers
    from shared.kafka.admin import TopicMismatchError, create_topics
    from shared.runtime.settings import ServiceSettings

    check_servers(topics=())
    settings = ServiceSettings.from_environment()
    try:
        created = asyncio.run(
            create_topics(settings.kafka, settings.topic_prefix, replication=replication, partitions=partitions)
        )
    except TopicMismatchError as error:
        raise fail(error) from None
    stderr.print(f"created: {', '.join(created) or 'nothing, all topics exist'}")
