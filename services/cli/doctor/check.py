"""What a check is, and what it is told about the installation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cli.doctor.finding import CheckFinding
from shared.kafka.access import KafkaAccess
from shared.runtime.settings import ServiceSettings

DEFAULT_PORTS = {"tickets": 8080, "intake": 8081, "detector": 8082, "enricher": 8083, "notifier": 8084, "analyst": 8085}


@dataclass(frozen=True)
class Site:
    """One installation, as the command was told of it.

    `services`: addresses of services by name, beside the usual ones on this machine; `prometheus`: its address, empty:
    none; `mail_to`: who gets a test mail, empty: nobody; `disks`: folders whose disks are looked at; `free_percent`:
    less free space than this is bad, less than twice as much is worth a look.
    """

    settings: ServiceSettings
    services: Mapping[str, str]
    prometheus: str = ""
    mail_to: str = ""
    disks: tuple[Path, ...] = (Path(),)
    free_percent: float = 10.0

    @property
    def kafka(self) -> KafkaAccess:
        return KafkaAccess.of(self.settings)

    @property
    def addresses(self) -> dict[str, str]:
        """Where each service is expected."""
        usual = {name: f"http://127.0.0.1:{port}" for name, port in DEFAULT_PORTS.items()}
        return usual | dict(self.services)


@dataclass(frozen=True)
class Check:
    """One look at one thing. `run` raises any error, which becomes a bad line.

    `needs`: names of checks without which this one would only repeat that a server is away; such a check needs none
    itself. `seconds`: its time limit.
    """

    name: str
    run: Callable[[Site], Awaitable[list[CheckFinding]]]
    needs: tuple[str, ...] = ()
    seconds: float = 10.0
