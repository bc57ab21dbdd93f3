"""Which tests run on the same worker, and which begin first."""

from __future__ import annotations

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

# By the beginning of a test's id: files that share what there is once, such as a port or a role of the cluster, or
# what is costly to make, such as a browser with a seeded company.
GROUPS = {
    "tests/browser": "browser",
    "tests/integration/deploy": "deploy",
    "tests/system/test_demo_servers.py": "demo",
    "tests/system/test_line.py": "demo",
}
# What takes minutes. It begins first, as the other workers have nothing to do while the last one ends.
LONG = ("tests/browser", "tests/system")


class GroupScheduling(LoadScopeScheduling):
    """Each group goes to one worker, each other file to whichever is free, in the order of collection.

    Tests of a file share its fixtures. xdist's own groups do not work with pytest 9.2: they change ids fixed there.
    """

    def __init__(self, config: pytest.Config) -> None:
        # xdist would begin with the files of many tests, which are the quick ones.
        config.option.loadscopereorder = False
        super().__init__(config)

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """The group of a test, or its file."""
    return next((group for start, group in GROUPS.items() if nodeid.startswith(start)), nodeid.partition("::")[0])


def long_first(items: list[pytest.Item]) -> None:
    """Bring what takes minutes to the front, and leave the order otherwise."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
