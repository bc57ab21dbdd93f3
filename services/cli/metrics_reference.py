"""Every metric of every service, from the registries that the services make: for the reference page and for tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric

from services.analyst.metrics import AnalystMetrics
from services.canary.metrics import CanaryMetrics
from services.detector.metrics import DetectorMetrics
from services.enricher.metrics import EnricherMetrics
from services.intake.metrics import IntakeMetrics
from services.notifier.dead_letter_watch import DeadLetterWatch
from services.notifier.hooks.metrics import HookMetrics
from services.notifier.metrics import NotifierMetrics
from services.tickets.cord.metrics import CordMetrics
from services.tickets.metrics import TicketMetrics
from services.tickets.route_times import RouteTimes
from shared.kafka.access import KafkaAccess
from shared.postgres.metrics import PoolUse, SchemaMetrics
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import LoopReady, Progress
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import new_registry
from shared.stream.policy_follower import behind_gauge

_SCOPE = re.compile(r" Of (the system|a replica): aggregate by (max|min|sum)\.$")


class MetricReference(NamedTuple):
    """One metric as its help describes it. `whose`: the system's or a replica's; `aggregate`: max, min or sum."""

    name: str
    kind: str
    labels: Sequence[str]
    meaning: str
    whose: str
    aggregate: str


def registries() -> Mapping[str, CollectorRegistry]:
    """The metrics of our own: those of all services, of services that consume, and of each service."""
    found = {
        "all services": new_registry(""),
        **{
            name: CollectorRegistry()
            for name in (
                "services that consume",
                "intake",
                "detector",
                "analyst",
                "enricher",
                "tickets",
                "notifier",
                "canary",
            )
        },
    }
    found["all services"].register(LoopReady(Progress()))
    Dependencies({}, found["all services"])
    LoopDelay(found["all services"])
    ConsumerMetrics.of_topics(found["services that consume"], {"events": "events"})
    OutboxMetrics(found["services that consume"])
    SchemaMetrics(found["services that consume"])
    behind_gauge(found["services that consume"])
    found["services that consume"].register(PoolUse(None))
    IntakeMetrics(found["intake"], ["crm"])
    DetectorMetrics(found["detector"])
    AnalystMetrics(found["analyst"])
    EnricherMetrics(found["enricher"], ["crm"])
    TicketMetrics(found["tickets"])
    CordMetrics(found["tickets"])
    RouteTimes(found["tickets"])
    NotifierMetrics(found["notifier"])
    HookMetrics(found["notifier"], ["erp"])
    DeadLetterWatch(KafkaAccess("none:1"), "", found["notifier"])
    CanaryMetrics(found["canary"])
    return found


def metrics_of(registry: CollectorRegistry) -> Iterator[MetricReference]:
    """The metrics whose names begin with andon_, by name. Raises ValueError where a help does not say whose it is."""
    for family in sorted(registry.collect(), key=lambda one: one.name):
        if not family.name.startswith("andon_"):
            continue
        scope = _SCOPE.search(family.documentation)
        if scope is None:
            raise ValueError(f"the help of {family.name} does not say whose it is: {family.documentation}")
        name = family.name + ("_total" if family.type == "counter" else "")
        meaning = family.documentation[: scope.start()].removesuffix(".")
        yield MetricReference(name, family.type, _labels(registry, family), meaning, scope[1], scope[2])


def _labels(registry: CollectorRegistry, family: Metric) -> Sequence[str]:
    """The names of the labels, also of a metric without samples: the client has no public name for them."""
    if hasattr(family, "_labelnames"):
        return tuple(getattr(family, "_labelnames", ()))
    collectors = getattr(registry, "_names_to_collectors", {})
    return tuple(getattr(collectors[family.name], "_labelnames", ()))


def page() -> Iterator[str]:
    """The lines of docs/operator/metrics.md."""
    yield _INTRODUCTION
    shown: set[str] = set()
    for where, registry in registries().items():
        # When gauges were measured shows wherever there are some.
        metrics = [one for one in metrics_of(registry) if one.name not in shown]
        shown |= {one.name for one in metrics}
        yield f"\n## {where[0].upper()}{where[1:]}\n"
        yield "| metric | type | meaning | whose | aggregate by |\n|---|---|---|---|---|"
        for one in metrics:
            labels = f"{{{','.join(one.labels)}}}" if one.labels else ""
            meaning = one.meaning[0].lower() + one.meaning[1:]
            yield f"| `{one.name}{labels}` | {one.kind} | {meaning} | {one.whose} | {one.aggregate} |"


_INTRODUCTION = """# Metrics

Five [dashboards](dashboards.md) show them. Alerts and what to do: [alerts.md](alerts.md). No label holds a deal, a
person or a ticket.

*The system's*: every replica reads the same value from the database or Kafka; aggregate by `max`, as a sum would count
it once for each replica. *A replica's*: aggregate as the table says. Panels and alerts do so.

A gauge that is read from Postgres or Kafka has no sample while it cannot be measured: it disappears within about a
minute after the server is lost ([DependencyDown](runbooks/DependencyDown.md) fires), and
`andon_measured_timestamp_seconds` says since when. `/metrics` is generated at most once a second, in a thread, and
served from memory in between; where that takes longer than 30 ms, the answer is the one before. Each service has the
metrics of its process (`process_*`, `python_gc_*`), too.

The series are bounded: a detector has at most 13 for each stage, of the first 5,000 open stages of the policy. The
deals of all others are added up in `andon_flow_deals{pipeline="other",stage="other"}`.

`andon_ticket_waiting_seconds` has buckets whose counts also fall, with `_gcount` and `_gsum`: no rates of it.

In Compose the profile `watch` runs the exporters of the server and of Postgres. List others that you run in
`deploy/prometheus/targets/*.yml`, as `- {targets: ["kafka-exporter:9308"]}`. [DiskFull](runbooks/DiskFull.md) needs the
one of the server.

`andon_stage_info` gives panels the names of stages:
`max by (pipeline, stage) (andon_flow_deals) * on (pipeline, stage) group_left (stage_name)
max by (pipeline, stage, stage_name) (andon_stage_info)`"""
