"""Whether Kafka answers, signs us in, and speaks the versions that we use."""

from __future__ import annotations

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good
from services.cli.servers import kafka_fault
from shared.kafka import probe
from shared.kafka.probe import KafkaUnreachable

SECONDS = 4.0
# Requests by their number in Kafka's protocol, and a version that we use.
_USED = {0: ("Produce", 3), 1: ("Fetch", 4), 3: ("Metadata", 8), 22: ("InitProducerId", 0)}


async def _run(site: Site) -> list[CheckFinding]:
    try:
        offered = await probe.api_versions(site.kafka, SECONDS)
    except (KafkaUnreachable, TimeoutError) as error:
        return [bad("Kafka", kafka_fault(site.settings, error), "")]
    missing = [f"{name} {used}" for key, (name, used) in _USED.items() if not _is_offered(offered.get(key), used)]
    if missing:
        text = f"{site.settings.kafka} answers, and does not offer {', '.join(missing)}"
        return [bad("Kafka", text, "use Apache Kafka 3.0 or newer, or a server that is compatible with it")]
    shown = ", ".join(f"{name} up to {offered[key][1]}" for key, (name, _) in _USED.items())
    return [good("Kafka", f"{site.settings.kafka} answers; it offers {shown}")]


def _is_offered(versions: tuple[int, int] | None, used: int) -> bool:
    return versions is not None and versions[0] <= used <= versions[1]


CHECK = Check("kafka", _run, seconds=SECONDS + 1)
