"""The canary: a made-up deal that goes the whole way every few minutes, to show that the way is open.

Its source and its pipeline have a name that no sources file and no policy may use. By it alone its messages are known;
what it leaves is kept in tables of its own (docs/developer/decisions/0028-canary.md).
"""

from __future__ import annotations

CANARY = "andon-canary"
"""Name of the source and of the pipeline."""
CANARY_STAGE = "line"
CANARY_DEALS = f"{CANARY}:"
"""How ids of its deals begin."""
CANARY_DEAL = f"{CANARY_DEALS}deal"
"""The one deal that is sent again and again."""


def is_canary_problem(key: str | None) -> bool:
    """Whether a problem key, `kind/pipeline/stage`, is the canary's."""
    return key is not None and key.split("/")[1:2] == [CANARY]
