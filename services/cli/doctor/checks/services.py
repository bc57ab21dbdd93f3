"""Whether the services are ready, as each says itself."""

from __future__ import annotations

from services.cli.doctor.answers import Answer, ask_all
from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look


async def _run(site: Site) -> list[CheckFinding]:
    answers = await ask_all(site.addresses, "/readyz")
    return [_finding(name, site, answer) for name, answer in answers.items()]


def _finding(name: str, site: Site, answer: Answer) -> CheckFinding:
    address = site.addresses[name]
    if answer.status == 200:
        return good(name, f"ready at {address}")
    if answer.status:
        said = " ".join(answer.text.split())[:300]
        return bad(name, f"at {address} is not ready: {answer.status} {said}", f"read the log of {name}")
    if name in site.services:
        return bad(name, f"no answer at {address}: {answer.text}", f"start it, or correct --service {name}=URL")
    text = f"no answer at {address}, its usual address: {answer.text}"
    return look(name, text, f"start it, or say where it is: --service {name}=URL")


CHECK = Check("services", _run)
