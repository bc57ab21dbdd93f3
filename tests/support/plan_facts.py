"""A sealed plan as messages say it."""

from __future__ import annotations

from datetime import date
from typing import Any

from shared.contracts.tickets import PlanFacts

LOOKS = (date(2026, 4, 6), date(2026, 5, 4), date(2026, 6, 8))


def plan_facts(**fields: Any) -> PlanFacts:
    """A plan with one task on 5 March, whose change is on 9 March."""
    facts: dict[str, Any] = {
        "cycle": 1,
        "measure": "new/proposal/time_in_stage_median",
        "measure_words": "Time in stage (median), Proposal",
        "change": "Proposals above 50,000 go to the pricing desk on the day they are asked for",
        "change_date": date(2026, 3, 9),
        "predicted": {"size": "3", "unit": "difference", "why": "the wait is for the price"},
        "hash": "a" * 64,
        "looks": LOOKS,
        "tasks": [{"what": "Tell all teams", "who": "sales operations", "by": date(2026, 3, 5)}],
    }
    return PlanFacts.model_validate(facts | fields)
