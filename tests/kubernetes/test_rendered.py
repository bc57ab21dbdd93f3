"""What the chart makes of five sets of values: valid for every version, and taken by the services."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.cli.service_settings import SERVICE_SETTINGS
from shared.runtime.settings import ServiceSettings
from tests.kubernetes.tools import CHART, NEEDS_TOOLS, NEWEST, SETS, Document, helm, of_kind, pods, rendered, run, tool
from tests.support.certificates import Authority

pytestmark = NEEDS_TOOLS
LEAST = SETS[0].with_name("least.yaml")
VERSIONS = [f"1.{minor}" for minor in range(31, 38)]
# Kinds that come with operators.
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
each_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)


@each_set
def test_lint_finds_nothing(values: Path) -> None:
    options = ("--strict", "--kube-version", NEWEST, "--values", str(values))

    assert "0 chart(s) failed" in helm("lint", *options, str(CHART)).stdout


def test_every_version_knows_all_of_it(tmp_path: Path) -> None:
    files = []
    for values in SETS:
        documents = [one for one in rendered(values) if one["kind"] not in FOREIGN]
        files.append(tmp_path / values.name)
        files[-1].write_text(yaml.safe_dump_all(documents))

    for version in VERSIONS:
        run(tool("kubernetes-validate"), "--strict", "--quiet", "-k", version, *map(str, files))


@each_set
def test_every_service_takes_its_settings(values: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for owner, pod in pods(rendered(values)).items():
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            environment = {one["name"]: one["value"] for one in container["env"]}
            given = {item["path"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", ())}
            for name, path in environment.items():
                if name.endswith("_FILE"):
                    assert Path(path).name in given, f"{owner} is not given {path}"
                    file = tmp_path / Path(path).name
                    file.write_text(authority.pem if file.name == "kafka_ca" else "x" * 40)
                    environment[name] = str(file)
            settings = SERVICE_SETTINGS.get(container["name"], ServiceSettings)

            settings.from_environment(environment)


@each_set
def test_a_pod_is_given_nothing_that_it_does_not_mount(values: Path) -> None:
    for owner, pod in pods(rendered(values)).items():
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}

        assert mounted == {volume["name"] for volume in pod["volumes"]}, owner
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False


@each_set
def test_policies_and_budgets_select_each_their_own_pods(values: Path) -> None:
    documents = rendered(values)
    deployments = {one["metadata"]["name"]: one for one in of_kind(documents, "Deployment")}
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector"), ("Service", "selector")):
        for document in of_kind(documents, kind):
            name, selector = document["metadata"]["name"], document["spec"][field]
            labels = selector.get("matchLabels", selector)
            selected = [
                owner
                for owner, one in deployments.items()
                if labels.items() <= one["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert name.endswith(("-deny", "-setup", "-backup")) or selected == [name], (kind, name)
    assert {one["metadata"]["name"] for one in of_kind(documents, "NetworkPolicy")} >= (
        set(deployments) if of_kind(documents, "NetworkPolicy") else set()
    )


def egress_of(documents: list[Document], part: str) -> list[Document]:
    """The rules for what a part may reach."""
    found = [one for one in of_kind(documents, "NetworkPolicy") if one["metadata"]["name"] == f"shop-andon-{part}"]
    rules: list[Document] = found[0]["spec"]["egress"]
    return rules


def test_everything_is_denied_but_what_is_needed() -> None:
    documents = rendered(LEAST)
    deny = next(one for one in of_kind(documents, "NetworkPolicy") if one["metadata"]["name"] == "shop-andon-deny")

    assert deny["spec"].keys() == {"podSelector", "policyTypes"}
    ports = {
        part: sorted({port["port"] for rule in egress_of(documents, part) for port in rule["ports"]}, key=str)
        for part in ("intake", "detector", "tickets", "notifier", "enricher", "setup")
    }
    assert ports == {
        "intake": [53, 9092],
        "detector": [53, 5432, 9092],
        "tickets": [53, 5432, 9092, "http"],
        "notifier": [443, 53, 5432, 587, 9092],
        "enricher": [443, 53, 5432, 9092],
        "setup": [53, 5432, 9092],
    }


def test_rules_are_good_lead_where_the_values_say_and_miss_nobody_who_is_not_to_run(tmp_path: Path) -> None:
    for name, links in (("everything", "https://wiki.example.org/andon/"), ("small", "docs/operator/runbooks/")):
        rules = of_kind(rendered(LEAST.with_name(f"{name}.yaml")), "PrometheusRule")
        texts = [yaml.safe_dump(one["spec"], width=10_000) for one in rules]

        assert len(rules) == 2
        assert all(links in text and "$externalLabels" not in text for text in texts)
        assert ('service="enricher"' in "".join(texts)) == (name == "everything")
        for number, text in enumerate(texts):
            (tmp_path / f"{name}-{number}.yml").write_text(text)
    run("promtool", "check", "rules", *map(str, tmp_path.glob("*.yml")))


def test_a_wrong_value_is_refused_with_its_name() -> None:
    for setting, name in (
        ("kafka.security=ssl", "/kafka/security"),
        ("services.detector.replica=3", "/services/detector"),
        ("mail.port=25x", "/mail/port"),
        ("policy.text=", "policy.text is missing"),
    ):
        options = ("--kube-version", NEWEST, "--values", str(LEAST), "--set", setting)
        ended = helm("template", "shop", str(CHART), *options, check=False)

        assert ended.returncode != 0
        assert name in ended.stderr
