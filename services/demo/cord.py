"""The demo's link to the cord of one stage, made once and kept in the demo's folder."""

from __future__ import annotations

from services.demo.topology import Topology
from services.tickets import control
from services.tickets.settings import TicketsSettings
from shared.policy import load

PIPELINE, STAGE = "new", "proposal"
# Of the demo's folder; the database has only a hash of it.
FILE = "cord"


async def cord_address(topology: Topology) -> str:
    """The address at which anyone pulls the cord. The same at each start; a new one where the database is another."""
    file = topology.folder / FILE
    settings = TicketsSettings.from_environment(topology.environment("tickets"))
    token = file.read_text().strip() if file.exists() else ""
    if not await control.is_in_force(settings, token):
        made = await control.new_link(settings, load(settings.policy), PIPELINE, STAGE)
        token = made.address.rpartition("/")[2]
        file.touch(mode=0o600)
        file.write_text(token)
    return f"{topology.tickets_url}/cord/{token}"
