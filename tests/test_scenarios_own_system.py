"""The shipped files of own-system: what they check, and that it holds; two of them against a second method."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tui_opt
from tests.claims import assert_same_when_written_out, assert_says_what_it_checks, unmet
from tui_opt.locations import shipped_scenarios
from tui_opt.render.ascii import to_ascii

SOURCES = [f"Defining Optimization in a Deeper Way Part {part}" for part in (3, 4)]
PATHS = sorted((shipped_scenarios() / "own-system").glob("*.toml"))
NAMES = [path.stem for path in PATHS]
EXAMPLES = {"predator-prey", "pi-controller", "three-nodes"}


def test_the_worked_examples_are_there() -> None:
    assert set(NAMES) >= EXAMPLES


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_file_says_what_it_checks_and_why(path: Path, tmp_path: Path) -> None:
    assert_says_what_it_checks(path, "own-system", SOURCES)
    assert_same_when_written_out(path, tmp_path)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_claims_hold(path: Path, tmp_path: Path) -> None:
    assert unmet(path, tmp_path) == []


def test_the_theory_page_fits_a_narrow_terminal_and_can_be_told_in_ascii() -> None:
    page = tui_opt.scenarios()["own-system"].theory()
    for block in re.findall(r"```\n(.*?)```", page, flags=re.S):
        assert max(map(len, block.splitlines())) <= 76
    assert to_ascii(page).count("?") == page.count("?")


def test_controllers_against_powers_of_their_matrix() -> None:
    for name, matrix in (
        ("pi-controller", [[0.98, 0.2, 0.0], [-1.0, 0.0, 0.1], [-1.0, 0.0, 1.0]]),
        ("p-controller", [[0.98, 0.2], [-1.0, 0.0]]),
    ):
        op = tui_opt.run_file(shipped_scenarios() / "own-system" / f"{name}.toml").arrays["op"].values[0]
        free = [np.linalg.matrix_power(np.array(matrix), t)[0, 0] for t in range(101)]
        expected = np.arange(101) * math.log(0.98) - np.log(np.abs(free))
        np.testing.assert_allclose(op, expected, rtol=0, atol=1e-9)


def test_predators_and_prey_against_an_adaptive_integrator() -> None:
    from scipy.integrate import solve_ivp

    def slopes(_: float, s: NDArray[np.float64]) -> list[float]:
        x, y, vx, vy, ux = s
        grows, hunts = 1 - 0.5 * y, 0.2 * x - 0.8
        return [x * grows, y * hunts, grows * vx - 0.5 * x * vy, 0.2 * y * vx + hunts * vy, grows * ux]

    result = tui_opt.run_file(shipped_scenarios() / "own-system" / "predator-prey.toml")
    every = slice(0, 4001, 200)
    found = solve_ivp(
        slopes, (0, 20), [8, 1, 1, 0, 1], "DOP853", result.arrays["t"].values[every], rtol=1e-12, atol=1e-13
    )
    expected = np.log(np.abs(found.y[4] / found.y[2]))
    np.testing.assert_allclose(result.arrays["op"].values[0, every], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(result.arrays["sign"].values[0, every], np.sign(found.y[2] * found.y[4]))
