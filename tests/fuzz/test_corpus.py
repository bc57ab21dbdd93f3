"""The kept corpus through its targets: what a fuzzer once found stays fixed, and takes no memory."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import product

import pytest

from services.simulator.dialects import DIALECTS
from tests.fuzz.keep import CORPUS, LARGEST, WATCHED, steps
from tests.fuzz.target import TARGETS, target

GROWTH = 200_000


@pytest.mark.parametrize(("kind", "name"), list(product(sorted(DIALECTS), TARGETS)))
def test_the_corpus_breaks_nothing(kind: str, name: str) -> None:
    check = target(kind, name)
    files = sorted((CORPUS / kind / name).iterdir())

    assert len(files) >= 3
    for file in files:
        try:
            check(file.read_bytes())
        except Exception as error:
            error.add_note(f"on {file.name}")
            raise


def test_the_corpus_again_and_again_takes_no_memory() -> None:
    checks = [
        (target(kind, name), [file.read_bytes() for file in (CORPUS / kind / name).iterdir()])
        for kind, name in product(sorted(DIALECTS), TARGETS)
    ]

    def run() -> int:
        for check, inputs in checks:
            for data in inputs:
                check(data)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run()
        before = run()
        assert run() - before < GROWTH
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("folder", WATCHED)
def test_the_watched_code_is_reached(folder: str) -> None:
    """Otherwise a coverage-guided run is blind, and `keep` deletes the corpus."""
    file = next((CORPUS / "hubspot" / "body").iterdir())

    assert any(folder in name for name, _, _ in steps(target("hubspot", "body"), file.read_bytes()))


def test_the_corpus_is_small() -> None:
    sizes = [file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()]

    assert max(sizes) <= LARGEST
    assert sum(sizes) < 1_500_000
