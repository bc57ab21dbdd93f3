"""From the sources file to CRMs that can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.enricher.gaps import ReadPolicy
from services.enricher.metrics import EnricherMetrics
from services.enricher.settings import EnricherSettings
from shared.connectors.base.api_client import ApiClient
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.settings import ApiSourceSettings, resolve_secret
from shared.connectors.base.source import Source
from shared.connectors.config import load
from shared.connectors.registry import crms
from shared.runtime.yaml_file import Fault, FaultsError


@dataclass(frozen=True)
class Connection:
    """A source of a kind that has an API; `crm` where there are credentials."""

    source: Source
    crm: CrmApi | None
    wish: ReadPolicy


def known_sources(settings: EnricherSettings) -> dict[str, Source]:
    """The sources whose kind can be asked, by name; raises FaultsError."""
    return {name: source for name, source in load(settings.sources).items() if source.kind in crms()}


def connect(settings: EnricherSettings, sources: dict[str, Source], metrics: EnricherMetrics) -> dict[str, Connection]:
    """A connection for each source; raises FaultsError that names what cannot be used."""
    found, faults = {}, []
    for name, source in sources.items():
        kind = crms()[source.kind]
        try:
            crm = _crm(settings, kind, source, metrics)
        except ValueError as error:
            faults.append(Fault(0, f"sources.{name}.api.token", str(error)))
            continue
        wish = ReadPolicy(
            kind.required_parts,
            crm is not None,
            timedelta(seconds=settings.enricher_patience_seconds),
            timedelta(seconds=settings.enricher_read_again_seconds),
        )
        found[name] = Connection(source, crm, wish)
    if faults:
        raise FaultsError(faults)
    return found


def _crm(settings: EnricherSettings, kind: type[CrmApi], source: Source, metrics: EnricherMetrics) -> CrmApi | None:
    written = source.settings
    if not isinstance(written, ApiSourceSettings) or written.api is None:
        return None
    auth = kind.auth(written.api, resolve_secret(written.api.token))
    client = ApiClient(source.name, written.api, auth, metrics, settings.enricher_give_up_seconds, kind.is_transient)
    return kind(source, written.api, client)
