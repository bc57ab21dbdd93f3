"""The Helm chart as it is written: its names are those of the services, of Compose and of the image.

tests/kubernetes renders and installs it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft7Validator
from prometheus_client import CollectorRegistry

from services.cli.main import app
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.service import LIMITS, health_routes

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "helm" / "andon"
TEMPLATES = {path.name: path.read_text() for path in sorted((CHART / "templates").rglob("*.*"))}
TEXT = "\n".join(TEMPLATES.values())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
SETS = sorted((ROOT / "tests" / "kubernetes" / "values").glob("*.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SECURE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.secure.yml").read_text().replace("!override", ""))
LEAST = yaml.safe_load((ROOT / "tests" / "kubernetes" / "values" / "least.yaml").read_text())


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges values: dictionaries by key, all else replaced."""
    both = dict(values)
    for key, value in over.items():
        is_dictionary = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], value) if is_dictionary else value
    return both


def faults(over: Mapping[str, Any]) -> list[str]:
    """Where the schema refuses these values on top of the least that is needed."""
    return [
        "/".join(map(str, error.absolute_path)) + ": " + error.message
        for error in Draft7Validator(SCHEMA).iter_errors(merged(merged(VALUES, LEAST), over))
    ]


def test_the_chart_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_every_setting_that_the_chart_gives_is_documented() -> None:
    documented = set(re.findall(r"`(ANDON_[A-Z_]+)`", (ROOT / "docs" / "operator" / "settings.md").read_text()))
    given = set(re.findall(r"ANDON_[A-Z_]*[A-Z]", TEXT + "".join(path.read_text() for path in SETS)))

    assert given
    assert not {name.removesuffix("_FILE") for name in given} - documented


def test_every_container_of_compose_that_is_andons_has_its_place() -> None:
    places = {*VALUES["services"], *VALUES} | {"andon", "andon-import"}
    ours = {name for name, service in COMPOSE["services"].items() if service["image"].startswith("andon")}

    assert ours - {"demo"} <= places


def test_the_keys_of_the_secret_are_the_names_of_composes_passwords() -> None:
    written = re.findall(r"_FILE: (\w+)(.*)", TEMPLATES["_settings.tpl"])
    fixed = {key for key, rest in written if not rest}
    known = set(COMPOSE["secrets"]) | set(SECURE["secrets"])

    assert len(fixed) > 8
    assert fixed - {"kafka_ca"} <= known
    for part in VALUES["services"]:
        assert part == "intake" or f"postgres_{part}" in known
        assert f"kafka_{part}" in known


def test_what_probes_ask_for_is_served() -> None:
    routes = health_routes(Progress(), Dependencies({}, CollectorRegistry()), CollectorRegistry())
    asked = set(re.findall(r"httpGet: \{path: (\S+),", TEXT))

    assert asked == {"/livez", "/readyz"}
    assert asked <= {route.path for route in routes}  # type: ignore[attr-defined]  # of Route, not of BaseRoute


def commands() -> list[list[str]]:
    """The words of every command line in the chart that are fixed."""
    lines = re.findall(r'\blist ("[a-z]+"(?: (?:"[^"]+"|\([^)]*\)))*)', TEXT)
    found = [re.findall(r'"([^"]+)"', line) for line in lines]
    return [words for words in found if words[0] in {"topics", "migrate", "canary", "backup"} and "setup" not in words]


@pytest.mark.parametrize("words", commands(), ids="-".join)
def test_every_command_line_is_one_of_andon(words: list[str]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        if hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
        elif word.startswith("--"):
            assert word in {option for parameter in command.params for option in parameter.opts}, words
        else:
            assert word.startswith("/"), words

    assert not hasattr(command, "commands"), words


def test_a_stop_has_the_time_that_it_may_take() -> None:
    grace, waits = (
        int(re.search(pattern, TEMPLATES["deployments.yaml"])[1])  # type: ignore[index]  # a missing one fails as it should
        for pattern in (r"terminationGracePeriodSeconds: (\d+)", r"preStop: \{sleep: \{seconds: (\d+)")
    )

    assert grace >= waits + LIMITS.loops + LIMITS.close + LIMITS.exit


def test_variables_of_other_services_do_not_reach_a_pod() -> None:
    """Kubernetes would set ANDON_ANALYST_PORT and the like, which settings refuse as unknown."""
    assert "enableServiceLinks: false" in TEMPLATES["_pod.tpl"]
    for name, text in TEMPLATES.items():
        assert text.count("containers:") - text.count("initContainers:") <= text.count('include "andon.pod"'), name


def test_the_image_runs_as_the_user_and_with_the_entry_that_the_chart_expects() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()

    assert "USER 10001:10001" in dockerfile
    assert "runAsUser: 10001" in TEMPLATES["_pod.tpl"]
    assert 'ENTRYPOINT ["andon"]' in dockerfile


def test_rules_and_dashboards_are_those_of_compose() -> None:
    assert (CHART / "rules").resolve() == ROOT / "deploy" / "prometheus" / "rules"
    assert (CHART / "dashboards").resolve() == ROOT / "deploy" / "grafana" / "dashboards"


def test_a_service_that_is_not_to_run_can_be_taken_out_of_the_rules() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "andon.yml").read_text()

    assert ' or absent(up{job="andon",service="enricher"})' in rules
    assert '" or absent(up{job=\\"andon\\",service=\\"enricher\\"})" ""' in TEMPLATES["monitoring.yaml"]


def test_the_least_that_the_page_shows_is_enough() -> None:
    page = (ROOT / "docs" / "operator" / "kubernetes.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])

    assert [*Draft7Validator(SCHEMA).iter_errors(merged(VALUES, shown))] == []


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_set_of_values_is_taken(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(
    ("over", "at"),
    [
        ({"kafka": {"security": "ssl"}}, "kafka/security"),
        ({"kafka": {"servers": "kafka"}}, "kafka/servers"),
        ({"kafka": {"ca": True}}, "kafka/ca"),
        ({"postgres": {"port": "5432"}}, "postgres/port"),
        ({"postgres": {"host": ""}}, "postgres/host"),
        ({"image": {"repository": ""}}, "image/repository"),
        ({"replicas": 3}, "'replicas' was unexpected"),
        ({"services": {"detectors": {}}}, "'detectors' was unexpected"),
        ({"services": {"detector": {"replicas": 0}}}, "services/detector/replicas"),
        ({"services": {"tickets": {"extraPorts": [{"name": "cord", "port": 8080}]}}}, "services/tickets/extraPorts/0"),
        ({"settings": {"ANDON_SMTP_PASSWORD": "secret"}}, "settings: 'ANDON_SMTP_PASSWORD'"),
        ({"settings": {"LOG": "json"}}, "settings: 'LOG'"),
        ({"signIn": {"by": "none"}}, "signIn/by"),
        ({"signIn": {"by": "provider"}}, "signIn/issuer"),
        ({"addresses": {"tickets": "andon.example.org"}}, "addresses/tickets"),
        ({"canary": {"enabled": True}}, "canary/mail"),
        ({"keda": {"enabled": True}}, "keda/prometheus"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_wrong_value_is_refused_with_its_name(over: dict[str, Any], at: str) -> None:
    assert any(at in fault for fault in faults(over)), faults(over)


def test_the_schema_knows_every_value() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)
    for name, value in VALUES.items():
        known = SCHEMA["properties"][name].get("properties")
        if isinstance(value, dict) and known:
            assert set(known) == set(value), name
