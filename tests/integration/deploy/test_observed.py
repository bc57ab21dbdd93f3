"""What operations see: every query of every dashboard and alert runs on a real Prometheus and Postgres."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.demo.ports import free_port
from services.demo.server import tail
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.runtime.yaml_file import read_yaml, write_yaml
from tests.support.alert_rules import RULES, alert_rules, recording_rules
from tests.support.databases import migrated_database
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
_METRIC = re.compile(r"\b(andon_[a-z_]+|process_[a-z_]+|up)\b")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian's package prometheus)"
)


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield f"{path.stem}: {panel['title']}", panel


def promql() -> dict[str, str]:
    """Every expression of panels and alerts, with Grafana's variables filled in."""
    found = {
        f"{name} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for name, panel in panels()
        for target in panel["targets"]
        if "expr" in target
    }
    found |= {f"record {rule['record']} {rule.get('labels', '')}": rule["expr"] for rule in recording_rules()}
    return found | {f"alert {rule['alert']} {rule['labels']['severity']}": rule["expr"] for rule in alert_rules()}


def sql() -> dict[str, str]:
    """Every SQL query, with Grafana's macros as Grafana writes them out."""
    found = {}
    for name, panel in panels():
        for target in panel["targets"]:
            if "rawSql" in target:
                query = re.sub(
                    r"\$__timeFilter\(([^)]+)\)", r"\1 BETWEEN now() - interval '90 days' AND now()", target["rawSql"]
                )
                query = query.replace("$__timeFrom()", "(now() - interval '90 days')").replace("$__timeTo()", "now()")
                found[name] = query.replace("${pipeline:sqlstring}", "'new','enterprise'")
    return found


@pytest.fixture(scope="module")
async def services(kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """All of them, on an empty database of their own."""
    folder = tmp_path_factory.mktemp("observed")
    dsn = await migrated_database(postgres)
    await create_topics(KafkaAccess(kafka), "observed.")
    (folder / "hooks.yaml").write_text("hooks:\n  chat: {kind: slack, url: 'https://chat.invalid/in'}\n")
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": "observed.",
        "ANDON_POLICY": str(DEPLOY / "policy.yaml"),
        "ANDON_SOURCES": str(DEPLOY / "sources.yaml"),
        "ANDON_NOTIFIER_HOOKS": str(folder / "hooks.yaml"),
        "HUBSPOT_SECRET": "a-secret-for-the-test",
    }
    running = {name: ServiceProcess(name, environment, folder) for name in SERVICES}
    for service in running.values():
        service.start()
    for service in running.values():
        service.ready()
    yield running, dsn
    for service in running.values():
        service.stop()


