"""One run of the fuzzer: `python -m tests.fuzz.engine KIND TARGET [options of libFuzzer] FOLDERS`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["shared.connectors", "shared.contracts", "services.intake"]):
    from tests.fuzz import seeds
    from tests.fuzz.mutate import Mutator
    from tests.fuzz.target import target


def main() -> None:
    kind, name, *options = sys.argv[1:]
    mutator = Mutator(seeds.bodies(kind), lambda data, most: bytes(atheris.Mutate(data, most)))
    change: Callable[[bytes, int, int], bytes] = {"body": mutator.body, "head": mutator.head}[name]
    logging.disable()
    atheris.Setup([sys.argv[0], *options], target(kind, name), custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
