"""Which role each route asks for. A route without a line here is refused to all (and fails a test)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.tickets.access.roles import Role

PUBLIC: Final = Role.NOBODY
READ, WORK, OWN, RUN = Role.VIEWER, Role.MEMBER, Role.OWNER, Role.ADMIN
_API = "/api/v1"
_TICKET = "/tickets/{number:ticket}"

# Data that people take with them: the audit log says who did.
EXPORTS = (f"{_TICKET}/deals.csv", "/ledger.csv", f"{_API}/tickets/{{number}}/deals.csv")

# GET stands for HEAD as well. `{action}` of a ticket's form is any step of a ticket.
RULES: Mapping[tuple[str, str], Role] = {
    # For machines.
    ("GET", "/livez"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    # Looks only.
    ("GET", "/static/{path:path}"): PUBLIC,
    ("GET", "/favicon.ico"): PUBLIC,
    # The cord: nobody may be asked who pulls. Its links are secrets.
    ("GET", "/cord/{token}"): PUBLIC,
    ("POST", "/cord/{token}"): PUBLIC,
    ("GET", "/cord/{token}/{receipt}"): PUBLIC,
    ("GET", "/cord/{rest:path}"): PUBLIC,
    ("POST", "/cord/{rest:path}"): PUBLIC,
    # Due dates for programs that cannot sign in. The link is a secret.
    ("GET", "/calendar/{token}.ics"): PUBLIC,
    # One ticket, for reading only. The link is signed, and expires.
    ("GET", "/read/{token}"): PUBLIC,
    # Sign-in itself.
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("GET", "/sign-in/link/{token}"): PUBLIC,
    ("POST", "/sign-in/link/{token}"): PUBLIC,
    ("GET", "/sign-in/provider"): PUBLIC,
    ("GET", "/sign-in/provider/answer"): PUBLIC,
    ("POST", "/sign-out"): READ,
    ("GET", "/account"): READ,
    ("POST", "/account/password"): READ,
    ("POST", "/account/sessions"): READ,
    ("POST", "/account/tokens"): READ,
    ("POST", "/account/tokens/{number:int}"): READ,
    ("POST", "/account/calendar"): READ,
    ("POST", "/account/calendar/revoke"): READ,
    # Pages.
    ("GET", "/"): READ,
    ("GET", "/tickets"): READ,
    ("GET", "/pipelines"): READ,
    ("GET", "/pipelines/{name:path}"): READ,
    ("GET", "/meeting"): READ,
    ("GET", "/stage"): READ,
    ("GET", "/charts/{name:path}"): READ,
    ("GET", "/what-if"): READ,
    ("GET", "/what-if.yaml"): READ,
    ("GET", "/policy"): READ,
    ("GET", "/policy.yaml"): READ,
    ("GET", "/policy/versions/{number:int}"): READ,
    ("GET", "/policy/text"): READ,
    ("GET", "/policy/pipelines/{name:path}"): READ,
    ("GET", "/policy/shared"): READ,
    ("GET", "/forecast"): READ,
    ("GET", "/ledger"): READ,
    ("GET", "/ledger.csv"): READ,
    ("GET", _TICKET): READ,
    ("GET", f"{_TICKET}/deals.csv"): READ,
    ("GET", f"{_TICKET}/{{chart}}.svg"): READ,
    ("GET", f"{_TICKET}/chart.png"): READ,
    ("GET", f"{_TICKET}/plan"): READ,
    ("GET", f"{_TICKET}/draft"): READ,
    ("GET", f"{_TICKET}/seal"): READ,
    ("GET", f"{_TICKET}/{{action:action}}"): READ,
    # Forms.
    ("POST", f"{_TICKET}/draft"): WORK,
    ("POST", f"{_TICKET}/seal"): WORK,
    ("POST", f"{_TICKET}/{{action}}"): WORK,
    # The handler asks for the owner of the chart's pipeline.
    ("POST", "/charts/{name:path}"): WORK,
    # The handler asks for the owners of the pipelines that change.
    ("POST", "/policy"): WORK,
    ("POST", "/policy/review"): WORK,
    ("POST", "/policy/pipelines/{name:path}"): WORK,
    ("POST", "/policy/shared"): WORK,
    # The API.
    ("GET", f"{_API}/openapi.json"): PUBLIC,
    ("GET", f"{_API}/tickets"): READ,
    ("GET", f"{_API}/tickets/{{number}}"): READ,
    ("GET", f"{_API}/tickets/{{number}}/deals.csv"): READ,
    ("GET", f"{_API}/tickets/{{number}}/plan"): READ,
    ("GET", f"{_API}/pipelines"): READ,
    ("GET", f"{_API}/pipelines/{{name:path}}"): READ,
    ("GET", f"{_API}/charts/{{name:path}}"): READ,
    ("GET", f"{_API}/policy"): READ,
    ("GET", f"{_API}/policy/versions"): READ,
    ("GET", f"{_API}/policy/versions/{{number}}"): READ,
    ("GET", f"{_API}/ledger"): READ,
    ("GET", f"{_API}/meeting"): READ,
    # The handler asks for the owners of the pipelines that change.
    ("POST", f"{_API}/policy"): WORK,
    # The handler asks for the owner of the chart's pipeline.
    ("POST", f"{_API}/charts/{{name:path}}"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/acknowledge"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/snooze"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/close"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/reopen"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/undo"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/draft"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/seal"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/reschedule"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/start"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/withdraw"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/decide"): WORK,
    ("POST", f"{_API}/tickets/{{number}}/link"): WORK,
}
