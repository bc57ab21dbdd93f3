"""Whether each CRM's API that is configured answers, lets us read deals and stages, and how much quota is left."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.enricher.connections import connect, known_sources
from services.enricher.metrics import EnricherMetrics
from services.enricher.settings import EnricherSettings
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.quota import Quota
from shared.runtime.yaml_file import FaultsError

# How long a request is retried, and the whole look at one CRM.
GIVE_UP_SECONDS, SECONDS = 1.0, 9.0
# Less of a day's requests than this is worth a look.
FEW = 0.2


async def _run(site: Site) -> list[CheckFinding]:
    settings = EnricherSettings.from_environment().model_copy(update={"enricher_give_up_seconds": GIVE_UP_SECONDS})
    try:
        sources = known_sources(settings)
    except FaultsError:
        # The check of the sources says it.
        return []
    try:
        connections = connect(settings, sources, EnricherMetrics(CollectorRegistry(), sources))
    except FaultsError as error:
        return [bad("CRM's API", line, "correct `api.token` in the sources file") for line in str(error).splitlines()]
    return list(await asyncio.gather(*(_crm(one.crm) for one in connections.values() if one.crm is not None)))


async def _crm(crm: CrmApi) -> CheckFinding:
    subject, page = f"API of {crm.source.name}", f"docs/sources/{crm.kind}.md"
    try:
        async with asyncio.timeout(SECONDS):
            await crm.stages()
            # Reads the first page of what changes now, which shows the right to read deals.
            async for _ in crm.changed(datetime.now(UTC)):
                break
    except CrmRejected as error:
        todo = f"correct `api` of the source, or the scopes of its token: {page}"
        return bad(subject, f"at {crm.api.url} refuses: {error}", todo)
    except (CrmUnavailable, TimeoutError) as error:
        return bad(subject, f"at {crm.api.url} does not answer: {error or 'too slow'}", f"see {page}")
    finally:
        await crm.client.close()
    return quota_finding(subject, crm.api.url, crm.client.quota)


def quota_finding(subject: str, url: str, quota: Quota | None) -> CheckFinding:
    """For an API that answers."""
    if quota is None:
        return good(subject, f"{url} answers, and lets us read stages and deals")
    text = f"{url} answers; {quota.left} of {quota.allowed} requests are left today"
    if quota.left < FEW * quota.allowed:
        return look(subject, text, "set `per_second` of `api` lower, or find out who else uses the quota")
    return good(subject, text)


CHECK = Check("crm", _run, seconds=SECONDS + 1)
