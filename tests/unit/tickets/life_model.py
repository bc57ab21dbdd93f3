"""What a ticket is, in plain words: the model that its life is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Model:
    """What a ticket is, in plain words. Days are counted from the first; `date`: of the change, None without a plan.

    `undo`: what it was before a person's last change; None: that cannot be undone.
    """

    state: str = "open"
    outcome: str | None = None
    closed: float | None = None
    until: float | None = None
    cycle: int = 1
    date: int | None = None
    decision: str | None = None
    undo: Model | None = None
    seq: int = 1

    def then(self, **fields: Any) -> Model:
        return replace(self, **({"seq": self.seq + 1, "undo": None} | fields))

    def undoable(self, **fields: Any) -> Model:
        return self.then(undo=self, **fields)

    def closing(self, outcome: str, at: float) -> dict[str, Any]:
        unused = {"date": None} if self.state == "planned" else {}
        return {"state": "closed", "outcome": outcome, "closed": at, "until": None} | unused

    def again(self, state: str) -> dict[str, Any]:
        cycle = self.cycle if self.date is None else self.cycle + 1
        fresh = {"outcome": None, "closed": None, "date": None, "decision": None}
        return fresh | {"state": state, "cycle": cycle}
