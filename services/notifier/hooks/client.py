"""One POST to a receiver: its name is resolved once, and the request goes to an address that was checked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from services.notifier.domain.safe_text import one_line
from services.notifier.hooks.networks import AddressRefused, Reachable
from shared.connectors.base.api_client import retry_after
from shared.runtime.yaml_file import Fault, FaultsError

MAX_ANSWER = 300
# Of an answer's body: enough for its reason.
_READ_BYTES = 2000
MAX_PAUSE_SECONDS = 86_400.0
GONE = 410
# The receiver says that it cannot take requests now, whatever they hold.
_BUSY = (408, 425, 429)


@dataclass(frozen=True)
class HookRequest:
    """What is sent."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class HookAnswer:
    """A receiver's answer. `status` None: there was none, and `text` says why. `after`: seconds that it asked for."""

    status: int | None
    text: str
    after: float | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == GONE

    @property
    def is_unavailable(self) -> bool:
        """Whether other requests would fail, too."""
        return self.status is None or self.status >= 500 or self.status in _BUSY


def tls_of(authorities: Path | None) -> ssl.SSLContext:
    """Trusts the system's authorities, and those in a file (PEM). Raises FaultsError if it holds none."""
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=authorities)
        except (OSError, ssl.SSLError) as error:
            text = f"{error}; name a file with the CA's certificate in ANDON_NOTIFIER_HOOKS_CA"
            raise FaultsError([Fault(0, str(authorities), text)]) from None
    return context


class HookClient:
    """Requests to one receiver. Follows no redirect and uses no proxy: both lead to addresses that nobody checked."""

    def __init__(self, name: str, reachable: Reachable, seconds: float, tls: ssl.SSLContext) -> None:
        self._reachable, self._seconds, self._tls = reachable, seconds, tls
        # A name server that does not answer holds up this receiver only.
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix=f"resolve-{name}")

    def close(self) -> None:
        self._resolver.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, request: HookRequest) -> HookAnswer:
        """The answer, or why there is none, within the time-out."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(httpx.URL(url), request)
        except TimeoutError:
            return HookAnswer(None, f"no answer within {self._seconds:g} s")
        except AddressRefused as error:
            return HookAnswer(None, str(error))
        except Exception as error:
            # Names that cannot exist, certificates, answers that are not HTTP, faults of libraries: try again later.
            return HookAnswer(None, one_line(f"{type(error).__name__}: {error}", MAX_ANSWER))

    async def _post(self, url: httpx.URL, request: HookRequest) -> HookAnswer:
        host = url.raw_host.decode("ascii")
        addresses = await self._resolve(host, url.port or _usual_port(url))
        self._reachable.check(url.host, addresses, url.scheme == "https")
        failure: httpx.HTTPError | None = None
        async with httpx.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._seconds
        ) as http:
            for address in addresses:
                try:
                    return await _ask(http, url, host, address, request)
                except httpx.ConnectError as error:
                    failure = error
        raise failure or OSError("the name has no address")

    async def _resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, each once."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._resolver, _addresses, host, port)
        return list(dict.fromkeys(found))


def _addresses(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _usual_port(url: httpx.URL) -> int:
    """The usual port of a scheme."""
    return 443 if url.scheme == "https" else 80


async def _ask(http: httpx.AsyncClient, url: httpx.URL, host: str, address: str, request: HookRequest) -> HookAnswer:
    """Send to this address; the certificate must be that of the name."""
    headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "Andon",
        "Accept-Encoding": "identity",
        **request.headers,
    }
    sent = http.stream(
        "POST",
        url.copy_with(host=address),
        headers=headers,
        content=request.body,
        extensions={"sni_hostname": host},
    )
    async with sent as response:
        if response.is_success:
            return HookAnswer(response.status_code, "")
        text = f"{response.status_code} {await _beginning(response)}".strip()
        after = retry_after(response.headers, datetime.now(UTC), MAX_PAUSE_SECONDS)
        return HookAnswer(response.status_code, one_line(text, MAX_ANSWER), after)


async def _beginning(response: httpx.Response) -> str:
    """The first bytes of a body: it may be endless."""
    if response.is_redirect:
        return "a redirect, which is not followed: name the new address"
    read = b""
    async for part in response.aiter_raw():
        read += part
        if len(read) >= _READ_BYTES:
            break
    return read[:_READ_BYTES].decode("utf-8", "replace")
