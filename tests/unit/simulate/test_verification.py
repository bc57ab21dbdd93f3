"""A short `make simulate-verification`: every cell runs and repeats itself, and rough targets hold on few histories."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from math import sqrt
from pathlib import Path
from random import Random
from statistics import fmean
from types import SimpleNamespace

import pytest

from shared.flow.statistics import interim_looks, sealing
from shared.flow.statistics.ranks import stretch
from shared.flow.statistics.sealing import Ground
from shared.policy.watchable import Side
from tests.simulate import run
from tests.simulate.figures import Cell, SimulatedFigure, share_figure
from tests.simulate.run import STUDIES, SUITES, VERIFICATION_STUDIES, table
from tests.simulate.shapes import COUNTS, NORMAL, UNIT
from tests.simulate.verification import placebos, reachable
from tests.simulate.verification.changes import STUDIED_SHAPES, SimulatedChange, is_verified, moved, studied_shape
from tests.simulate.verification.reachable import gate_above, gate_below
from tests.simulate.verification.selections import SELECTIONS

CELLS = [cell for study in VERIFICATION_STUDIES.values() if study is not placebos for cell in study.cells()]


def figures(study: str, case: str, scale: float) -> dict[tuple[str, str], SimulatedFigure]:
    cell = next(one for one in CELLS if (one.study, one.case) == (study, case))
    return {(one.case, one.what): one for one in cell.figures(scale)}


def is_missed(figure: SimulatedFigure) -> bool:
    """Whether a share of few histories lies farther beyond what is required than three standard errors of them."""
    bound, sign = float(figure.required.split()[1]), 1 if figure.most is not None else -1
    assert figure.of
    return sign * (figure.value - bound) > 3 * sqrt(bound * (1 - bound) / figure.of)


def no_more_than_required(case: str, scale: float) -> bool:
    return not is_missed(figures("false verdicts", case, scale)[case, "verified"])


def gains_found(scale: float) -> bool:
    found = figures("power", "normal, 20 weeks before", scale)
    return not any(is_missed(figure) for figure in found.values() if figure.required)


@pytest.mark.slow
@pytest.mark.parametrize("one", CELLS, ids=lambda one: f"{one.study}, {one.case}")
def test_every_cell_has_figures(one: Cell) -> None:
    found = one.figures(0.002)

    assert found
    assert all(figure.study == one.study for figure in found)
    assert table(found).row_count == len(found)


def test_a_cell_repeats_itself() -> None:
    case = "a window fired from week 20 on, 8 to 12 weeks later: normal"

    assert figures("false verdicts", case, 0.005) == figures("false verdicts", case, 0.005)


def test_no_two_cells_share_their_random_numbers() -> None:
    every = [cell for studies, _ in SUITES.values() for study in studies.values() for cell in study.cells()]

    assert len({(one.study, one.case) for one in every}) == len(every)
    assert not STUDIES.keys() & VERIFICATION_STUDIES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("why", SELECTIONS)
@pytest.mark.parametrize("shape", ["normal", "counts, fewer is worse", "AR .6"])
def test_changes_that_never_were_are_seldom_verified(why: str, shape: str) -> None:
    assert no_more_than_required(f"{why}: {shape}", 0.1)


@pytest.mark.slow
def test_true_gains_are_verified_and_then_held() -> None:
    hold = figures("companions", "hold, normal", 0.04)

    assert gains_found(0.1)
    assert hold["normal, gain of 2 sigma, held", "called held"].value >= 0.95
    assert hold["normal, gain of 2 sigma, lost after the window", "called decayed"].value >= 0.75


@pytest.mark.slow
def test_a_special_cause_removed_soon_is_restored_and_one_that_goes_on_is_not() -> None:
    found = figures("repairs", "after 1 to 6 weeks, normal", 0.04)
    case = "normal, cause of 3 sigma, change 1 to 6 weeks after the opening"

    assert found[case, "cause removed: restored"].value >= 0.9
    assert found[case, "cause goes on: restored"].value <= 0.1


@pytest.mark.parametrize("why", SELECTIONS)
def test_a_selection_leaves_a_whole_window_after_the_change(why: str) -> None:
    for change in SELECTIONS[why](Random(why), COUNTS, 5):
        assert len(change.weeks) == change.change + 13
        assert all(0 <= week < change.change for week in change.ground.trigger)


@pytest.mark.parametrize("why", [why for why in SELECTIONS if not why.startswith("any time")])
def test_chosen_weeks_are_bad_ones(why: str) -> None:
    changes = list(SELECTIONS[why](Random(why), NORMAL, 30))
    chosen = [change.weeks[week] for change in changes for week in change.ground.trigger]
    later = [week for change in changes for week in change.weeks[change.change :]]

    assert fmean(chosen) - fmean(later) > 0.25 * UNIT


def test_worse_is_the_bad_side_of_a_shape() -> None:
    fewer = studied_shape("counts, fewer is worse")

    assert fewer.side is Side.LOW
    assert moved([0, 0, 0], fewer, 1.5, 1) == [0, -3 * UNIT, -3 * UNIT]
    assert moved([0, 0, 0], COUNTS, 1.5, 1, 2) == [0, 3 * UNIT, 0]


def test_a_plain_gain_is_verified_on_either_side() -> None:
    for shape in (COUNTS, studied_shape("counts, fewer is worse")):
        weeks = moved(shape.weeks(Random(4), 33), shape, -6, 20)
        assert is_verified(SimulatedChange(shape, weeks, 20).verify())
        assert SimulatedChange(shape, weeks, 20).is_marked
        worse = moved(shape.weeks(Random(4), 33), shape, 6, 20)
        assert not is_verified(SimulatedChange(shape, worse, 20, Ground()).verify())
        assert not SimulatedChange(shape, worse, 20).is_marked


@pytest.mark.slow
def test_changes_that_never_were_in_the_log_of_a_shop() -> None:
    found = {(one.case, one.what): one for one in next(iter(placebos.cells())).figures(0.25)}

    assert found["shop, all charts", "changes that never were"].value > 250
    assert found["shop, all charts", "verified"].is_met
    assert found["shop, all charts", "draft rule"].value > 0.1


# Faults of the product that a short simulation must notice; each holds without the fault.


def test_a_measure_taken_to_remember_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = "any time, 20 weeks before: AR .6"

    assert no_more_than_required(case, 0.02)
    monkeypatch.setattr(sealing, "memory", lambda history: 0.0)
    assert not no_more_than_required(case, 0.02)


def test_looks_that_pass_too_easily_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = "the worst four weeks in ten, 52 weeks before: normal"

    assert no_more_than_required(case, 0.08)
    monkeypatch.setattr(interim_looks, "LEVELS", (Fraction(1, 25), Fraction(2, 25), Fraction(3, 25)))
    assert not no_more_than_required(case, 0.08)


def test_looks_that_ask_too_much_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gains_found(0.04)
    monkeypatch.setattr(sealing, "stretch", lambda *arguments: 2 * stretch(*arguments))
    assert not gains_found(0.04)


def test_the_draft_rule_sees_a_week_below_its_lower_limit() -> None:
    weeks = moved(NORMAL.weeks(Random(1), 33), NORMAL, -8, 20, 21)

    assert SimulatedChange(NORMAL, weeks, 20).is_marked


def test_every_gate_belongs_to_a_figure() -> None:
    cases = {(cell.study, cell.case) for cell in CELLS}

    for why, shares in reachable.FALSE.items():
        assert all(("false verdicts", f"{why}: {shape}") in cases for shape in shares)
    shapes = {shape.name for shape in STUDIED_SHAPES}
    gated = [*reachable.POWER, *(name for name, _ in reachable.COVERED), *(name for name, _ in reachable.LOSSES_FOUND)]
    assert shapes.issuperset(gated)


def test_a_gate_lies_three_standard_errors_beyond_the_long_run() -> None:
    assert gate_above(0.05, 0.03, 2500) == 0.064
    assert gate_above(0.02, 0.03, 2500) is None
    assert gate_above(None, 0.03, 2500) is None
    assert gate_below(0.8, 0.85, 2000) == 0.773
    assert gate_below(0.95, 0.85, 1600) is None


def test_a_gate_is_required_in_place_of_its_target() -> None:
    figure = share_figure("s", "c", "w", 4, 100, most=0.03, gate=0.05)

    assert (figure.target, figure.required, figure.is_met, figure.passes) == ("<= 0.03", "<= 0.05", False, True)
    assert figure.error == pytest.approx(sqrt(0.04 * 0.96 / 100))
    assert not share_figure("s", "c", "w", 6, 100, most=0.03, gate=0.05).passes
    assert not share_figure("s", "c", "w", 7, 10, least=0.85, gate=0.8).passes
    assert figure.as_json()["required"] == "<= 0.05"
    assert share_figure("s", "c", "w", 0, 0).error is None


def _of_value(_: Random, __: float, value: float) -> Iterator[SimulatedFigure]:
    yield SimulatedFigure("power", "c", "w", value, most=0.03, gate=0.05)


@pytest.mark.parametrize(("value", "code"), [(0.02, 0), (0.04, 0), (0.06, 1)])
def test_a_miss_is_the_exit_code(value: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = SimpleNamespace(cells=lambda: [Cell("power", "c", _of_value, (value,))])
    monkeypatch.setitem(run.SUITES, "verification", ({"power": study}, tmp_path / "figures.json"))
    monkeypatch.setattr(sys, "argv", ["run", "verification", "--jobs", "1"])

    assert run.main() == code
    assert (tmp_path / "figures.json").exists()
