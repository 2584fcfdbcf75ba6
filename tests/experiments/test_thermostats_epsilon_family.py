"""epsilon-family: ratios to 1e-12 from ε = 0.1 down to any ε, the limits 1/2 and 0, and how they are approached."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import tui_opt
from tui_opt.errors import CancelledError
from tui_opt.experiments.thermostats.discrete_params import EpsilonFamilyParams
from tui_opt.experiments.thermostats.epsilon_family import compute
from tui_opt.experiments.thermostats.states import DUMB, SMART, Thermostat
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent
from tui_opt.scenario_file import ScenarioFileError

#: ε: entropy at t-1, adjusted, ratio, from an independent computation with many digits.
REFERENCE = {
    1e-1: (1.137991187, 0.4062551031, 0.356993189),
    1e-2: (0.1815862718, 0.08782001861, 0.483626971),
    1e-4: (3.146067057e-3, 1.572500238e-3, 0.499830490),
    1e-8: (5.803623959e-7, 2.901811879e-7, 0.499999982797),
    1e-10: (7.132395198e-9, 3.566197598e-9, 0.499999999827),
}


class Shown(Silent):
    """Keeps the partial results."""

    def __init__(self) -> None:
        self.partials: list[Result] = []

    def partial(self, result: Result) -> None:
        self.partials.append(result)


def family(**params: object) -> Result:
    return tui_opt.run("thermostats", "epsilon-family", **params)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def many_digits(system: Thermostat, epsilon: Fraction) -> tuple[float, float, float]:
    """Entropy at t-1, adjusted optimizing-ness and ratio in bits, all laws as mpmath numbers of 120 digits."""
    with mpmath.workdps(120):
        e = mpmath.mpf(epsilon.numerator) / epsilon.denominator
        part = [e / 2, 1 - e, e / 2]
        before = [p * q for p in part for q in part]

        def after(law: list[mpmath.mpf]) -> list[mpmath.mpf]:
            return [mpmath.fsum(p for s, p in enumerate(law) if system.target[s] == to) for to in range(9)]

        def bits(law: list[mpmath.mpf]) -> mpmath.mpf:
            return -mpmath.fsum(p * mpmath.log(p, 2) for p in law if p)

        now = after(before)
        rows = [mpmath.fsum(now[i : i + 3]) for i in (0, 3, 6)]
        columns = [mpmath.fsum(now[i::3]) for i in range(3)]
        apart = [p * q for p in rows for q in columns]
        adjusted = bits(after(apart)) + bits(now) - bits(after(now)) - bits(apart)
        return float(bits(before)), float(adjusted), float(adjusted / bits(before))


@pytest.mark.parametrize(("thermostat", "system"), [("smart", SMART), ("dumb", DUMB)])
def test_every_entropy_and_ratio_has_all_its_digits(thermostat: str, system: Thermostat) -> None:
    epsilons = [10.0**-k for k in range(1, 17)] + [0.3, 2 / 3, 1e-18]
    result = family(thermostat=thermostat, epsilon=epsilons)
    for i, epsilon in enumerate(epsilons):
        written = Fraction(2, 3) if epsilon == 2 / 3 else Fraction(repr(epsilon))
        before, adjusted, ratio = many_digits(system, written)
        assert result.arrays["entropy_before"].values[i] == pytest.approx(before, rel=1e-15)
        assert result.arrays["adjusted"].values[i] == pytest.approx(adjusted, rel=1e-14)
        assert result.arrays["ratio"].values[i] == pytest.approx(ratio, rel=1e-14)


def test_reference_numbers() -> None:
    result = family(epsilon=list(REFERENCE))
    for i, (before, adjusted, ratio) in enumerate(REFERENCE.values()):
        assert result.arrays["entropy_before"].values[i] == pytest.approx(before, rel=1e-9)
        assert result.arrays["adjusted"].values[i] == pytest.approx(adjusted, rel=1e-9)
        assert result.arrays["ratio"].values[i] == pytest.approx(ratio, abs=1e-9)
    assert result.arrays["entropy_now"].values[-1] == pytest.approx(7.13239519741e-9, rel=1e-11)
    assert result.arrays["entropy_next"].values[-1] == pytest.approx(3.56619759863e-9, rel=1e-11)
    for name in ("entropy_now_decorrelated", "entropy_next_decorrelated"):
        assert result.arrays[name].values[-1] == pytest.approx(1.049859279e-8, rel=1e-9)


def test_the_limit_of_the_smart_thermostat_is_one_half() -> None:
    result = family()
    assert value(result, "limit_ratio") == 0.5
    assert value(result, "limit_correction") == 7 / 4
    assert value(result, "log_slope") == pytest.approx(0.9999997, abs=5e-8)
    assert value(result, "linear_slope") == pytest.approx(0.4999983, abs=5e-8)
    assert value(result, "series_error") < 1e-15
    small = family(epsilon=[1e-2, 1e-18])
    np.testing.assert_allclose(small.arrays["correction"].values, [1.6373, 1.7362], atol=1e-4)


def test_the_series_of_the_smart_thermostat_by_hand() -> None:
    """S(t-1) = 2ε(L+1+ln 2) - ε² and the adjusted one ε(L+1+ln 2) + ..., in nats."""
    result = family(epsilon=[1e-9])
    log = 9 * math.log(10)
    first = (log + 1 + math.log(2)) / math.log(2)
    assert result.arrays["entropy_before_series"].values[0] == pytest.approx(2e-9 * first, rel=1e-9)
    assert result.arrays["adjusted_series"].values[0] == pytest.approx(1e-9 * first, rel=2e-8)


@pytest.mark.parametrize("thermostat", ["smart", "dumb"])
def test_what_two_terms_leave_is_of_third_order(thermostat: str) -> None:
    epsilons = [1e-2, 1e-3, 1e-4]
    result = family(thermostat=thermostat, epsilon=epsilons)
    for name in ("adjusted", "entropy_before"):
        rest = result.arrays[name].values - result.arrays[f"{name}_series"].values
        cubes = rest / (np.array(epsilons) ** 3 * np.log(1 / np.array(epsilons)))
        assert np.all(np.abs(cubes) < 20)


def test_the_dumb_thermostat_is_of_second_order() -> None:
    result = family(thermostat="dumb")
    assert value(result, "limit_ratio") == 0.0
    assert value(result, "limit_correction") == 0.5
    assert result.arrays["adjusted"].values[3] == pytest.approx(-1.572912e-7, rel=1e-6)
    assert value(result, "fitted_correction") == pytest.approx(0.5, abs=1e-9)


def test_two_thirds_is_the_uniform_start() -> None:
    result = family(epsilon=[2 / 3])
    uniform = tui_opt.run("thermostats", "adjusted", thermostat="smart")
    assert result.arrays["adjusted"].values[0] == value(uniform, "adjusted_optimizing")
    assert math.isnan(value(result, "log_slope"))


def test_a_ratio_that_nears_its_limit_slowly_says_so() -> None:
    """Where the middle state is not at rest, only the terms ε ln(1/ε) agree."""
    result = family(centre="hot, high", thermostat="dumb")
    assert value(result, "limit_ratio") == 0.0
    assert math.isnan(value(result, "limit_correction"))
    assert "1/ln(1/ε)" in result.findings["limit_correction"].text
    assert "correction" in result.arrays
    assert [figure.name for figure in result.figures] == ["log-log", "ratio"]


def test_tables_of_one_s_own() -> None:
    stay = {f"{m}, {r}": f"{m}, {r}" for m in ("on", "off") for r in ("a", "b", "c", "d")}
    result = family(thermostat="custom", transitions=stay, epsilon=[0.1, 1e-3])
    np.testing.assert_array_equal(result.arrays["adjusted"].values, [0.0, 0.0])
    assert value(result, "limit_ratio") == 0.0
    alone = family(thermostat="custom", transitions={"on, a": "on, a"}, epsilon=0.1)
    assert math.isnan(value(alone, "limit_ratio"))
    assert "1 of 1 starts are certain: without entropy at t-1 there is no ratio." in alone.warnings


def test_a_long_list_shows_what_it_has_and_can_be_stopped() -> None:
    params = EpsilonFamilyParams.check({"epsilon": np.geomspace(1e-6, 0.5, 9).tolist()})
    context = Context("thermostats/epsilon-family", recorder=(shown := Shown()))
    compute(params, context)
    assert len(shown.partials[0].arrays["ratio"].values) == 1
    context.cancel()
    with pytest.raises(CancelledError):
        compute(params, context)


def test_one_number_is_a_list_of_one() -> None:
    assert family(epsilon=1e-60).arrays["ratio"].values == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"epsilon": [0.1, 0.0]}, "above 0 and at most 1"),
        ({"epsilon": 1.5}, "above 0 and at most 1"),
        ({"epsilon": []}, "empty list"),
        ({"centre": "low, wram"}, r"must be a state.*Did you mean 'low, warm'\?"),
    ],
)
def test_what_is_wrong_is_a_sentence(params: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioFileError, match=words):
        family(**params)
