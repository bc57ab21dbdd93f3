"""SQL of the versions of the policy, for services with the table `policy_version`, and the policy to work by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.contracts.policies import PolicyVersionData
from shared.policy import Policy, load, parse
from shared.postgres.command import one_connection
from shared.postgres.pool import TRANSIENT, Executor, Pool, Record
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever
from shared.runtime.settings import ServiceSettings
from shared.runtime.yaml_file import read_text

_log = logger(__name__)
_SAVE = """
INSERT INTO policy_version SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::text[]) ON CONFLICT DO NOTHING
"""
_GET = "SELECT version, effective_at, text FROM policy_version WHERE version = $1"
_IN_FORCE = """
SELECT version, effective_at, text FROM policy_version WHERE effective_at <= clock_timestamp()
ORDER BY version DESC LIMIT 1
"""
_IN_FORCE_NUMBER = "SELECT max(version) FROM policy_version WHERE effective_at <= clock_timestamp()"
_LATEST = "SELECT version, effective_at, text FROM policy_version ORDER BY version DESC LIMIT 1"
_AFTER = "SELECT version, effective_at, text FROM policy_version WHERE version = $1 + 1"


class PolicyInForce(NamedTuple):
    """What a service works by. `version`: 0 for the policy file."""

    version: int
    text: str

    @property
    def policy(self) -> Policy:
        return parse(self.text)


async def save(executor: Executor, versions: Sequence[PolicyVersionData]) -> None:
    """Keep versions. One that is known stays as it is."""
    rows = [(one.version, one.effective_at, one.text) for one in versions]
    if rows:
        await executor.execute(_SAVE, *(list(column) for column in zip(*rows, strict=True)))


async def get(executor: Executor, version: int) -> PolicyVersionData | None:
    """One version."""
    return _version(await executor.fetchrow(_GET, version))


async def latest(executor: Executor) -> PolicyVersionData | None:
    """The newest version, in force or not yet."""
    return _version(await executor.fetchrow(_LATEST))


async def next_of(executor: Executor, version: int) -> PolicyVersionData | None:
    """The version after this one. Versions have no gap: one that came early waits for the one before it."""
    return _version(await executor.fetchrow(_AFTER, version))


async def number_in_force(executor: Executor) -> int:
    """The version in force now, by the database's clock; 0: none."""
    return await executor.fetchval(_IN_FORCE_NUMBER) or 0


async def policy_in_force(settings: ServiceSettings, pool: Pool) -> PolicyInForce:
    """The policy to work by now. Raises FaultsError where the file cannot be read. Waits for the database."""
    async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
        with attempt:
            found = None if settings.is_policy_a_file else _version(await pool.fetchrow(_IN_FORCE))
    return file_policy(settings) if found is None else PolicyInForce(found.version, found.text)


async def policy_of_command(settings: ServiceSettings, schema: str) -> Policy:
    """The policy that a command works by: the file, or the version in force where people edit it in the browser.

    `schema`: of the service whose copy of the versions is read. Raises PolicyError.
    """
    if settings.is_policy_a_file:
        return load(settings.policy)
    async with one_connection(settings.dsn, schema) as pool:
        return (await policy_in_force(settings, pool)).policy


def file_policy(settings: ServiceSettings) -> PolicyInForce:
    """The policy file. Raises FaultsError where it cannot be read."""
    return PolicyInForce(0, read_text(settings.policy, "ANDON_POLICY"))


def check_file(settings: ServiceSettings) -> None:
    """Raise FaultsError for a file that is no policy, where it is the truth: before anything is waited for."""
    if settings.is_policy_a_file:
        parse(file_policy(settings).text)


def _version(row: Record | None) -> PolicyVersionData | None:
    return None if row is None else PolicyVersionData(**dict(row))
