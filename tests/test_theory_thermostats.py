"""What the theory page of thermostats derives in its first two parts, and where it corrects the source."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tui_opt.experiments.thermostats.continuous_square import stages
from tui_opt.experiments.thermostats.epsilon_limit import limit_of
from tui_opt.experiments.thermostats.states import DUMB, SMART, Thermostat
from tui_opt.kernels.entropies import exact_entropy
from tui_opt.kernels.finite_maps import Law, decorrelated, pushed
from tui_opt.kernels.rare_states import concentrated, expanded_entropy, product
from tui_opt.kernels.rare_states import decorrelated as decorrelated_powers
from tui_opt.kernels.rare_states import pushed as pushed_powers
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

PAGE = Path(theory_folder).with_name("thermostats.md")
FIRST_PARTS = PAGE.read_text(encoding="utf-8").partition("# Parts 3 and 4")[0]
UNIFORM: Law = (Fraction(1, 9),) * 9


def entropy_given_next(system: Thermostat, law: Law) -> float:
    """S(now | next) in bits, from conditional probabilities."""
    total = 0.0
    for after in range(9):
        into = [p for s, p in enumerate(law) if system.target[s] == after and p]
        whole = sum(into, Fraction(0))
        total -= sum(float(p) * math.log2(p / whole) for p in into)
    return total


@pytest.mark.parametrize(("system", "now", "apart"), [(DUMB, 0.0, 4 / 9), (SMART, 1.210733, 0.926051)])
def test_adjusted_is_what_a_step_merges_with_the_correlation_and_without(
    system: Thermostat, now: float, apart: float
) -> None:
    law = pushed(UNIFORM, system.target)
    lost = [entropy_given_next(system, law), entropy_given_next(system, decorrelated(law, 3))]
    assert lost == [pytest.approx(now, abs=1e-6), pytest.approx(apart, abs=1e-6)]
    for p, of in zip((law, decorrelated(law, 3)), lost, strict=True):
        assert (exact_entropy(p) - exact_entropy(pushed(p, system.target))).in_bits() == pytest.approx(
            of, abs=1e-14
        )


def test_a_map_that_merges_nothing_has_no_adjusted_measure() -> None:
    turn = [4, 7, 2, 0, 1, 8, 3, 5, 6]
    law = tuple(Fraction(n, 45) for n in range(1, 10))
    apart = decorrelated(law, 3)
    gained = exact_entropy(pushed(apart, turn)) - exact_entropy(pushed(law, turn))
    assert not gained.is_zero()
    assert (gained - exact_entropy(apart) + exact_entropy(law)).is_zero()


def test_why_one_half() -> None:
    """What a step merges to first order: half of the entropy with the correlation, nothing without."""
    limit = limit_of(SMART, (1, 1))
    start = product(concentrated(3, 1), concentrated(3, 1))
    now = pushed_powers(start, SMART.target)
    apart = decorrelated_powers(now, 3)
    of = [expanded_entropy(law) for law in (start, now, apart)]
    after = [expanded_entropy(pushed_powers(law, SMART.target)) for law in (now, apart)]
    assert of[1].first_log == of[0].first_log == limit.below.first_log == 2
    assert after[0].first_log == 1
    assert after[1].first_log == of[2].first_log == 3
    assert (after[1].first - of[2].first).is_zero()


def test_two_terms_of_the_smart_family() -> None:
    limit = limit_of(SMART, (1, 1))
    for log in (3.0, 20.0):
        first = log + 1 + math.log(2)
        assert limit.below.first_term(log) == pytest.approx(2 * first, rel=1e-15)
        assert limit.below.second_term(log) == pytest.approx(-1.0, rel=1e-14)
        assert limit.above.first_term(log) == pytest.approx(first, rel=1e-15)
        second = -(3.5 * log + 3.5 + 2.5 * math.log(2))
        assert limit.above.second_term(log) == pytest.approx(second, rel=1e-15)
        c = 7 / 4 - (0.5 + math.log(2)) / (2 * first)
        assert limit.correction(log) == pytest.approx(c, rel=1e-14)
    assert limit.correction(math.log(100)) == pytest.approx(1.64, abs=0.02)
    assert limit.correction(10 * math.log(10)) == pytest.approx(1.73, abs=0.005)


def test_two_terms_of_the_dumb_family() -> None:
    limit = limit_of(DUMB, (1, 1))
    assert limit.above.first_term(5.0) == 0.0
    assert limit.above.second_term(5.0) == pytest.approx(-0.5 * limit.below.first_term(5.0), rel=1e-15)


def test_flanks_of_a_trapezoid() -> None:
    s = (np.arange(100_000) + 0.5) / 100_000
    assert -(2 * s * np.log(s)).mean() == pytest.approx(0.5, abs=1e-8)


def test_a_changing_volume_is_what_a_nonlinear_map_needs() -> None:
    """adjusted = E' ln|J| - E ln|J| for T <- T exp(aRT), where J depends on both parts, by entropies on cells.

    Zero again where ln|J| is a function of one part alone: R <- R + cR³, T <- T + R/2.
    """
    rng = np.random.default_rng(4)
    samples, cells = 500_000, 70
    start = rng.uniform(-1, 1, (samples, 2))
    now = np.column_stack([start[:, 0] - 0.6 * start[:, 1], start[:, 0] + 0.4 * start[:, 1]])
    apart = np.column_stack([now[:, 0], rng.permutation(now[:, 1])])

    def entropy(points: np.ndarray) -> float:
        counts, x, y = np.histogram2d(points[:, 0], points[:, 1], bins=cells)
        shares = counts[counts > 0] / samples
        correction = np.count_nonzero(counts) / (2 * samples)  # Miller's, of the bias of counted shares
        return float(-(shares * np.log(shares)).sum() + math.log((x[1] - x[0]) * (y[1] - y[0])) + correction)

    def both(p: np.ndarray) -> np.ndarray:
        return np.column_stack([p[:, 0], p[:, 1] * np.exp(0.4 * p[:, 0] * p[:, 1])])

    def alone(p: np.ndarray) -> np.ndarray:
        return np.column_stack([p[:, 0] + 0.3 * p[:, 0] ** 3, p[:, 1] + 0.5 * p[:, 0]])

    def log_jacobian(p: np.ndarray) -> np.ndarray:
        return 0.4 * p[:, 0] * p[:, 1] + np.log1p(0.4 * p[:, 0] * p[:, 1])

    for step, expected in (
        (both, log_jacobian(apart).mean() - log_jacobian(now).mean()),
        (alone, 0.0),
    ):
        measured = entropy(step(apart)) - entropy(step(now)) - entropy(apart) + entropy(now)
        assert measured == pytest.approx(expected, abs=0.02)
    assert abs(log_jacobian(apart).mean() - log_jacobian(now).mean()) > 0.1


def test_a_wide_box() -> None:
    found = stages(Fraction(3, 10), (Fraction(10), Fraction(1)), (Fraction(0), Fraction(0)))
    determinants = {name: c[0][0] * c[1][1] - c[0][1] ** 2 for name, c in found.covariances.items()}
    assert math.log(determinants["now_decorrelated"] / determinants["now"]) == pytest.approx(7.01, abs=0.005)


def test_the_page_fits_a_terminal_and_has_an_ascii_spelling() -> None:
    block = False
    for number, line in enumerate(FIRST_PARTS.split("\n"), 1):
        block ^= line.startswith("```")
        assert len(line) <= (76 if block else 80), number
        assert ("?" in to_ascii(line)) == ("?" in line), number


def test_the_page_numbers_what_it_corrects_and_says_it_in_our_words() -> None:
    start = FIRST_PARTS.index("## Where parts 1 and 2 need correcting")
    end = FIRST_PARTS.index("## References of parts 1 and 2")
    found = [int(n) for n in re.findall(r"^ ?(\d+)\. ", FIRST_PARTS[start:end], flags=re.M)]
    assert found == list(range(1, 15))
    assert not set(FIRST_PARTS[start:end]) & set('"“”„')


def test_numbers_of_the_page_are_those_of_the_experiments() -> None:
    import tui_opt

    for number in ("1.140518", "0.612197", "1.353973", "0.306956", "0.710242", "2.494123", "−4/9"):
        assert number in FIRST_PARTS
    rows = {
        line.split()[0]: line.split()
        for line in FIRST_PARTS.split("\n")
        if re.match(r"  (dumb|smart) +3\.1699", line)
    }
    for thermostat, row in rows.items():
        result = tui_opt.run("thermostats", "adjusted", thermostat=thermostat)
        names = ("before", "now", "next", "now_decorrelated", "next_decorrelated")
        for text, name in zip(row[1:6], names, strict=True):
            assert float(text) == pytest.approx(result.findings[f"entropy_{name}"].value, abs=5e-5)
    assert set(rows) == {"dumb", "smart"}
