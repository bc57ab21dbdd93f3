"""`andon topics`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.console import fail, message

app = typer.Typer(no_args_is_help=True, help="Create the Kafka topics, and grant the services their rights on them.")


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
    from shared.kafka.access import KafkaAccess
    from shared.kafka.admin import TopicMismatchError, create_topics
    from shared.runtime.settings import ServiceSettings

    check_servers(topics=())
    settings = ServiceSettings.from_environment()
    try:
        created = asyncio.run(
            create_topics(
                KafkaAccess.of(settings), settings.topic_prefix, replication=replication, partitions=partitions
            )
        )
    except TopicMismatchError as error:
        raise fail(error) from None
    message(f"created: {', '.join(created) or 'nothing, all topics exist'}")


@app.command()
def acl(
    service: Annotated[str, typer.Argument(help="Name of a service, e.g. tickets; default: all of them.")] = "",
    user: Annotated[str, typer.Option(help="User of this service on Kafka. Default: andon-SERVICE.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Grant the rights; you need ALTER on the cluster.")] = False,
) -> None:
    """Print what each service's user may do on Kafka, as commands for kafka-acls.sh; with --apply, grant it."""
    from services.cli import topic_acls
    from services.cli.servers import check_servers
    from shared.runtime.settings import ServiceSettings

    settings = ServiceSettings.from_environment()
    try:
        acls = topic_acls.of_services(service, user, settings)
    except ValueError as error:
        raise fail(error) from None
    if not apply:
        print("\n".join(topic_acls.commands(acls, settings)))
        return
    check_servers(topics=())
    message(topic_acls.grant(acls, settings))
