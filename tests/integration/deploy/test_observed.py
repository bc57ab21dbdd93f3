"""What operations are told: every rule runs on a real Prometheus that watches all services."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import httpx
import pytest

from services.demo.ports import free_port
from services.demo.server import tail
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.policy import load
from shared.postgres.report import ROLE, grant_report
from shared.runtime.yaml_file import read_yaml, write_yaml
from tests.support.alert_rules import RULES, alert_rules, recording_rules
from tests.support.databases import migrated_database
from tests.support.grafana import DEPLOY, View, expressions
from tests.support.grafana import promql as written
from tests.support.panel_answers import DataSources
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

SERVICES = ("intake", "detector", "analyst", "enricher", "tickets", "notifier")
_METRIC = re.compile(r"\b(andon_[a-z_]+|process_[a-z_]+|up)\b")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed (Debian's package prometheus)"
)


class Listening(Protocol):
    """A service that Prometheus can ask."""

    @property
    def port(self) -> int: ...


def promql() -> dict[str, str]:
    """Every expression of panels, annotations and rules, as Grafana writes it out over a short range."""
    view = View(0, 3600, {"pipeline": ["new"], "stage": ["lead"]})
    found = {name: written(text, view, dashboard) for name, text, dashboard in expressions()}
    found |= {f"record {rule['record']} {rule.get('labels', '')}": rule["expr"] for rule in recording_rules()}
    return found | {f"alert {rule['alert']} {rule['labels']['severity']}": rule["expr"] for rule in alert_rules()}


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
    async with watching(services[0], tmp_path_factory.mktemp("prometheus")) as url:
        yield url


@asynccontextmanager
async def watching(running: Mapping[str, Listening], folder: Path) -> AsyncIterator[str]:
    """The address of a Prometheus that watches these services, once it has seen all of them."""
    port = free_port()
    (folder / "prometheus.yml").write_text(write_yaml(prometheus_configuration(running, folder)))
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
        await eventually(lambda: services_up(url), lambda count: count == len(running), 40)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        assert "panic" not in tail(folder / "log", 50)


def prometheus_configuration(running: Mapping[str, Listening], folder: Path) -> dict[str, Any]:
    """The deployed configuration, scraping the running services and evaluating every rule once a second.

    Rules without intervals of their own are written to the folder.
    """
    _, document = read_yaml((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    job = document["scrape_configs"][0]
    job["static_configs"] = [one for one in job["static_configs"] if one["labels"]["service"] in running]
    for target in job["static_configs"]:
        target["targets"] = [f"127.0.0.1:{running[target['labels']['service']].port}"]
    # Values are read as texts.
    for job in document["scrape_configs"]:
        for names in job.get("dns_sd_configs", ()):
            names["port"] = int(names["port"])
    every_second = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for path in RULES:
        (folder / path.name).write_text(re.sub(r"(?m)^ +interval: .*$", "", path.read_text()))
    return {**document, "global": every_second, "rule_files": [path.name for path in RULES]}


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
async def test_every_rule_runs_and_names_metrics_that_there_are(prometheus: str) -> None:
    rules = {rule["alert"]: rule["expr"] for rule in alert_rules()}
    async with httpx.AsyncClient() as client:
        for name, expression in rules.items():
            answer = (await client.get(f"{prometheus}/api/v1/query", params={"query": expression})).json()
            assert answer["status"] == "success", f"{name}: {answer}"

        named = {name for expression in rules.values() for name in metrics_in(expression)}

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


@needs_prometheus
def test_promtool_finds_no_fault_and_alerts_fire_when_they_should(tmp_path: Path) -> None:
    rules = [str(path) for path in RULES]
    tests = (Path(__file__).parent / "rules.test.yml").read_text().replace("RULES", ", ".join(rules))
    (tmp_path / "rules.test.yml").write_text(tests)
    for command in (["check", "rules", *rules], ["test", "rules", str(tmp_path / "rules.test.yml")]):
        ended = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


OPEN_STAGES = load(DEPLOY / "policy.yaml").pipelines["default"].open_stages
# One, several, and names with quotes and signs of regular expressions. All: what the query of the variable finds.
CHOICES: dict[str, dict[str, list[str]]] = {
    "all": {"pipeline": ["default"], "stage": ["", *OPEN_STAGES]},
    "one": {"pipeline": ["default"], "stage": ["contractsent"], "source": ["hubspot"], "service": ["intake"]},
    "several": {"pipeline": ["a", "default"], "stage": ["a", "contractsent"], "source": ["a", "b"], "replica": ["a:1"]},
    "quoted": {"pipeline": ["it's (a) test+"], "stage": ["le'ad", "a|b\\"], "source": ["o'x"], "service": ["a'b"]},
}
# Panels that have nothing to show on an installation that has just been set up, by what they wait for.
EMPTY_AT_FIRST = {
    *("start: Webhooks answered in time", "start: Events seen in time", "start: Mails sent in time"),
    *("start: Nothing lost", "start: Last backup", "start: Last canary"),
    *("line: Where is the canary stuck?", "line: How long does the canary take?"),
    # Something bad.
    *("start: Which alerts fire?", "line: Which dead letters wait?"),
    *("flow: Which problems, and when?", "flow: Which problems were there?"),
    *("flow: Which stages does nobody watch?", "service: What cannot be measured?"),
    # An event, a day or a week of deals.
    *("line: Which sources are quiet?", "flow: How old are open deals?", "flow: How did the stages fill?"),
    *("flow: How long do deals take?", "flow: How long do deals stay?", "flow: How many deals were closed?"),
    *("flow: How many of them were won?", "flow: What came in and what went out by week?"),
    *("flow: How many deals went back?", "flow: How many deals are over their age limit?"),
    # A ticket, a verdict, a pull.
    *("improvement: Which tickets are open?", "improvement: How did tickets move on?"),
    *("improvement: What happened to tickets?", "improvement: Did changes work?"),
    *("improvement: Predictions that hit", "improvement: How fast are cords answered?"),
    # The API of a CRM.
    *("line: How many requests are left today?", "line: When was each source compared with its CRM?"),
    # Exporters.
    *("service: How many days until a disk is full?", "service: When was each table vacuumed?"),
    *("service: How many connections has Postgres?", "service: How old is the oldest transaction?"),
}


@pytest.fixture(scope="module")
async def sources_of_data(services: Any, prometheus: str) -> AsyncIterator[DataSources]:
    await grant_report(services[1])
    connection = await asyncpg.connect(services[1])
    await connection.execute(f"SET ROLE {ROLE}")
    yield DataSources(prometheus, connection)
    await connection.close()


@needs_prometheus
@pytest.mark.parametrize("choice", CHOICES)
async def test_every_query_of_every_panel_runs(sources_of_data: DataSources, choice: str) -> None:
    await sources_of_data.shown(CHOICES[choice])
    await sources_of_data.run_others(CHOICES[choice])


@needs_prometheus
async def test_a_new_installation_shows_no_alarm_and_few_empty_panels(sources_of_data: DataSources) -> None:
    async def empty() -> set[str]:
        return {name for name, one in (await sources_of_data.shown(CHOICES["all"])).items() if one.is_empty}

    # A gauge that was not measured yet is left out, so some come late.
    assert await eventually(empty, EMPTY_AT_FIRST.issuperset, 60)

    assert await sources_of_data.alarming(CHOICES["all"]) == {}
