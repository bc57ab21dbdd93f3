"""Service: each replica, its process, and the servers it stands on."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import frame, panels
from deploy.dashboards.layout import Fold, Shelf, evenly
from deploy.dashboards.panels import About, TableColumn, Unit
from deploy.dashboards.queries import annotation, now, over_time, rows
from deploy.dashboards.scales import GREEN, GREY, LOWEST, NEUTRAL, ORANGE, RED, Scale, bad_from, good_from

_CHOSEN = 'service=~"$service",instance=~"$replica"'
_UP = f'job="andon",{_CHOSEN}'
_NAME = "{{service}} {{instance}}"
_LOG = "`docker compose logs --tail 50 SERVICE`."
_NEVER = "never: it is neither good nor bad by itself."
FRAME = frame.Frame(
    "service",
    "Andon: service",
    "How is each replica, and what it stands on?",
    "6h",
    variables=[
        frame.labels("service", "Service", 'label_values(up{job="andon"}, service)'),
        frame.labels("replica", "Replica", 'label_values(up{job="andon",service=~"$service"}, instance)'),
    ],
    annotations=[
        annotation("Restarts", "orange", f"changes(process_start_time_seconds{{{_UP}}}[1m]) > 0", "{{service}} started")
    ],
)


def service() -> dashboard.Dashboard:
    """The dashboard of processes and servers."""
    first = [
        evenly(4, _silent(), _stuck(), _cut_off(), _waiting(), _behind(), _delay()),
        evenly(9, _cpu(), _memory()),
        evenly(9, _loops(), _pool()),
    ]
    folds = [Fold("Process", _process()), Fold("Pages and API", _pages()), Fold("Kafka and Postgres", _servers())]
    folds.append(Fold("Machine and Postgres, where their exporters run", _exporters()))
    return frame.framed(FRAME, first, folds)


def _silent() -> dashboard.Panel:
    about = About("replicas that do not answer.", "there is one.", f"`docker compose ps`; {_LOG}")
    query = now(f"count(up{{{_UP}}}) - sum(up{{{_UP}}})")
    return panels.tile("Replicas down", about, query, Unit("none", "none is watched", 0), bad_from(1, without=RED))


def _stuck() -> dashboard.Panel:
    about = About(
        "loops of replicas that make no progress.",
        "there is one.",
        "its log has the stacks: `docker compose logs SERVICE`; then `docker compose restart SERVICE`.",
    )
    query = now(f"sum(andon_loop_ready{{{_CHOSEN}}} == bool 0)")
    return panels.tile("Loops stuck", about, query, Unit("none", "no replica answers", 0), bad_from(1, without=RED))


def _cut_off() -> dashboard.Panel:
    about = About(
        "connections of replicas to Kafka, Postgres and others that do not answer.",
        "there is one.",
        "all of one server: `docker compose restart kafka` (or `postgres`); of one replica: its network.",
    )
    query = now(f"sum(andon_dependency_up{{{_CHOSEN}}} == bool 0)")
    unit = Unit("none", "no replica answers", 0)
    return panels.tile("Connections lost", about, query, unit, bad_from(1, without=RED))


def _waiting() -> dashboard.Panel:
    about = About(
        "tasks that wait for a connection to Postgres.",
        "one waits (orange), or ten (red).",
        "`docker compose logs --tail 50 postgres`: a long transaction, or a slow disk.",
    )
    query = now(f"sum(andon_pool_waiting_tasks{{{_CHOSEN}}})")
    unit = Unit("none", "no replica answers", 0)
    return panels.tile("Waiting for Postgres", about, query, unit, bad_from(10, warn=1))


def _behind() -> dashboard.Panel:
    about = About(
        "replicas that work by another version of the policy than the one in force.",
        "there is one (orange: it may be changing over).",
        _LOG,
    )
    query = now(f"sum(andon_policy_behind{{{_CHOSEN}}})")
    unit = Unit("none", "no replica answers", 0)
    return panels.tile("On an older policy", about, query, unit, Scale(RED, (LOWEST, GREEN), (1, ORANGE)))


def _delay() -> dashboard.Panel:
    about = About(
        "how much later than asked for tasks wake up, 99 of 100, in five minutes.",
        "half a second (orange), or two (red).",
        "a processor is too busy, or code blocks: `docker compose logs SERVICE` has stacks.",
    )
    query = now(
        f"max(histogram_quantile(0.99, sum by (service, instance, le)"
        f" (rate(andon_event_loop_delay_seconds_bucket{{{_CHOSEN}}}[5m]))))"
    )
    return panels.tile("Late to wake up", about, query, Unit("s", "not measured yet", 3), bad_from(2, warn=0.5))


def _cpu() -> dashboard.Panel:
    about = About(
        "processors that each replica uses; a service uses one at most, tickets more for charts.",
        "never: much work is no fault. *Late to wake up* says when it is too much.",
        "start another replica: `docker compose up -d --scale SERVICE=2`.",
    )
    query = over_time(f"rate(process_cpu_seconds_total{{{_UP}}}[$__rate_interval])", _NAME)
    return panels.lines("How busy is each replica?", about, [query], Unit("none", "no replica answers", 2))


def _memory() -> dashboard.Panel:
    about = About(
        "memory of each replica's main process.",
        "never: its limit is set in the deployment, which it does not know.",
        "compare with `docker stats`; a line that only rises is a leak: restart, and keep the support bundle.",
    )
    query = over_time(f"process_resident_memory_bytes{{{_UP}}}", _NAME)
    return panels.lines("How much memory has each replica?", about, [query], Unit("bytes", "no replica answers"))


def _loops() -> dashboard.Panel:
    about = About(
        "how much later than asked for tasks wake up, 99 of 100.",
        "half a second (orange), or two (red).",
        "a processor is too busy, or code blocks: `docker compose logs SERVICE` has stacks.",
    )
    query = over_time(
        f"histogram_quantile(0.99, sum by (service, instance, le)"
        f" (rate(andon_event_loop_delay_seconds_bucket{{{_CHOSEN}}}[$__rate_interval])))",
        _NAME,
    )
    return panels.lines(
        "How late do tasks wake up?", about, [query], Unit("s", "no replica answers"), bad_from(2, warn=0.5)
    )


def _pool() -> dashboard.Panel:
    about = About(
        "the share of a replica's connections to Postgres that is in use.",
        "nine of ten (orange), or all (red): tasks wait then.",
        "`docker compose logs --tail 50 postgres`: a long transaction, or a slow disk.",
    )
    query = over_time(f"andon_pool_connections_in_use{{{_CHOSEN}}} / andon_pool_connections_max{{{_CHOSEN}}}", _NAME)
    unit = Unit("percentunit", "no replica answers", 0, 0, 1)
    return panels.lines("How full is each pool of connections?", about, [query], unit, bad_from(1, warn=0.9))


def _process() -> Sequence[Shelf]:
    python = f"rate(python_gc_collections_total{{{_UP}}}[$__rate_interval])"
    files = f"process_open_fds{{{_UP}}} / process_max_fds{{{_UP}}}"
    return [
        evenly(
            8,
            _of_replicas(
                "How often is memory collected?", "collections in a second.", python, Unit("ops"), "{{generation}}"
            ),
            panels.lines(
                "How many files are open?",
                About("of those that may be.", "seven of ten (orange), or nine (red).", _LOG),
                [over_time(files, _NAME)],
                Unit("percentunit", "no replica answers", 0, 0),
                bad_from(0.9, warn=0.7),
            ),
            panels.lines(
                "When were partitions shared out anew?",
                About("rebalances of the last interval, by topic.", "five (orange), or twenty (red).", _LOG),
                [
                    over_time(
                        f"increase(andon_consumer_rebalances_total{{{_CHOSEN}}}[$__rate_interval])",
                        "{{service}} {{instance}} {{topic}}",
                    )
                ],
                Unit("none", "none: good", 0),
                bad_from(20, warn=5),
            ),
        ),
        evenly(8, _versions(), _unmeasured()),
    ]


def _versions() -> dashboard.Panel:
    about = About(
        "the version of each service, and the revision of its source.",
        "never: two versions run side by side during an update.",
        "`docker compose up -d` starts the new one everywhere.",
    )
    query = rows(f"sum by (service, version, revision) (andon_build_info{{{_CHOSEN}}})")
    names = {"service": "Service", "version": "Version", "revision": "Revision", "Value": "Replicas"}
    steps = panels.arranged(list(names), names)
    columns = [TableColumn("Replicas", unit="none")]
    return panels.grid("Which version runs?", about, [query], columns, "no replica answers", steps)


def _unmeasured() -> dashboard.Panel:
    about = About(
        "values that no replica could measure for two minutes, and for how long: their panels are empty.",
        "there is one.",
        "`docker compose logs --tail 50 SERVICE` says why; mostly its server does not answer.",
    )
    query = rows("sort_desc(time() - max by (service, what) (andon_measured_timestamp_seconds) > 120)")
    names = {"service": "Service", "what": "Value of", "Value": "Not since"}
    steps = panels.arranged(list(names), names)
    columns = [TableColumn("Not since", unit="s", scale=bad_from(120))]
    return panels.grid("What cannot be measured?", about, [query], columns, "none: good", steps)


def _pages() -> Sequence[Shelf]:
    slow = "histogram_quantile(0.95, sum by (route, le) (rate(andon_http_request_seconds_bucket[$__rate_interval])))"
    failed = 'sum by (route, status) (rate(andon_http_request_seconds_count{status=~"4xx|5xx"}[$__rate_interval]))'
    log = "`docker compose logs --tail 50 tickets`."
    return [
        evenly(
            8,
            panels.lines(
                "How long do pages take?",
                About("what 95 of 100 take, by address.", "a second (orange), or three (red).", log),
                [over_time(slow, "{{route}}")],
                Unit("s", "nobody looked"),
                bad_from(3, warn=1),
            ),
            panels.lines(
                "Which pages fail?",
                About("answers 4xx and 5xx in a second.", "more than one in 10 s (red).", log),
                [over_time(failed, "{{route}} {{status}}")],
                Unit("reqps", "none: good"),
                bad_from(0.1),
            ),
        )
    ]


def _servers() -> Sequence[Shelf]:
    lag = 'sum by (service, topic) (andon_consumer_lag_records{service=~"$service"})'
    return [
        evenly(
            8,
            _of_servers(
                "How large is each schema?", "max by (schema) (andon_schema_bytes)", Unit("bytes", "not measured")
            ),
            _of_servers(
                "How much does each schema grow in a day?",
                "max by (schema) (deriv(andon_schema_bytes[6h])) * 86400",
                Unit("bytes", "not measured yet"),
            ),
            panels.lines(
                "How many records are unread?",
                About("in Kafka, by service and topic.", _NEVER, "*Line* has their age, which matters."),
                [over_time(lag, "{{service}} {{topic}}")],
                Unit("none", "no replica answers", 0),
            ),
        )
    ]


def _exporters() -> Sequence[Shelf]:
    log = "`docker compose logs --tail 50 postgres`."
    none = "needs the exporter of Postgres"
    oldest = 'max by (instance) (pg_stat_activity_max_tx_duration{state!="idle"})'
    vacuum = "topk(10, time() - max by (relname) (pg_stat_user_tables_last_autovacuum > 0))"
    connections = panels.lines(
        "How many connections has Postgres?",
        About("connections by their state.", _NEVER, log),
        [over_time("sum by (state) (pg_stat_activity_count)", "{{state}}")],
        Unit("none", none, 0),
    )
    transaction = panels.lines(
        "How old is the oldest transaction?",
        About("of those that do something.", "five minutes (orange), or an hour (red).", log),
        [over_time(oldest, "{{instance}}")],
        Unit("s", none),
        bad_from(3600, warn=300),
    )
    vacuumed = panels.lines(
        "When was each table vacuumed?",
        About("how long ago, by itself.", "never: small tables need none for weeks.", log),
        [over_time(vacuum, "{{relname}}")],
        Unit("s", none),
    )
    return [evenly(8, _disks(), connections, transaction, vacuumed)]


def _disks() -> dashboard.Panel:
    about = About(
        "at the pace of the last six hours; 3,650 and more: it does not fill.",
        "less than a week (orange), or a day (red).",
        "make space, or grow the disk, now: see the runbook DiskFull.",
    )
    free = 'node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|overlay"}'
    query = over_time(
        f"clamp_max({free} / clamp_min(-deriv({free}[6h]) * 86400, 1), 3650)", "{{instance}} {{mountpoint}}"
    )
    unit = Unit("d", "needs the node exporter", 1)
    return panels.lines("How many days until a disk is full?", about, [query], unit, good_from(7, warn=1, without=GREY))


def _of_replicas(title: str, shows: str, expr: str, unit: Unit, more: str) -> dashboard.Panel:
    return panels.lines(title, About(shows, _NEVER, _LOG), [over_time(expr, f"{_NAME} {more}")], unit, NEUTRAL)


def _of_servers(title: str, expr: str, unit: Unit) -> dashboard.Panel:
    about = About("in Postgres, indexes included.", _NEVER, "*capacity.md* says how much is usual; `andon doctor`.")
    return panels.lines(title, about, [over_time(expr, "{{schema}}")], unit)
