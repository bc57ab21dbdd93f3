"""Connects the sources of the sources file to the APIs of their CRMs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.enricher.gaps import ReadPolicy
from services.enricher.metrics import EnricherMetrics
from services.enricher.settings import EnricherSettings
from shared.connectors.apis import crms
from shared.connectors.base.api_client import ApiClient
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.settings import ApiSourceSettings, resolve_secret
from shared.connectors.base.source import Source
from shared.connectors.config import load
from shared.runtime.yaml_file import Fault, FaultsError


@dataclass(frozen=True)
class Connection:
    """A source whose kind has an API. `crm`: None without credentials."""

    source: Source
    crm: CrmApi | None
    policy: ReadPolicy


def known_sources(settings: EnricherSettings) -> dict[str, Source]:
    """The sources whose kind has an API, by name. Raises FaultsError."""
    return {name: source for name, source in load(settings.sources).items() if source.kind in crms()}


def connect(settings: EnricherSettings, sources: dict[str, Source], metrics: EnricherMetrics) -> dict[str, Connection]:
    """A connection for each source. Raises FaultsError, which names the credentials that cannot be used."""
    found, faults = {}, []
    for name, source in sources.items():
        kind = crms()[source.kind]
        try:
            crm = _crm(settings, kind, source, metrics)
        except ValueError as error:
            faults.append(Fault(0, f"sources.{name}.api.token", str(error)))
            continue
        policy = ReadPolicy(
            kind.required_parts,
            crm is not None,
            timedelta(seconds=settings.enricher_patience_seconds),
            timedelta(seconds=settings.enricher_read_again_seconds),
        )
        found[name] = Connection(source, crm, policy)
    if faults:
        raise FaultsError(faults)
    return found


def _crm(settings: EnricherSettings, kind: type[CrmApi], source: Source, metrics: EnricherMetrics) -> CrmApi | None:
    if not isinstance(source.settings, ApiSourceSettings) or source.settings.api is None:
        return None
    api = source.settings.api
    auth = kind.auth(api, resolve_secret(api.token))
    give_up, reads = settings.enricher_give_up_seconds, (kind.is_transient, kind.quota)
    client = ApiClient(source.name, api, auth, metrics, give_up, *reads)
    return kind(source, api, client)
