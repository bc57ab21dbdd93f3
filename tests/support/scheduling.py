"""Which tests run on the same worker: those that share what there is once, such as a port or a role of the cluster."""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

# By the beginning of a test's id. xdist's own groups do not work with pytest 9.2: they change ids that are fixed there.
GROUPS = {
    "tests/integration/deploy": "deploy",
    "tests/integration/detector/test_store.py": "store",
    "tests/integration/postgres/test_report.py": "report",
    "tests/system/test_demo_servers.py": "demo",
    "tests/system/test_line.py": "demo",
}


class GroupScheduling(LoadScopeScheduling):
    """Each group goes to one worker, each other test to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for beginning, group in GROUPS.items() if nodeid.startswith(beginning)), nodeid)
