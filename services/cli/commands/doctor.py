"""`andon doctor` and `andon support-bundle`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import fail, print_line

if TYPE_CHECKING:
    from services.cli.doctor.check import Site
    from services.cli.doctor.masking import Mask
    from services.cli.doctor.report import DoctorReport

ServiceOption = Annotated[
    list[str] | None,
    typer.Option("--service", help="NAME=URL of a service that is not on its usual port of this machine; repeat."),
]
PrometheusOption = Annotated[str, typer.Option(help="Address of Prometheus, to see whether it has Andon's rules.")]
DiskOption = Annotated[list[Path] | None, typer.Option("--disk", help="Folder whose disk is looked at; repeat.")]
FreeOption = Annotated[
    float,
    typer.Option("--free", min=0, max=100, help="Percent of free disk space below which it is bad; below twice, look."),
]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")] = False,
    mail: Annotated[str, typer.Option(help="Also send a test mail to this address.")] = "",
    service: ServiceOption = None,
    prometheus: PrometheusOption = "",
    disk: DiskOption = None,
    free: FreeOption = 10.0,
) -> None:
    """Look at everything that Andon needs, and say what to do. Changes nothing, shows no secret, takes at most 20 s.

    Exit code 0: all is good; 1: something is worth a look; 2: something is bad.
    """
    from rich.console import Console

    from services.cli.doctor.finding import exit_code
    from services.cli.doctor.masking import mask_of
    from services.cli.doctor.report import print_report

    report = _examine(_site(service, prometheus, mail, disk, free), mask_of())
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        print_report(report, Console())
    raise typer.Exit(exit_code(report.health))


def support_bundle(
    file: Annotated[Path, typer.Argument(help="File to write, such as andon.tar.gz; it must not exist.")],
    log: Annotated[list[Path] | None, typer.Option("--log", help="Log file to add; repeat.")] = None,
    service: ServiceOption = None,
    prometheus: PrometheusOption = "",
    disk: DiskOption = None,
    free: FreeOption = 10.0,
) -> None:
    """Write what andon doctor finds, versions, masked settings, topics, tables, metrics and logs into one tar.gz."""
    from services.cli.doctor import bundle
    from services.cli.doctor.masking import mask_of

    site, mask = _site(service, prometheus, "", disk, free), mask_of()
    if site is None:
        raise fail("The settings cannot be read, so there is nothing to ask; see: andon doctor")
    try:
        if file.exists():
            raise FileExistsError
        files = bundle.contents(site, _examine(site, mask), log or (), mask)
        bundle.write(file, files)
    except FileExistsError:
        raise fail(f"{file}: exists already; choose another name, or remove it") from None
    except OSError as error:
        raise fail(error) from None
    for name, content in files.items():
        print_line(f"{len(content):>10}  {name}")
    print_line(f"{file}: read it before you pass it on; it holds names of sources, stages and hosts")


def _examine(site: Site | None, mask: Mask) -> DoctorReport:
    """`site`: None where the settings cannot be read."""
    from datetime import UTC, datetime

    from services.cli.doctor.checks.settings import base_faults
    from services.cli.doctor.examine import Result, examine
    from services.cli.doctor.registry import CHECKS
    from services.cli.doctor.report import report_of

    results = [Result("settings", tuple(base_faults()))] if site is None else examine(site, CHECKS)
    return report_of(results, mask, datetime.now(UTC))


def _site(service: list[str] | None, prometheus: str, mail: str, disk: list[Path] | None, free: float) -> Site | None:
    from services.cli.doctor.check import Site
    from shared.runtime.addresses import ADDRESS
    from shared.runtime.settings import ServiceSettings, SettingsError

    if mail and not re.match(ADDRESS, mail):
        raise typer.BadParameter(f"{mail}: is no address; write it like you@example.org", param_hint="--mail")
    addresses = dict(map(_named_address, service or ()))
    try:
        settings = ServiceSettings.from_environment()
    except SettingsError:
        return None
    return Site(settings, addresses, prometheus, mail, tuple(disk or (Path(),)), free)


def _named_address(text: str) -> tuple[str, str]:
    from services.cli.doctor.check import DEFAULT_PORTS

    name, _, address = text.partition("=")
    if name not in DEFAULT_PORTS or not re.match(r"https?://\S+$", address):
        example = f"write NAME=http://HOST:PORT, with one of {', '.join(DEFAULT_PORTS)}"
        raise typer.BadParameter(f"{text}: {example}", param_hint="--service")
    return name, address
