"""The canary's policy: one stage in which no deal may be. It is made here, so that no policy file has to know of it."""

from __future__ import annotations

from shared.contracts.canary import CANARY, CANARY_STAGE
from shared.policy.model import Policy

DEFAULT_MAIL = "andon-canary@andon.invalid"


def canary_policy(mail: str = DEFAULT_MAIL) -> Policy:
    """Its mails go to `mail`. A problem that comes back is a new ticket, so that each run begins as a first one."""
    pipeline = {
        "name": "canary of Andon: nothing to do",
        "owner": {"name": "Canary", "mail": mail},
        "stages": [{"id": CANARY_STAGE, "name": "Canary"}],
        "rules": [{"kind": "wip-high", "stage": CANARY_STAGE, "max": 0}],
    }
    written = {"version": 1, "reopen_within": "0s", "pipelines": {CANARY: pipeline}}
    return Policy.model_validate(written).with_digest(CANARY)
