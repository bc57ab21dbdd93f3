"""A real API server with etcd and controllers, and a stand-in for what runs pods: there is no kubelet here."""

from __future__ import annotations

import secrets
import shutil
import ssl
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.demo.ports import free_port
from services.demo.server import tail
from tests.kubernetes.tools import Document, tool

# What ends by itself; all else runs on.
ENDS = {"setup", "backup"}
READY = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]


class ControlPlane:
    """What a cluster has without its nodes. `kubeconfig` is an administrator's."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port, self._token = folder, free_port(), secrets.token_hex(16)
        self.kubeconfig = folder / "kubeconfig"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.client = httpx.Client()

    def start(self) -> None:
        """Start all three, and wait until they answer."""
        etcd, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._write_keys()
        data = {"data-dir": str(self._folder / "etcd"), "log-level": "warn", "unsafe-no-fsync": "true"}
        peers = {"listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}"}
        self._run("etcd", {**data, **peers, "listen-client-urls": etcd, "advertise-client-urls": etcd})
        self._run("kube-apiserver", self._api_options(etcd))
        self._write_kubeconfig()
        self.client = self._connected()
        controllers = {"kubeconfig": str(self.kubeconfig), "leader-elect": "false", "secure-port": "0"}
        # Nobody here sends the signs of life of a node.
        left_out = "*,-node-lifecycle-controller,-taint-eviction-controller"
        key = str(self._folder / "key.pem")
        self._run(
            "kube-controller-manager",
            {**controllers, "controllers": left_out, "service-account-private-key-file": key},
        )

    def stop(self) -> None:
        """End all, the last one first."""
        self.client.close()
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()

    def get(self, path: str, **parameters: str) -> Document:
        """What the API answers."""
        answer = self.client.get(path, params=parameters)
        answer.raise_for_status()
        found: Document = answer.json()
        return found

    def create(self, path: str, document: Mapping[str, Any]) -> httpx.Response:
        """The answer to a new object."""
        return self.client.post(path, json=document)

    def _run(self, name: str, options: Mapping[str, str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            command = [tool(name), *(f"--{option}={value}" for option, value in options.items())]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _api_options(self, etcd: str) -> dict[str, str]:
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f"{self._token},admin,admin,system:masters\n")
        return {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "secure-port": str(self._port),
            "cert-dir": str(self._folder),
            "token-auth-file": str(tokens),
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": str(self._folder / "key.pem"),
            "service-account-signing-key-file": str(self._folder / "key.pem"),
            "service-cluster-ip-range": "10.96.0.0/16",
            "endpoint-reconciler-type": "none",
        }

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        (self._folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))

    def _write_kubeconfig(self) -> None:
        cluster = {
            "server": f"https://127.0.0.1:{self._port}",
            "certificate-authority": f"{self._folder}/apiserver.crt",
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def _connected(self) -> httpx.Client:
        """A client, once the server is ready."""
        deadline = time.monotonic() + 120
        headers = {"Authorization": f"Bearer {self._token}"}
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if not (self._folder / "apiserver.crt").exists():
                continue
            context = ssl.create_default_context(cafile=str(self._folder / "apiserver.crt"))
            client = httpx.Client(
                base_url=f"https://127.0.0.1:{self._port}", headers=headers, verify=context, timeout=30
            )
            try:
                if client.get("/readyz").status_code == 200:
                    return client
            except httpx.TransportError:
                pass
            client.close()
        raise AssertionError("the API server is not ready:\n" + tail(self._folder / "kube-apiserver.log", 20))


class NodesStandIn:
    """In place of scheduler and kubelet: places the pods of a namespace, says that they run, and lets them end.

    `fewest` is the smallest number of ready pods that each part had since the last `watch`. Pods of the parts in
    `fails` end with a fault.
    """

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._pods = plane, f"/api/v1/namespaces/{namespace}/pods"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.fewest: dict[str, int] = {}
        self.fails: set[str] = set()
        self.fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        assert self.fault is None, self.fault

    def watch(self) -> None:
        """Forget what was seen."""
        self.fewest = {}

    def _work(self) -> None:
        try:
            while not self._stopped.wait(0.1):
                self._pass()
        except BaseException as error:
            self.fault = error

    def _pass(self) -> None:
        nodes = [
            node["metadata"]["name"]
            for node in self._plane.get("/api/v1/nodes")["items"]
            if not node["spec"].get("unschedulable")
        ]
        ready: dict[str, int] = defaultdict(int)
        for number, pod in enumerate(self._plane.get(self._pods)["items"]):
            part = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            is_ending = "deletionTimestamp" in pod["metadata"]
            ready[part] += pod["status"].get("phase") == "Running" and not is_ending
            self._advance(pod, ENDS | ({"canary"} if pod["spec"]["restartPolicy"] == "Never" else set()), nodes, number)
        for part in {*ready, *self.fewest}:
            self.fewest[part] = min(ready[part], self.fewest.get(part, ready[part]))

    def _advance(self, pod: Document, ends: set[str], nodes: list[str], number: int) -> None:
        path = f"{self._pods}/{pod['metadata']['name']}"
        if "deletionTimestamp" in pod["metadata"]:
            self._plane.client.delete(path, params={"gracePeriodSeconds": "0"})
        elif not pod["spec"].get("nodeName") and nodes:
            target = {"apiVersion": "v1", "kind": "Node", "name": nodes[number % len(nodes)]}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}}
            self._plane.create(f"{path}/binding", {**binding, "target": target})
        elif pod["status"].get("phase") == "Pending":
            part = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            ended = {"phase": "Failed" if part in self.fails else "Succeeded"}
            status = ended if part in ends else {"phase": "Running", "conditions": READY}
            headers = {"Content-Type": "application/merge-patch+json"}
            self._plane.client.patch(f"{path}/status", json={"status": status}, headers=headers)


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """One that runs; its data is removed."""
    plane = ControlPlane(folder)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
        shutil.rmtree(folder / "etcd", ignore_errors=True)
