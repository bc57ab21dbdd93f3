"""A short `make simulate-signals`: every cell runs and repeats itself, and rough targets hold on few histories."""

from __future__ import annotations

from fractions import Fraction

import pytest

from shared.flow.suggest.detection import FOUND, detections
from shared.policy.watchable import Side
from tests.simulate.alarms import two_sigma, western_electric
from tests.simulate.figures import Cell, SimulatedFigure
from tests.simulate.run import STUDIES, table
from tests.simulate.windows import CHARTS, SHIFTS

CELLS = [cell for study in STUDIES.values() for cell in study.cells()]


def cell(study: str, case: str) -> Cell:
    return next(one for one in CELLS if (one.study, one.case) == (study, case))


def values(study: str, case: str, scale: float) -> dict[tuple[str, str], float]:
    return {(one.case, one.what): one.value for one in cell(study, case).figures(scale)}


@pytest.mark.slow
@pytest.mark.parametrize("one", CELLS, ids=lambda one: f"{one.study}, {one.case}")
def test_every_cell_has_figures(one: Cell) -> None:
    figures = one.figures(0.004)

    assert figures
    assert all(figure.study == one.study and figure.value >= 0 for figure in figures)
    assert table(figures).row_count == len(figures)


def test_a_cell_repeats_itself() -> None:
    assert values("windows", "false, normal", 0.01) == values("windows", "false, normal", 0.01)


def test_no_two_cells_share_their_random_numbers() -> None:
    assert len({(one.study, one.case) for one in CELLS}) == len(CELLS)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "lognormal 1", "counts", "half idle", "AR .3"])
def test_chance_opens_no_more_than_the_owner_accepts(shape: str) -> None:
    found = values("windows", f"false, {shape}", 0.1)

    windows = [value for (_, what), value in found.items() if "windows" in what]
    assert len(windows) == len(CHARTS)
    assert all(value <= 1 for value in windows)
    others = [value for (_, what), value in found.items() if "windows" not in what]
    assert all(value > max(windows) for value in others)


@pytest.mark.slow
def test_the_table_of_suggested_policies_is_what_is_simulated() -> None:
    found = values("windows", "found, normal", 0.2)

    for charts, rows in FOUND.items():
        assert [row.size for row in rows] == list(SHIFTS)
        for row in rows:
            case = f"normal, {row.size:g} sigma"
            share = found[case, f"found within 13 weeks: windows, K = {charts}"]
            assert share == pytest.approx(row.within_quarter, abs=0.08)


def test_the_nearest_simulated_chart_is_taken() -> None:
    assert detections(Fraction(1, 8)) == FOUND[8]
    assert detections(Fraction(1, 17)) == FOUND[18]
    assert detections(Fraction(1, 500)) == FOUND[36]
    assert detections(Fraction(5)) == FOUND[8]


@pytest.mark.slow
def test_stages_lines_and_sources() -> None:
    (aging,) = cell("aging-learned", "M/G/inf, WIP 20, swing 0").figures(0.1)
    (line,) = cell("bottleneck", "found").figures(0.1)
    (dead,) = cell("silence", "dead, Poisson").figures(0.1)
    kept = cell("forecast", "Poisson").figures(0.05)

    assert all(figure.is_met for figure in (aging, line, dead, *kept))


def test_a_missed_target_is_seen() -> None:
    assert not SimulatedFigure("s", "c", "w", 1.01, most=1).is_met
    assert not SimulatedFigure("s", "c", "w", 0.64, least=0.65).is_met
    assert SimulatedFigure("s", "c", "w", 1.0004, most=1).is_met
    assert SimulatedFigure("s", "c", "w", 7).is_met


def test_the_rivals_ring_as_their_rules_say() -> None:
    baseline = [10, 12] * 10

    assert two_sigma([*baseline, 14, 13, 8], Side.HIGH) == [True, False, False]
    assert two_sigma([*baseline, 14, 8], Side.LOW) == [False, True]
    assert western_electric([*baseline, 15], Side.HIGH) == [True]
    assert western_electric([*baseline, *[11.1] * 8], Side.HIGH)[-2:] == [False, True]
    assert western_electric([*baseline, *[13] * 4], Side.HIGH)[-2:] == [False, True]
