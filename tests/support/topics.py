"""Topics that are deleted and created again under those who use them."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.waiting import eventually


async def make_anew(kafka: str, topic: NewTopic) -> None:
    """Delete a topic and create it again; it is there afterwards, and empty."""
    name = topic.name
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics([name])

        async def topics() -> list[str]:
            return list(await admin.list_topics())

        await eventually(topics, lambda names: name not in names)
        await admin.create_topics([topic])
        await eventually(topics, lambda names: name in names)
    finally:
        await admin.close()
