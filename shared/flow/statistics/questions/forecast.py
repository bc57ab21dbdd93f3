"""How many closings do the weeks of a pipeline promise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.flow.statistics.forecast import Forecast, forecast
from shared.flow.statistics.questions.fields import Fields, refusal

_FIELDS = ("ask", "throughput", "open", "silence")
# No pipeline closes more in a week; beyond it the exact distribution becomes slow.
_GREATEST = 100_000


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """The forecast, as printed. Raises QuestionError."""
    fields = Fields(question, _FIELDS)
    throughput = _throughput(fields)
    return forecast_record(
        forecast(throughput, fields.whole("open", 0, 10**9), silent=fields.flag("silence", default=False))
    )


def forecast_record(found: Forecast) -> dict[str, Any]:
    """A forecast as `andon what-if` and `andon verify` print it."""
    return {
        **asdict(found),
        "at_least": found.at_least and {str(weeks): least for weeks, least in found.at_least.items()},
        "range": found.range and {str(weeks): list(ends) for weeks, ends in found.range.items()},
    }


def _throughput(fields: Fields) -> list[int]:
    found = []
    for index, value in enumerate(fields.weeks("throughput")):
        if value is not None and not (isinstance(value, int) and 0 <= value <= _GREATEST):
            way_out = f"write a whole number from 0 to {_GREATEST}, or null for a week without a value"
            raise refusal(f"throughput[{index}]", value, way_out)
        if value is not None:
            found.append(int(value))
    return found
