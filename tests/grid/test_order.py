"""What runs next, with and without a time budget."""

from __future__ import annotations

from bench.grid.expand import Grid
from bench.grid.order import narrowed, next_cell
from bench.ledger.cell import Cell, DistilCell, EvaluateCell


def made(method: str, prerequisite: DistilCell | None = None) -> DistilCell:
    return DistilCell(
        method, 1, {}, "digits", "0" * 64, 1, None, 0, "fp32", "smoke", "", prerequisite
    )


def evaluation(distil: DistilCell) -> EvaluateCell:
    return EvaluateCell(distil, 1, "stored", "convnet3", "quick", 1, 2, "fp32")


GAN = made("gan")
DIM = made("dim", GAN)
DM = made("dm")
CELLS: list[Cell] = [GAN, evaluation(GAN), DIM, evaluation(DIM), DM, evaluation(DM)]


def test_without_a_budget_the_order_stands() -> None:
    assert next_cell(CELLS, {GAN.id: 1e9}, None) is GAN


def test_what_fits_comes_first_but_never_before_what_it_depends_on() -> None:
    times = {cell.id: 1.0 for cell in CELLS} | {GAN.id: 100.0}
    assert next_cell(CELLS, times, 10.0) is DM
    assert next_cell([c for c in CELLS if c is not GAN], times, 10.0) is CELLS[1]


def test_a_cell_without_an_estimate_counts_as_short() -> None:
    assert next_cell(CELLS, {GAN.id: 100.0}, 10.0) is DM


def test_if_nothing_fits_the_first_is_begun() -> None:
    times = {cell.id: 100.0 for cell in CELLS}
    assert next_cell(CELLS, times, 10.0) is GAN


def test_a_grid_is_narrowed_to_some_cells_and_what_depends_on_them() -> None:
    whole = Grid((GAN, DIM, DM), (evaluation(GAN), evaluation(DIM), evaluation(DM)), ())
    assert narrowed(whole, {DM.id}) == Grid((DM,), (evaluation(DM),), ())
    assert narrowed(whole, {evaluation(DIM).id}) == Grid((GAN, DIM), (evaluation(DIM),), ())
    assert narrowed(whole, {GAN.id}) == Grid((GAN, DIM), (evaluation(GAN), evaluation(DIM)), ())
    assert narrowed(whole, {}) == Grid((), (), ())
