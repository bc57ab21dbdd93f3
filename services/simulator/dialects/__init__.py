"""How the simulated CRM tells what happens: in every dialect that intake understands, or as Andon's own events."""

from __future__ import annotations

from services.simulator.dialects.attio import Attio
from services.simulator.dialects.base import Dialect
from services.simulator.dialects.close import Close
from services.simulator.dialects.cloudevents import CloudEvents
from services.simulator.dialects.copper import Copper
from services.simulator.dialects.dynamics import Dynamics
from services.simulator.dialects.espocrm import EspoCrm
from services.simulator.dialects.freshsales import Freshsales
from services.simulator.dialects.hubspot import HubSpot, hubspot, hubspot_events
from services.simulator.dialects.monday import Monday
from services.simulator.dialects.odoo import Odoo
from services.simulator.dialects.pipedrive import Pipedrive
from services.simulator.dialects.plain import canonical
from services.simulator.dialects.salesforce import Salesforce
from services.simulator.dialects.standardwebhooks import StandardWebhooks
from services.simulator.dialects.twenty import Twenty
from services.simulator.dialects.zoho import Zoho

DIALECTS: dict[str, type[Dialect]] = {
    dialect.kind: dialect
    for dialect in (
        Attio,
        Close,
        CloudEvents,
        Copper,
        Dynamics,
        EspoCrm,
        Freshsales,
        HubSpot,
        Monday,
        Odoo,
        Pipedrive,
        Salesforce,
        StandardWebhooks,
        Twenty,
        Zoho,
    )
}
__all__ = ["DIALECTS", "Dialect", "canonical", "hubspot", "hubspot_events"]
