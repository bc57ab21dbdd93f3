"""Which tests run on the same worker, and which begin first."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

# By the beginning of a test's id: files that share what there is once, such as a port or a role of the cluster, or
# what is costly to make, such as a browser with a seeded company.
GROUPS = {
    "tests/browser": "tests/browser",
    "tests/integration/deploy": "tests/integration/deploy",
    # It asks at the usual ports, where a demo listens.
    "tests/integration/cli/test_doctor.py": "tests/system/demo",
    "tests/system/test_demo_servers.py": "tests/system/demo",
    "tests/system/test_line.py": "tests/system/demo",
}
# What takes minutes, and waits for services of its own for much of that time.
LONG = ("tests/browser", "tests/system")


class GroupScheduling(LoadScopeScheduling):
    """Each group goes to one worker, each other file to whichever is free, in the order of collection.

    One worker is kept for what is not long: it uses the processors while long tests wait. Tests of a file share its
    fixtures. xdist's own groups do not work with pytest 9.2: they change ids that are fixed there.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        # xdist would begin with the files of many tests, which are the quick ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        others = [scopes for one, scopes in self.assigned_work.items() if one is not node]
        if others and all(any(is_long(name) and not all(tests.values()) for name, tests in s.items()) for s in others):
            short = next((scope for scope in self.workqueue if not is_long(scope)), None)
            if short is not None:
                self.workqueue.move_to_end(short, last=False)
        super()._assign_work_unit(node)


def scope_of(nodeid: str) -> str:
    """The group of a test, or its file."""
    return next((group for start, group in GROUPS.items() if nodeid.startswith(start)), nodeid.partition("::")[0])


def is_long(scope: str) -> bool:
    """Whether it takes minutes."""
    return scope.startswith(LONG)


def long_first(items: list[pytest.Item]) -> None:
    """Bring what takes minutes to the front, and leave the order otherwise."""
    items.sort(key=lambda item: not is_long(item.nodeid))
