"""What the theory page of landscape-5x5 says of the built network, its kinks and its Hessian."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.kernels.networks import hessians
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.hessians import hessian, largest_curvature
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss_and_gradient, outputs
from tui_opt.kernels.networks.scaling import scaled, smallest
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

PAGE = Path(theory_folder).with_name("landscape-5x5.md").read_text(encoding="utf-8")
PAPER = Layout(5, 5)
BUILT = built_network(PAPER, (1.0, -1.0, 0.0), 0.7)
X = training_set(knots(PAPER, BUILT), 9)
Y = outputs(PAPER, BUILT, X)
SMALL = smallest(PAPER, BUILT[None])[0]


def rows_of(heading: str) -> dict[str, list[str]]:
    """Cells of the first table under a heading by what stands in the first column."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip(" *").replace("−", "-") for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def largest(kinks: float = 0.0) -> float:
    return float(np.linalg.eigvalsh(hessian(PAPER, SMALL, X, Y, kinks=kinks))[-1])


def test_the_page_fits_a_terminal_and_can_be_told_in_ascii() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= 80, line
    in_block = False
    for line in PAGE.splitlines():
        in_block ^= line.startswith("```")
        assert not in_block or len(line) <= 76, line
    assert to_ascii(PAGE).count("?") == PAGE.count("?")


def test_curvatures_at_kinks() -> None:
    rows = rows_of("Kinks")
    for name, slope in (("all off", 0.0), ("all on", 1.0), ("all with slope 1/2", 0.5)):
        assert largest(slope) == pytest.approx(float(rows[name][0]), abs=0.051)
    curvature, direction = largest_curvature(PAPER, SMALL, X, Y)
    assert curvature == pytest.approx(float(rows["on the side of the direction itself"][0]), abs=0.051)
    other = direction @ hessian(PAPER, SMALL, X, Y, -direction) @ direction
    assert other == pytest.approx(float(rows["the same direction, the other way"][0]), abs=0.051)
    raw, _ = largest_curvature(PAPER, BUILT, X, Y)
    assert f"{raw:.0f}" in PAGE.split("## Hessians")[1]


def test_power_iteration_on_gradients_finds_the_largest_curvature() -> None:
    step = 1e-6
    u = np.random.default_rng(1).normal(size=PAPER.size)
    for _ in range(60):
        u /= np.linalg.norm(u)
        u = loss_and_gradient(PAPER, (SMALL + step * u)[None], X, Y)[1][0] / step
    assert np.linalg.norm(u) == pytest.approx(largest_curvature(PAPER, SMALL, X, Y)[0], rel=1e-6)


def test_what_rounding_and_random_sides_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranges of the page hold what is drawn, and are not much wider."""
    rows = rows_of("Kinks")
    monkeypatch.setattr(hessians, "AT_A_KINK", 0.0)
    rng = np.random.default_rng(2)

    def scaled_anew() -> NDArray[np.float64]:
        return smallest(PAPER, scaled(PAPER, BUILT[None], rng.normal(0, 0.3, (1, 5, 5))))[0]

    for name, change in (
        ("as rounding has it, scaled in other ways", scaled_anew),
        ("on the side of a random direction", lambda: SMALL + 1e-9 * rng.normal(size=136)),
    ):
        low, high = map(float, rows[name][0].split(" … "))
        found = [np.linalg.eigvalsh(hessian(PAPER, change(), X, Y))[-1] for _ in range(24)]
        assert low - 4 < min(found) < max(found) < high + 4, name
        assert max(found) - min(found) > (high - low) / 5, name


def test_the_limit_of_stability() -> None:
    limit = 2 * 1.9 / largest_curvature(PAPER, SMALL, X, Y)[0]
    assert f"this is {limit:.6f}" in PAGE
    assert f"{2 * 1.9 / 0.01:.0f}" in PAGE.split("## Hessians")[1]
