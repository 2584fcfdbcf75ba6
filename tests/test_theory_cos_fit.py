"""What the theory page of cos-fit derives, checked by samples, by quadrature and by the kernels themselves."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from tui_opt.experiments.cos_fit.ranges import range_of
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

PAGE = Path(theory_folder).with_name("cos-fit.md").read_text(encoding="utf-8")
ALPHA, BETA = 0.583, 0.112


def phi(t: float, s: float) -> float:
    return math.exp(-(t**2) * s**2 / 2)


def loss(a: float, s: float) -> float:
    """J(a) as the page writes it, for normal x."""
    return 1 + phi(2 * a, s) / 2 + phi(2 * ALPHA, s) / 2 - phi(a - ALPHA, s) - phi(a + ALPHA, s)


def uniform(a: float, length: float) -> float:
    """J(a) as the page writes it, for uniform x."""

    def f(t: float) -> float:
        return math.sin(t * length) / (t * length) if t else 1.0

    return 1 + f(2 * a) / 2 + f(2 * ALPHA) / 2 - f(a - ALPHA) - f(a + ALPHA)


@pytest.mark.parametrize("a", [0.0, 0.4, 0.7, 1.25])
def test_the_closed_forms_are_the_integrals(a):
    def squared(x: float) -> float:
        return (math.cos(a * x) - math.cos(ALPHA * x)) ** 2

    s, length = 5.0, 10.0
    value, _ = scipy.integrate.quad(lambda x: squared(x) * math.exp(-(x**2) / (2 * s**2)), -60, 60, limit=400)
    assert loss(a, s) == pytest.approx(value / (s * math.sqrt(2 * math.pi)), abs=1e-9)
    value, _ = scipy.integrate.quad(squared, 0, length, limit=200)
    assert uniform(a, length) == pytest.approx(value / length, abs=1e-12)


def test_the_table_of_the_loss():
    rows = re.findall(r"^\| (5|500) +\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, flags=re.M)
    assert len(rows) == 2
    for s, *values in rows:
        for a, value in zip((0.0, 0.7, 1.25, 2.0), values, strict=True):
            assert float(value) == pytest.approx(loss(a, float(s)), abs=6e-7)
    assert pytest.approx(0.17, abs=0.005) == (0.7 - ALPHA) ** 2 * 25 / 2
    assert pytest.approx(1711, abs=0.5) == (0.7 - ALPHA) ** 2 * 500**2 / 2
    assert math.exp(-1711) == 0.0


def test_places_of_the_pit():
    s = 50.0

    def pit(u: float) -> float:
        return 1 - math.exp(-(u**2) / 2)

    steepest = scipy.optimize.minimize_scalar(
        lambda u: -u * math.exp(-(u**2) / 2), bounds=(0, 4), method="bounded"
    )
    assert steepest.x == pytest.approx(1.0, abs=1e-4)
    assert scipy.optimize.brentq(lambda u: pit(u) - 0.5, 0, 4) == pytest.approx(1.177, abs=5e-4)
    assert loss(ALPHA + 1 / s, s) == pytest.approx(pit(1.0), abs=1e-9)
    assert scipy.optimize.brentq(lambda u: math.tan(u) - u, 4.4, 4.6) == pytest.approx(4.493, abs=5e-4)
    assert math.exp(-(0.25**2) / 2) == pytest.approx(0.97, abs=0.002)


def test_a_normal_law_has_no_other_minimum():
    for s in (1.0, 5.0, 50.0):
        a = np.linspace(ALPHA + 0.05 / s, ALPHA + 6 / s, 2000)
        assert (np.diff([loss(v, s) for v in a]) > 0).all()
        below = np.linspace(0.0, ALPHA - 0.05 / s, 2000)[1:]
        falls = np.diff([loss(v, s) for v in below])
        assert (falls <= 1e-15).all()


def test_the_ripple_and_the_bounds():
    rng = np.random.default_rng(0)
    x, x2 = rng.normal(0, 500, (200, 10_000)), rng.uniform(-1, 1, 1_000_000)
    means = ((np.cos(2 * x) - np.cos(ALPHA * x)) ** 2).mean(axis=1)
    assert means.std() == pytest.approx(math.sqrt(1.25) / 100, rel=4 / math.sqrt(2 * 200))
    bound = 0.1 / np.sqrt((x[0] ** 2 * np.sin(ALPHA * x[0]) ** 2).sum())
    assert bound == pytest.approx(math.sqrt(2) * 0.1 / (100 * 500), rel=0.05)
    assert math.sqrt(2) * 0.1 / (100 * 5) == pytest.approx(0.00028, abs=5e-6)
    growth = (x2**2 * np.exp(2 * BETA * x2)).mean()
    assert 1 / growth == pytest.approx(3, rel=0.03)
    assert math.sqrt(3) * 0.1 / 100 == pytest.approx(0.0017, abs=5e-5)
    narrow = x[0] / 100
    assert (narrow**2 * np.sin(ALPHA * narrow) ** 2).mean() / growth == pytest.approx(38, abs=2)
    u = 10 * rng.random(1_000_000)
    assert (u**2 * np.sin(ALPHA * u) ** 2).mean() / growth == pytest.approx(58, abs=2)


def test_the_size_of_the_grid_and_the_noise_at_which_it_fails():
    rng = np.random.default_rng(0)
    cells = [range_of(u, True, None).cells for u in (rng.normal(0, 5, 10_000), 10 * rng.random(10_000))]
    assert cells == [pytest.approx(70_000, rel=0.05), pytest.approx(110_000, rel=0.05)]
    assert 2 * math.sqrt(2 * math.log(70_000)) == pytest.approx(9.4, abs=0.1)


def test_aliases_of_equally_spaced_data():
    d, k = 0.25, np.arange(50)
    np.testing.assert_allclose(np.cos((2 * math.pi / d - ALPHA) * d * k), np.cos(ALPHA * d * k), atol=1e-9)


def test_the_page_fits_a_terminal_and_has_an_ascii_spelling():
    block = False
    for number, line in enumerate(PAGE.splitlines(), 1):
        block ^= line.startswith("```")
        assert len(line) <= (76 if block else 80), number
        assert ("?" in to_ascii(line)) == ("?" in line), number