@pytest.fixture(scope="module")
async def prometheus(services: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A real Prometheus with the deployed configuration, its targets put to the running services."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(write_yaml(prometheus_configuration(services[0])))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"

    try:
        await eventually(lambda: services_up(url), lambda count: count == len(SERVICES), 40)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        assert "panic" not in tail(folder / "log", 50)


def prometheus_configuration(running: Mapping[str, ServiceProcess]) -> dict[str, Any]:
    """The deployed configuration, scraping the running services once a second."""
    _, document = read_yaml((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    for target in document["scrape_configs"][0]["static_configs"]:
        target["targets"] = [f"127.0.0.1:{running[target['labels']['service']].port}"]
    every_second = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {**document, "global": every_second, "rule_files": [str(path) for path in RULES]}


async def services_up(url: str) -> int:
    """How many services were up in every one of at least three scrapes."""
    query = "sum(min_over_time(up[30s]) * (count_over_time(up[30s]) > bool 2))"
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{url}/api/v1/query", params={"query": query})
        found = answer.json()["data"]["result"]
        return int(found[0]["value"][1]) if found else 0
    except (httpx.HTTPError, ValueError, KeyError):
        return 0


@needs_prometheus
async def test_every_promql_runs_and_names_metrics_that_there_are(prometheus: str) -> None:
    async with httpx.AsyncClient() as client:
        for name, expression in promql().items():
            answer = (await client.get(f"{prometheus}/api/v1/query", params={"query": expression})).json()
            assert answer["status"] == "success", f"{name}: {answer}"

        named = {name for expression in promql().values() for name in metrics_in(expression)}

        async def missing() -> set[str]:
            values = await client.get(f"{prometheus}/api/v1/label/__name__/values")
            return named - set(values.json()["data"])

        # A gauge that was not measured yet is left out, so some come late. Some have nothing to show before the first
        # event (tests/integration/detector/test_gauges.py), backup, or canary, or where no CRM has an API.
        later = {
            "andon_source_last_event_timestamp_seconds",
            "andon_flow_unknown_stage_deals",
            "andon_backup_last_success_timestamp_seconds",
            "andon_canary_last_success_timestamp_seconds",
            "andon_canary_stuck",
            "andon_enricher_reconciled_timestamp_seconds",
        }
        await eventually(missing, later.issuperset, 60)


def metrics_in(expression: str) -> set[str]:
    return set(_METRIC.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expression)))


@needs_prometheus
async def test_the_rules_are_loaded_and_none_of_them_fails(prometheus: str) -> None:
    async with httpx.AsyncClient() as client:
        groups = (await client.get(f"{prometheus}/api/v1/rules")).json()["data"]["groups"]

    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(alert_rules()) + len(recording_rules())
    assert {rule["health"] for rule in rules} == {"ok"}


async def test_every_sql_query_runs(services: Any) -> None:
    connection = await asyncpg.connect(services[1])
    for name, query in sql().items():
        try:
            await connection.fetch(query)
        except asyncpg.PostgresError as error:
            pytest.fail(f"{name}: {error}\n{query}")
    await connection.close()


@needs_prometheus
def test_promtool_finds_no_fault_and_alerts_fire_when_they_should(tmp_path: Path) -> None:
    rules = [str(path) for path in RULES]
    tests = (Path(__file__).parent / "rules.test.yml").read_text().replace("RULES", ", ".join(rules))
    (tmp_path / "rules.test.yml").write_text(tests)
    for command in (["check", "rules", *rules], ["test", "rules", str(tmp_path / "rules.test.yml")]):
        ended = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text())

    assert dashboard["uid"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["description"], f"{panel['title']} does not say what it shows"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


# What a panel must show in red and in green. Every other stat and gauge has one fixed colour, which says neither.
BAD_AND_GOOD = {
    "health: Services": (0, 1),
    "health: Kafka and Postgres": (0, 1),
    "health: Kafka, as seen by intake": (0, 1),
    "health: Time since the last event": (86_400, 60),
    "tickets: Mails rejected in the last day": (1, 0),
    "tickets: Oldest waiting mail": (900, 0),
}
COLOURED = {name: panel for name, panel in panels() if panel["type"] in {"stat", "gauge", "bargauge"}}


def colour_of(panel: Mapping[str, Any], value: float | None) -> str:
    """The colour that Grafana gives to a value; None: there is no sample."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    reached = [one for one in steps if one["value"] is None or (value is not None and value >= one["value"])]
    return str(reached[-1]["color"])


@pytest.mark.parametrize("name", COLOURED)
def test_a_panel_shows_red_for_a_bad_value_and_for_none(name: str) -> None:
    defaults = COLOURED[name]["fieldConfig"]["defaults"]

    if name not in BAD_AND_GOOD:
        assert defaults["color"] == {"mode": "fixed", "fixedColor": "blue"}
        return
    bad, good = BAD_AND_GOOD[name]
    assert (defaults["color"]["mode"], defaults["thresholds"]["mode"]) == ("thresholds", "absolute")
    assert [colour_of(COLOURED[name], value) for value in (bad, good, None)] == ["red", "green", "red"]
    assert defaults["noValue"]


def test_no_panel_with_a_bad_value_has_gone() -> None:
    assert set(BAD_AND_GOOD) <= set(COLOURED)


# A dashboard over days asks for a point an hour or more: a new installation has none of these yet.
LONGEST_WITHOUT_GAPS = 24


def hours_of(text: str) -> float:
    """The length of a range such as now-6h."""
    number, unit = re.fullmatch(r"(?:now-)?(\d+)([hdm])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1 / 60, "h": 1, "d": 24}[unit]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_present_shows_on_a_new_installation(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    for panel in dashboard["panels"]:
        hours = hours_of(panel.get("timeFrom") or dashboard["time"]["from"])
        for target in panel["targets"]:
            is_instant = target.get("instant") and not target.get("range")
            assert "expr" not in target or is_instant or hours <= LONGEST_WITHOUT_GAPS, panel["title"]
