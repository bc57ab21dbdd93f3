"""How the simulated CRM writes changes: in the dialect of every CRM that intake accepts, or as Andon's own events."""

from __future__ import annotations

from services.simulator.dialects.attio import AttioDialect
from services.simulator.dialects.base import Dialect
from services.simulator.dialects.close import CloseDialect
from services.simulator.dialects.cloudevents import CloudEventsDialect
from services.simulator.dialects.copper import CopperDialect
from services.simulator.dialects.dynamics import DynamicsDialect
from services.simulator.dialects.espocrm import EspoCrmDialect
from services.simulator.dialects.freshsales import FreshsalesDialect
from services.simulator.dialects.hubspot import HubSpotDialect, hubspot, hubspot_events
from services.simulator.dialects.monday import MondayDialect
from services.simulator.dialects.odoo import OdooDialect
from services.simulator.dialects.pipedrive import PipedriveDialect
from services.simulator.dialects.plain import canonical
from services.simulator.dialects.salesforce import SalesforceDialect
from services.simulator.dialects.standardwebhooks import StandardWebhooksDialect
from services.simulator.dialects.twenty import TwentyDialect
from services.simulator.dialects.zoho import ZohoDialect

DIALECTS: dict[str, type[Dialect]] = {
    dialect.kind: dialect
    for dialect in (
        AttioDialect,
        CloseDialect,
        CloudEventsDialect,
        CopperDialect,
        DynamicsDialect,
        EspoCrmDialect,
        FreshsalesDialect,
        HubSpotDialect,
        MondayDialect,
        OdooDialect,
        PipedriveDialect,
        SalesforceDialect,
        StandardWebhooksDialect,
        TwentyDialect,
        ZohoDialect,
    )
}
__all__ = ["DIALECTS", "Dialect", "canonical", "hubspot", "hubspot_events"]
