"""Which versions run here, and whether the services that answer are of the same one."""

from __future__ import annotations

import platform

from services.cli.doctor.answers import Answer, ask_all, samples
from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, good, look
from shared.runtime.version import product_version


async def _run(site: Site) -> list[CheckFinding]:
    version = product_version()
    answers = await ask_all(site.addresses, "/metrics")
    others = {name: found for name, answer in answers.items() if (found := _version(answer)) not in (None, version)}
    text = f"Andon {version}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return [
        good("versions", text),
        *(
            look(f"version of {name}", f"{found}, and this command is of {version}", "update one of them: care.md")
            for name, found in others.items()
        ),
    ]


def _version(answer: Answer) -> str | None:
    if answer.status != 200:
        return None
    return next((labels.get("version") for labels, _ in samples(answer.text, "andon_build_info")), None)


CHECK = Check("versions", _run)
