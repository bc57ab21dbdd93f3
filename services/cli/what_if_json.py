"""What `andon what-if --format json` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.contracts.envelope import iso
from shared.flow.coverage import Coverage
from shared.flow.intervals import Interval
from shared.flow.statistics.bottleneck import BottleneckInterval, bottleneck_looks
from shared.flow.statistics.chart_records import DRAWN, signal_records, window_records
from shared.flow.statistics.columns import Chart, Column, printed
from shared.flow.statistics.findings import ProblemFinding
from shared.flow.statistics.learned_limits import LearnedLimit
from shared.flow.statistics.log_statistics import LogStatistics
from shared.flow.statistics.questions.forecast import forecast_record
from shared.flow.statistics.weeks import Weeks
from shared.flow.what_if import Found
from shared.policy import Policy
from shared.runtime.instants import moment


def answer_record(found: Found, covered: Coverage, with_visits: bool) -> dict[str, Any]:
    """The problems, and how many events they rest on."""
    result: dict[str, Any] = {
        "as_of": _time(found.as_of),
        "problems": {key: [interval_json(one) for one in some] for key, some in found.problems.items()},
        "events": covered.total.events,
        "deals": covered.total.deals,
        "unknown": list(_unknown(covered)),
        "without_stage": {"events": covered.without_stage.events, "deals": covered.without_stage.deals},
    }
    if with_visits:
        result["visits"] = [
            [deal, v.pipeline, v.stage, _time(v.entered), _time(v.left), v.known] for deal, v in found.visits
        ]
    return result


def _unknown(covered: Coverage) -> Iterator[dict[str, Any]]:
    """The stages that the policy does not know; the one with the most events comes first."""
    for (pipeline, stage), share in sorted(covered.unknown.items(), key=lambda item: -item[1].events):
        yield {"pipeline": pipeline, "stage": stage, "events": share.events, "deals": share.deals}


def interval_json(interval: Interval) -> dict[str, Any]:
    """One interval."""
    return {"opened_at": _time(interval.opened_at), "cleared_at": _time(interval.cleared_at), "peak": interval.peak}


def statistics_record(found: Found, policy: Policy) -> dict[str, Any]:
    """What `--measures` adds; also to the problems: why each was, and what it rests on."""
    said = found.statistics
    return {
        "problems": {key: [_finding(one, said.weeks) for one in some] for key, some in found.findings.items()},
        "measures": list(_measures(said, policy)),
        "signals": dict(_signals(said)),
        "learned": {_time(said.as_of): {"/".join(at): _limit(one) for at, one in said.learned_limits.items()}},
        "windows": {
            name: record
            for watch in said.watches
            for name, record in window_records(watch, said.charts.judged(watch.chart), said.weeks)
        },
        "learned_counts": {"/".join(at): [one.fields() for one in some] for at, some in said.learned_versions.items()},
        "bottlenecks": {
            "/".join(at): [[said.weeks.name(week), *pieces] for week, *pieces in bottleneck_looks(charts)]
            for at, charts in said.bottleneck_charts.items()
        },
        "forecast": {name: forecast_record(one) for name, one in said.forecasts.items()},
        "chance": {key: one.fields() for key, one in said.chances.items()},
    }


def _finding(found: ProblemFinding, weeks: Weeks) -> dict[str, Any]:
    record = interval_json(found.interval)
    if found.cause is not None:
        record["cause"] = found.cause.value
    if found.trigger:
        record["trigger"] = [weeks.name(week) for week in found.trigger]
    return record if found.bottleneck is None else record | _bottleneck(found.bottleneck)


def _bottleneck(found: BottleneckInterval) -> dict[str, Any]:
    little = found.little._asdict() | {"holds": found.little.holds}
    return {"label": found.label.value, "next_starved": found.next_starved, "little": little}


def _measures(said: LogStatistics, policy: Policy) -> Iterator[dict[str, Any]]:
    """A row for each week and stage, and one for each week and pipeline, whose stage is empty."""
    values = said.measures.values
    for name, pipeline in policy.pipelines.items():
        for week in range(said.weeks.over(said.as_of)):
            for stage in [*pipeline.open_stages, ""]:
                charts = {column: Chart(name, stage, column) for column in Column}
                row = {"pipeline": name, "stage": stage, "period": said.weeks.name(week)}
                yield row | {
                    column.value: printed(column, values[chart][week]) if chart in values else None
                    for column, chart in charts.items()
                }


def _signals(said: LogStatistics) -> Iterator[tuple[str, Any]]:
    for chart in said.measures.values:
        if chart.column in DRAWN:
            yield from signal_records(chart, said.charts.drawn(chart), said.weeks)


def _limit(found: LearnedLimit) -> dict[str, Any]:
    seconds = None if found.limit is None else found.limit / 1_000_000
    return {"finished": found.finished, "open": found.open, "limit_s": seconds}


def _time(instant: int | None) -> str | None:
    return None if instant is None else iso(moment(instant))
