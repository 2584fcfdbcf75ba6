"""What the theory page of lorenz says and corrects, computed again."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import tui_opt
from tests.kernels.test_tangents_follow import REFERENCE
from tui_opt.kernels.tangents.lorenz import Lorenz, equilibria
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

PAGE = Path(theory_folder.replace("__init__.py", "lorenz.md")).read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Rows of the first table after a text, as it stands on the page."""
    rows = PAGE[PAGE.index(heading) :].splitlines()
    first = next(k for k, row in enumerate(rows) if row.startswith("|"))
    found = []
    for row in rows[first:]:
        if not row.startswith("|"):
            break
        found.append([cell.strip() for cell in row.strip("|").split("|")])
    return [row for row in found if not set("".join(row)) <= set("-")]


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_page_fits_a_terminal_and_has_an_ascii_form() -> None:
    assert max(len(line) for line in PAGE.splitlines()) <= 80
    assert to_ascii(PAGE).isascii()
    start, end = PAGE.index("## Where the source needs correcting"), PAGE.index("## References")
    assert not set(PAGE[start:end]) & set('"“”„')


def test_reference_values_are_those_of_the_tests() -> None:
    rows = table("Reference values of the continuous system")[1:]
    for row, (t, op_b, sign_b, op_c, sign_c) in zip(rows, REFERENCE[28.0], strict=True):
        assert [float(row[0]), number(row[1]), number(row[3])] == [t, op_b, op_c]
        assert [row[2], row[4]] == ["+" if s > 0 else "−" for s in (sign_b, sign_c)]


def test_where_euler_steps_lose_the_equilibria() -> None:
    header, values = table("Euler also moves")
    for dt, rho in zip(header[1:-1], values[1:-1], strict=True):

        def excess(r: float, dt: float = float(dt)) -> float:
            return float(abs(equilibria(Lorenz(rho=r), dt, "euler")[1].multipliers[0])) - 1.0

        assert brentq(excess, 2.0, 24.9) == pytest.approx(float(rho), abs=0.005)
    assert number(values[-1]) == pytest.approx(470 / 19, abs=1e-4)


def test_rates_by_hand_are_eigenvalues_of_the_free_block() -> None:
    """At any place of the attractor: what is triangular, what a pair leaves, and the sums of the others."""
    lorenz = Lorenz()
    for place in np.random.default_rng(0).normal(size=(5, 3)) * 10:
        jacobian = lorenz.jacobian(place)
        for held, exact in (((1,), [-10, -8 / 3]), ((0, 1), [-8 / 3]), ((0, 2), [-1]), ((1, 2), [-10])):
            free = [k for k in range(3) if k not in held]
            found = np.sort(np.linalg.eigvals(jacobian[np.ix_(free, free)]).real)
            np.testing.assert_allclose(found, exact, rtol=1e-12)
        assert np.trace(jacobian[1:, 1:]) == pytest.approx(-11 / 3)
        # With c held, (a, b) of W solves the equation of the tangent.
        np.testing.assert_allclose(jacobian[:2, :2] @ place[:2], lorenz.slope(0, place)[:2], rtol=1e-12)


def test_the_printed_sign_has_no_stable_equilibrium() -> None:
    (origin,) = equilibria(Lorenz(sigma=-10.0, rho=0.8), 0.01, "rk4")
    assert origin.eigenvalues[0].real == pytest.approx(9.217, abs=1e-3)


def test_the_saddle() -> None:
    origin, *others = equilibria(Lorenz(rho=20.0), 0.01, "rk4")
    assert (origin.kind, [e.kind for e in others]) == ("saddle", ["stable", "stable"])


def test_the_slow_rate_at_the_origin() -> None:
    slow = (-11 + math.sqrt(121 - 4 * 10 * 0.2)) / 2
    assert slow == pytest.approx(-0.184927, abs=1e-6)
    assert max(np.linalg.eigvals(Lorenz(rho=0.8).jacobian(np.zeros(3))).real) == pytest.approx(slow)
    assert f"{-1 - slow:.6f}".replace("-", "−") in PAGE


def test_the_sign_turns_for_a_while_and_x_is_the_greater_difference() -> None:
    found = tui_opt.run("lorenz", "op", rho=0.8, perturbed="c", deltas=[])
    t, sign = found.arrays["t"].values, found.arrays["sign"].values[1]
    negative = t[sign < 0]
    assert (negative[0], negative[-1]) == (pytest.approx(1.01), pytest.approx(1.39))
    found = tui_opt.run("lorenz", "op", rho=0.8, deltas=[])
    greater = found.arrays["log_x"].values[0, -1] - found.arrays["log_y"].values[0, -1]
    assert greater == pytest.approx(7.2, abs=0.05)


def test_where_differences_break_down() -> None:
    found = tui_opt.run("lorenz", "op", deltas=[1e-3, 1e-5, 1e-7], duration=30.0)
    for row, said in zip(found.tables["breakdown"].rows, table("difference is off by more")[1:], strict=True):
        assert [float(x) for x in said[1:]] == pytest.approx([float(x or 0.0) for x in row[1:]], abs=0.06)


def test_symbols_of_the_page_are_few() -> None:
    assert not re.search(r"\$|\\frac", PAGE)
