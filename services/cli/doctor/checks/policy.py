"""Whether the policy in force can be used, and what it leaves unwatched: as `andon policy check`."""

from __future__ import annotations

from services.cli.console import counted
from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.cli.policy_report import warnings
from shared.policy import PolicyError
from shared.runtime.yaml_file import FaultsError
from shared.stream.policies import policy_of_command


async def _file(site: Site) -> list[CheckFinding]:
    return await _in_force(site) if site.settings.is_policy_a_file else []


async def _browser(site: Site) -> list[CheckFinding]:
    return [] if site.settings.is_policy_a_file else await _in_force(site)


async def _in_force(site: Site) -> list[CheckFinding]:
    settings = site.settings
    try:
        policy = await policy_of_command(settings, "tickets")
    except (PolicyError, FaultsError) as error:
        todo = f"correct it, then run: andon policy check {settings.policy}"
        return [bad(f"policy {settings.policy}", line, todo) for line in str(error).splitlines()]
    where = str(settings.policy) if settings.is_policy_a_file else "edited in the browser"
    found = [look("policy", text, "see docs/user/policy.md") for text in warnings(policy)]
    return found or [good("policy", f"{where}: {counted(len(policy.pipelines), 'pipeline', 'pipelines')}")]


CHECK = Check("policy", _file)
IN_BROWSER = Check("policy in the browser", _browser, needs=("postgres",))
