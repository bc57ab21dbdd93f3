"""Every fake CRM by its kind, and a source that asks one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.simulator.dialects import DIALECTS
from tests.support.crms.base import FakeCrm
from tests.support.crms.close import FakeClose
from tests.support.crms.hubspot import FakeHubSpot
from tests.support.crms.pipedrive import FakePipedrive
from tests.support.crms.salesforce import FakeSalesforce

FAKES: dict[str, type[FakeCrm]] = {fake.kind: fake for fake in (FakeHubSpot, FakePipedrive, FakeClose, FakeSalesforce)}


@contextmanager
def running(kind: str) -> Iterator[FakeCrm]:
    """A CRM that answers until the end of the block."""
    crm = FAKES[kind]()
    crm.start()
    try:
        yield crm
    finally:
        crm.stop()


def sources_file(crm: FakeCrm, asked: bool = True, **api: Any) -> str:
    """A sources file with one source, `crm`, as JSON (which is YAML)."""
    dialect = DIALECTS[crm.kind]
    settings: dict[str, Any] = {"kind": crm.kind, "secrets": [dialect.secret], **dialect.settings}
    if asked:
        settings["api"] = crm.api | api
    return json.dumps({"sources": {"crm": settings}})
