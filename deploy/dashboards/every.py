"""All dashboards, as the files that Grafana is provisioned with."""

from __future__ import annotations

import json
from collections.abc import Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards.flow import flow
from deploy.dashboards.improvement import improvement
from deploy.dashboards.line import line
from deploy.dashboards.service import service
from deploy.dashboards.start import start

_DASHBOARDS = (start, flow, improvement, line, service)


def files() -> Mapping[str, str]:
    """The text of each file by its name."""
    made = [make() for make in _DASHBOARDS]
    return {
        f"{str(one.uid).removeprefix('andon-')}.json": json.dumps(one, cls=JSONEncoder, sort_keys=True, indent=2) + "\n"
        for one in made
    }
