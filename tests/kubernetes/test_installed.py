"""The chart on a real API server: installed, upgraded, rolled back, admitted as `restricted`, drained, uninstalled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubernetes.control_plane import ControlPlane, NodesStandIn, control_plane
from tests.kubernetes.tools import CHART, NEEDS_TOOLS, SETS, Document, helm, of_kind, rendered, run, tool

pytestmark = [*NEEDS_TOOLS, pytest.mark.timeout(600)]
LEAST, SMALL, WATCHED, EVERYTHING = (
    SETS[0].with_name(f"{name}.yaml") for name in ("least", "small", "watched", "everything")
)
OPERATORS = (
    ("keda.sh", "v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com", "v1", "PodMonitor"),
    ("monitoring.coreos.com", "v1", "PrometheusRule"),
)
# What a namespace has by itself, and what tells of the past.
NOT_OURS = {"events", "events.events.k8s.io"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        for group, version, kind in OPERATORS:
            plane.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(group, version, kind))
        important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
        plane.create("/apis/scheduling.k8s.io/v1/priorityclasses", {**important, "metadata": {"name": "important"}})
        for name in ("node-a", "node-b"):
            plane.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        yield plane


def definition(group: str, version: str, kind: str) -> Document:
    """A kind of an operator, with any content."""
    plural = kind.lower() + "s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": version, "served": True, "storage": True, "schema": schema}]
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
    }


class Release:
    """A namespace, `restricted`, with one installation named `shop`."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def helm(self, *arguments: str, check: bool = True) -> str:
        ended = helm("--namespace", self.namespace, *arguments, check=check, KUBECONFIG=str(self.plane.kubeconfig))
        return ended.stdout + ended.stderr

    def bring(self, verb: str, values: Path, *options: str) -> str:
        """Install or upgrade, and wait until all is ready."""
        return self.helm(verb, "shop", str(CHART), "--values", str(values), "--wait", "--timeout", "90s", *options)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        command = (tool("kubectl"), "--namespace", self.namespace, *arguments)
        return run(*command, check=check, KUBECONFIG=str(self.plane.kubeconfig)).stdout

    def pods(self) -> dict[str, int]:
        """The number of pods that run, by part."""
        found: dict[str, int] = {}
        for pod in self.plane.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]:
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                part = pod["metadata"]["labels"]["app.kubernetes.io/component"]
                found[part] = found.get(part, 0) + 1
        return found

    def left(self) -> set[str]:
        """All that the namespace has, of every kind that can be listed."""
        kinds = set(self.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()) - NOT_OURS
        return set(self.kubectl("get", ",".join(sorted(kinds)), "-o", "name", "--ignore-not-found").split())


@contextmanager
def shop(plane: ControlPlane, namespace: str) -> Iterator[tuple[Release, NodesStandIn]]:
    """A namespace in which pods run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    assert plane.create("/api/v1/namespaces", document).status_code == 201
    one, nodes = Release(plane, namespace), NodesStandIn(plane, namespace)
    # The controllers make what every namespace has.
    until(lambda: {"serviceaccount/default", "configmap/kube-root-ca.crt"} <= one.left())
    nodes.start()
    try:
        yield one, nodes
    finally:
        one.helm("uninstall", "shop", "--ignore-not-found")
        one.kubectl("delete", "jobs", "--all")
        until(lambda: not any(name.startswith("pod/") for name in one.left()))
        nodes.stop()


def until(ask: Callable[[], bool], within: float = 60) -> None:
    """Wait for a condition of the cluster."""
    deadline = time.monotonic() + within
    while not ask():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.2)


def replicas(values: Path, *options: str) -> dict[str, int]:
    """What the values ask for, by part."""
    deployments = of_kind(rendered(values, *options), "Deployment")
    return {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]["replicas"]
        for one in deployments
        if one["spec"].get("replicas")
    }


def test_from_the_installation_to_nothing_left(plane: ControlPlane) -> None:
    with shop(plane, "whole-life") as (one, _):
        before = one.left()

        assert "andon user first" in one.bring("install", LEAST)
        until(lambda: replicas(LEAST).items() <= one.pods().items())
        first = one.left()
        one.bring("upgrade", EVERYTHING)
        assert any("scaledobject" in name for name in one.left())
        one.helm("rollback", "shop", "1", "--wait", "--timeout", "90s")
        until(
            lambda: {name for name in one.left() if not is_made_anew(name)} == {n for n in first if not is_made_anew(n)}
        )
        one.helm("uninstall", "shop", "--wait")

        until(lambda: one.left() == before)


def is_made_anew(name: str) -> bool:
    """Names with a random part, or of one revision."""
    return name.startswith(("pod/", "replicaset", "secret/sh.helm", "endpoint", "controllerrevision"))


def test_every_pod_is_admitted_where_pods_are_restricted(plane: ControlPlane) -> None:
    with shop(plane, "restricted") as (one, _):
        one.bring("install", EVERYTHING)
        one.kubectl("scale", "deploy/shop-andon-commands", "--replicas=1")
        one.kubectl("create", "job", "now", "--from=cronjob/shop-andon-backup")

        parts = {*replicas(EVERYTHING), "intake", "detector", "analyst", "tickets", "notifier", "enricher", "canary"}
        until(lambda: {*parts, "commands"} <= one.pods().keys())
        until(lambda: "Complete" in one.kubectl("get", "job/now"))
        careless = {"name": "careless", "image": "andon"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless"}, "spec": {"containers": [careless]}}
        assert plane.create("/api/v1/namespaces/restricted/pods", pod).status_code == 403


def test_helm_test_sends_the_canary(plane: ControlPlane) -> None:
    with shop(plane, "tested") as (one, _):
        one.bring("install", WATCHED)

        assert "Phase:          Succeeded" in one.helm("test", "shop", "--timeout", "60s")


def test_where_the_tables_cannot_be_made_no_service_is_started(plane: ControlPlane) -> None:
    with shop(plane, "refused") as (one, nodes):
        nodes.fails = {"setup"}

        one.helm("install", "shop", str(CHART), "--values", str(SMALL), "--timeout", "10s", check=False)

        assert "job.batch/shop-andon-setup" in one.left()
        assert not any(name.startswith(("deployment", "replicaset")) for name in one.left())


def test_a_drained_node_takes_no_more_pods_of_a_service_than_its_budget_allows(plane: ControlPlane) -> None:
    with shop(plane, "drained") as (one, nodes):
        fixed = ("--set", "services.intake.autoscaling.enabled=false")
        one.kubectl("cordon", "node-b")
        one.bring("install", LEAST, *fixed)
        wanted = replicas(LEAST, *fixed)
        until(lambda: one.pods() == wanted)
        nodes.watch()
        one.kubectl("uncordon", "node-b")

        one.kubectl("drain", "node-a", "--timeout=90s", "--delete-emptydir-data")
        until(lambda: one.pods() == wanted)

        assert all(nodes.fewest[part] >= count - 1 for part, count in wanted.items()), nodes.fewest
        one.kubectl("uncordon", "node-a")
