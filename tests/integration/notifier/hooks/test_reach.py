"""Where requests go: to the address that was checked, over TLS with the certificate of the name."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.notifier.hooks.client import HookAnswer, HookClient, HookRequest, tls_of
from services.notifier.hooks.networks import Reachable, parse_networks
from tests.support.certificates import Authority
from tests.support.receiver import HookAnswered, HookReceiver, hook_receiver, trusting

LOOPBACK = Reachable(parse_networks("127.0.0.0/8,::1"))
REQUEST = HookRequest({"Content-Type": "application/json"}, b"{}")


async def post(url: str, reachable: Reachable = LOOPBACK, authority: str | None = None) -> HookAnswer:
    client = HookClient("erp", reachable, 20, trusting(authority) if authority else tls_of(None))
    try:
        return await client.post(url, REQUEST)
    finally:
        client.close()


def named(server: HookReceiver, host: str) -> str:
    return server.url.replace("127.0.0.1", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("allowed", ["", "10.0.0.0/8"])
async def test_loopback_in_every_spelling_is_refused(host: str, allowed: str) -> None:
    with hook_receiver() as server:
        for url in (named(server, host), named(server, host).replace("http:", "https:")):
            answer = await post(url, Reachable(parse_networks(allowed)))
            assert answer.status is None
            assert "ANDON_NOTIFIER_HOOKS_ALLOW" in answer.text
        assert server.got == []


async def test_a_name_that_changes_its_address_reaches_the_one_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rebinding: each further look-up of the name gives another address."""
    asked = []

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with hook_receiver() as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        answer = await post(named(server, "rebinding.example"))

        assert answer.status == 200
        assert asked == ["rebinding.example"]
        port = httpx.URL(server.url).port
        assert server.got[0].headers["host"] == f"rebinding.example:{port}"


async def test_redirects_lead_nowhere() -> None:
    with hook_receiver() as server, hook_receiver() as inner:
        for status in (301, 302, 303, 307, 308):
            server.answers = [HookAnswered(status, {"Location": inner.url})]
            answer = await post(server.url)
            assert (answer.status, answer.is_accepted) == (status, False)
        assert inner.got == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook_receiver() as server, hook_receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await post(server.url)).is_accepted
        assert proxy.got == []


async def test_the_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.server()
    with hook_receiver(tmp_path / "server.pem") as server:
        assert (await post(server.url, authority=authority.pem)).is_accepted
        unknown = await post(server.url)
        other = await post(named(server, "localhost"), authority=authority.pem)

        assert "CERTIFICATE_VERIFY_FAILED" in unknown.text
        assert "CERTIFICATE_VERIFY_FAILED" in other.text
        assert len(server.got) == 1


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 70 + ".example", "x..example"])
async def test_names_that_cannot_be_are_an_answer_and_no_crash(host: str) -> None:
    answer = await post(f"https://{host}/in")

    assert answer.status is None
    assert answer.is_unavailable
