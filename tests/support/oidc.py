"""A real OpenID provider (oidc-provider from npm, certified), and a browser that signs in there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from services.demo.ports import free_port

# Where make installs it.
FOLDER = Path(sys.prefix) / "oidc"
SECRET = "a-secret-of-the-tests"


def is_installed() -> bool:
    """Whether `make` has installed it, and there is Node."""
    return shutil.which("node") is not None and (FOLDER / "node_modules" / "oidc-provider").is_dir()


@contextmanager
def provider(back: str) -> Iterator[str]:
    """Its issuer. `back`: the address that it sends browsers back to."""
    port = free_port()
    command = ["node", "provider.mjs", str(port), SECRET, back]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(line.strip() == "ready" for line in process.stdout)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def sign_in(address: str, name: str) -> str:
    """Sign in at the provider's own pages, and consent; the address that it sends the browser back to."""
    async with httpx.AsyncClient(follow_redirects=False, timeout=20) as client:
        answer = await client.get(address)
        for _ in range(12):
            if answer.status_code in (302, 303):
                to = str(httpx.URL(address).join(answer.headers["location"]))
                if not to.startswith(address.partition("/auth")[0]):
                    return to
                answer = await client.get(to)
                continue
            action = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert action, answer.text
            assert prompt, answer.text
            answer = await client.post(action[1], data={"prompt": prompt[1], "login": name, "password": "any"})
    raise AssertionError("the provider never came to an end")
