"""What kind of parameter each one is, and how far and how finely its frequency is searched."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_opt.experiments.cos_fit.model import Model
from tui_opt.experiments.cos_fit.model_text import DRAWN, read_model, roles
from tui_opt.experiments.cos_fit.ranges import LEAST_TURNS, grid_of, lattice_spacing, range_of
from tui_opt.experiments.cos_fit.structure import names_in, structure_of, with_values


def structure(text: str):
    model = read_model(text)
    return structure_of(Model.of(model, roles(model, DRAWN, ())))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("cos+exp", "a frequency, b other"),
        ("exp+exp", "a other, b other"),
        ("sqrt+exp", "a other, b other"),
        ("A*cos(a*x1+p)+exp(b*x2)", "A linear, a frequency, p phase, b other"),
        ("A*cos(a*x1)+B*sin(a*x1)+C", "A linear, a frequency, B linear, C linear"),
        ("A*exp(-g*x1)*cos(w*x1+p)+C", "A linear, g other, w frequency, p phase, C linear"),
        ("A*sin(2*pi*f*(x1-d))", "A linear, f frequency, d phase"),
        ("cos(a*x1+k*x1^2)", "a frequency, k frequency"),
        ("A*B*x1", "A linear, B other"),
        ("A*x1 + B*x2 + C", "A linear, B linear, C linear"),
        ("tanh(a*x1)", "a other"),
        ("cos(exp(a)*x1)", "a other"),
    ],
)
def test_kinds(text, kinds):
    assert ", ".join(f"{name} {kind}" for name, kind in structure(text).kinds.items()) == kinds


def test_waves_are_read_off_their_terms():
    (wave,) = structure("x2 - 3*exp(-g*x2)*sin(a*x1 + x2)/x2").waves
    assert wave.frequencies == ("a",)
    values = {"x1": 0.4, "x2": 1.7, "a": 2.0, "g": 0.3}
    assert wave.slopes[0].value(**values) == 0.4
    # -3 exp(-g x2)/x2 cos(a x1 + x2 - pi/2)
    assert wave.amplitude.value(**values) == pytest.approx(-3 * math.exp(-0.51) / 1.7)
    assert wave.offset.value(**values) == pytest.approx(1.7 - math.pi / 2)
    assert (wave.amplitude_known, wave.offset_known, wave.simple, wave.even) == (True, True, True, False)


@pytest.mark.parametrize(
    ("text", "amplitude", "offset", "simple", "even"),
    [
        ("cos(a*x1)", True, True, True, True),
        ("sin(a*x1)", True, True, True, False),
        ("A*sin(a*x1)", False, True, True, True),
        ("A*cos(a*x1+p)", False, False, True, True),
        ("cos(a*x1)^2", False, False, False, True),
        ("cos(a*x1)*cos(c*x2)", False, False, False, True),
        ("cos(a*x1) + sin(a*x1)", False, False, True, True),
    ],
)
def test_what_is_known_of_a_wave(text, amplitude, offset, simple, even):
    (wave,) = structure(text).waves
    known = (wave.amplitude_known, wave.offset_known, wave.simple, wave.even)
    assert known == (amplitude, offset, simple, even)


def test_frequencies_of_one_term_are_scanned_together_and_others_apart():
    groups = [w.frequencies for w in structure("A*cos(a*x1+c*x2) + B*cos(d*x1) + cos(f*x2)*cos(d*x2)").waves]
    assert groups == [("a", "c"), ("d", "f")]


@settings(max_examples=60, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_the_terms_add_up_to_the_model(a, x1, x2):
    text = "-(A*cos(a*x1+p) - exp(b*x2))*1 - -2*x1*A + 3"
    model = read_model(text)
    whole = Model.of(model, roles(model, DRAWN, ())).expression
    values = {"A": 1.3, "a": a, "p": 0.2, "b": -0.4, "x1": x1, "x2": x2}
    terms = structure(text).terms
    assert sum(t.value(**values) for t in terms) == pytest.approx(whole.value(**values), rel=1e-12, abs=1e-12)


def test_values_in_the_place_of_names():
    model = read_model("cos(a*x1+p)*exp(b*x2)")
    whole = Model.of(model, roles(model, DRAWN, ())).expression
    put = with_values(whole, {"b": 0.0, "p": 0.5})
    assert names_in(put) == {"a", "x1"}
    assert put.value(x1=2.0, x2=9.0, a=0.3, p=7.0, b=7.0) == pytest.approx(math.cos(1.1))


# --- ranges ---------------------------------------------------------------------------------------------------------


def test_the_grid_is_one_over_twice_the_width():
    u = np.random.default_rng(0).normal(3.0, 2.0, 1000)
    known, unknown = range_of(u, True, None), range_of(u, False, None)
    assert known.step == pytest.approx(0.5 / math.sqrt(np.mean(u * u)))
    assert unknown.step == pytest.approx(0.5 / np.std(u))
    grid = grid_of([known], True)
    assert grid.axis(0)[0] == 0.0
    assert known.highest <= grid.axis(0)[-1] < known.highest + known.step + 1e-9
    both = grid_of([known, unknown], False)
    np.testing.assert_allclose(both.axis(0), -both.axis(0)[::-1], atol=1e-9)


def test_equally_spaced_data_are_searched_to_where_frequencies_fold():
    r = range_of(np.arange(0, 100, 0.25) + 3.0, True, None)
    assert (r.folded, r.wide) == (True, True)
    assert r.spacing == pytest.approx(0.25)
    assert r.highest == pytest.approx(math.pi / 0.25)


def test_uneven_data_are_searched_beyond_their_mean_nyquist_frequency():
    u = np.random.default_rng(0).uniform(0, 10, 500)
    r = range_of(u, True, None)
    assert not r.folded
    low, high = np.quantile(u, (0.25, 0.75))
    assert r.highest == pytest.approx(3 * math.pi * 250 / (high - low))
    assert r.highest > 2 * math.pi * 500 / 10


def test_far_out_values_leave_the_range_unknown():
    rng = np.random.default_rng(0)
    u = np.concatenate([rng.normal(0, 1, 20_000), [1e7, -1e7]])
    assert not range_of(u, True, None).wide
    assert range_of(u, True, 3.0).wide  # somebody says how far
    plain = range_of(rng.normal(0, 1, 1_000_000), True, None)
    assert plain.wide
    assert plain.highest * 1.34 > LEAST_TURNS


@settings(max_examples=100, deadline=None)
@given(
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
    st.lists(st.integers(0, 300), min_size=20, max_size=60, unique=True),
)
def test_the_spacing_of_multiples_is_found(spacing, origin, sites):
    sites = np.sort(np.array(sites))
    common = int(np.gcd.reduce(np.diff(sites)))
    assert lattice_spacing(origin + spacing * sites) == pytest.approx(spacing * common, rel=1e-6)


def test_uneven_data_have_no_spacing():
    rng = np.random.default_rng(1)
    for n in (3, 10, 1000):
        assert lattice_spacing(np.sort(rng.normal(size=n))) == 0.0
    assert lattice_spacing(np.array([1.0, 2.0])) == 0.0
