"""Topics are created once; one with too few partitions is named, not used."""

from __future__ import annotations

import secrets

import pytest

from shared.contracts.topics import Topic
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import TopicMismatchError, create_topics


async def test_what_exists_is_left_as_it_is(kafka: str) -> None:
    access, prefix = KafkaAccess(kafka), f"few-{secrets.token_hex(4)}."
    few, many = Topic("few", "deal", partitions=1), Topic("many", "deal", partitions=2)

    assert await create_topics(access, prefix, (few,)) == [prefix + "few"]
    assert await create_topics(access, prefix, (few, many)) == [prefix + "many"]
    assert await create_topics(access, prefix, (few, many)) == []
    with pytest.raises(TopicMismatchError, match=f"{prefix}few has 1 partitions and needs 4"):
        await create_topics(access, prefix, (Topic("few", "deal"),))
