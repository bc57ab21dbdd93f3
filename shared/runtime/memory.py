"""Memory of commands that hold a whole log."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_cycle_detection() -> Iterator[None]:
    """Look for no cycles: among millions of live objects each search takes long and finds nothing.

    What is left at the end is never searched: the process ends soon after.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
