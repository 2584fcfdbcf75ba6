"""The errors of the two source texts, one by one: what is printed against exact steps, finite volumes and the chain.

The right-hand sides are checked against finite volumes, which know nothing of them but the rates between cells; what
conserves mass there must be a divergence on paper. "Printed" is the source's line, evaluated as it stands.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tests.kernels.fokker_planck_systems import (
    PIT,
    contracting_curvatures,
    contracting_gradients,
    normal_mass,
    pair_curvatures,
    pair_gradients,
    walking_gradients,
)
from tui_opt.expressions import parse
from tui_opt.kernels.affine import AffineMaps
from tui_opt.kernels.cascade import cascade_of
from tui_opt.kernels.chain import advance, chain_on_edges, state_of_masses
from tui_opt.kernels.descent import gradient_descent
from tui_opt.kernels.fokker_planck import MODELS, Equation, fokker_planck, gradient_variance
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.fokker_planck_laws import stationary_law
from tui_opt.kernels.gradient_flow import flow
from tui_opt.kernels.implicit_stepping import Scheme, evolve
from tui_opt.kernels.large_deviations import barrier_exponent, kramers_exponent
from tui_opt.kernels.one_step import EXACT_FLOW, updated
from tui_opt.kernels.passage import mean_passage
from tui_opt.kernels.refinement import coarsened, refined_edges
from tui_opt.kernels.transfer import transfer_operator

TOP, BARRIER = 1.1743101790722745, 1.1959565136502517
T = 0.3
G = "0.7*W-0.4*sin(2*W)"
S = "(1+0.5*sin(1.3*W+0.4))"
P = "exp(-(W-0.3)^2)*(1+0.2*W)"
EDGES = np.linspace(-5.0, 5.0, 2001)
CENTRES = 0.5 * (EDGES[1:] + EDGES[:-1])
WIDTH = EDGES[1] - EDGES[0]


def at(text, w, times=0):
    """A text's derivative of that order, exactly, at places."""
    expression = parse(text, ("W",))
    for _ in range(times):
        expression = expression.derivative("W")
    return np.array([expression.value(W=x) for x in w])


def smooth_gradients(w):
    mean, noise = 0.7 * w - 0.4 * np.sin(2 * w), 1 + 0.5 * np.sin(1.3 * w + 0.4)
    return np.stack([mean + noise, mean - noise])


def smooth_curvatures(w):
    mean, noise = 0.7 - 0.8 * np.cos(2 * w), 0.65 * np.cos(1.3 * w + 0.4)
    return np.stack([mean + noise, mean - noise])


@cache
def by_volumes(model):
    """Current at the inner faces and dP/dt in the cells for the density P, by finite volumes."""
    generator = generator_on_edges(
        fokker_planck(MODELS[model], smooth_gradients, smooth_curvatures, T), EDGES
    )
    mass = at(P, CENTRES) * WIDTH
    current = generator.right * mass[:-1] - generator.left * mass[1:]
    return current, -np.diff(np.concatenate([[0.0], current, [0.0]])) / WIDTH


@cache
def values(where):
    """G, G', S, S', S'', S², (S²)', (S²)'', P, P', P'' at the faces or the centres."""
    w = EDGES[1:-1] if where == "faces" else CENTRES
    square = f"{S}^2"
    return (
        *(at(G, w, k) for k in (0, 1)),
        *(at(S, w, k) for k in (0, 1, 2)),
        *(at(square, w, k) for k in (0, 1, 2)),
        *(at(P, w, k) for k in (0, 1, 2)),
    )


def agree(one, other):
    """Whether two curves agree to what cells of this width resolve."""
    return bool(np.abs(one - other).max() < 2e-5 * max(1.0, np.abs(one).max()))


# --- definitions ----------------------------------------------------------------------------------------------------


def test_the_step_is_a_derivative_of_the_loss_and_its_variance_is_that_of_the_derivatives():
    """The definitions print d/dW with nothing to act on; S is the root of S², without another average."""
    losses = [lambda w: np.cos(w) + 0.1 * w**4, lambda w: 0.3 * w**2, lambda w: np.exp(-w)]

    def gradients(w):
        return np.stack([-np.sin(w) + 0.4 * w**3, 0.6 * w, -np.exp(-w)])

    w, temperature, e = np.linspace(-1.0, 2.0, 7), 0.05, 1e-5
    steps = updated(gradients, temperature)(w) - w
    slopes = np.stack([(loss(w + e) - loss(w - e)) / (2 * e) for loss in losses])
    mean_loss = np.mean([loss(w + e) - loss(w - e) for loss in losses], axis=0) / (2 * e)
    np.testing.assert_allclose(steps.mean(axis=0), -temperature * mean_loss, atol=1e-9)
    np.testing.assert_allclose(steps.var(axis=0), temperature**2 * slopes.var(axis=0), atol=1e-9)
    np.testing.assert_allclose(gradient_variance(gradients, w), slopes.var(axis=0), atol=1e-8)


def test_it_is_the_density_and_not_the_current_whose_rate_is_minus_the_slope_of_the_current():
    """A law that moves at constant speed: P = f(W + T g t), rho = -T g P."""
    temperature, g, e = 0.2, 1.7, 1e-4
    speed = -temperature * g
    later, earlier = at(P, CENTRES - speed * e), at(P, CENTRES + speed * e)
    rate_of_density = (later - earlier) / (2 * e)
    slope_of_current = speed * at(P, CENTRES, 1)
    np.testing.assert_allclose(rate_of_density, -slope_of_current, atol=1e-7)
    rate_of_current = speed * rate_of_density
    assert np.abs(rate_of_current + slope_of_current).max() > 0.1
    # The chain: after ten steps the law is the same, 10 T g farther left.
    chain = chain_on_edges(updated(lambda w: g + 0 * w[None], temperature), EDGES)
    state = state_of_masses(chain, normal_mass(EDGES, 1.5, 0.3))
    advance(chain, state, 10)
    assert state[:-3] @ CENTRES == pytest.approx(1.5 + 10 * speed, abs=1e-9)


# --- the currents ---------------------------------------------------------------------------------------------------


def test_the_drift_part_is_g_p_prime_plus_g_prime_p():
    """Printed with rho for one P and P for G. The exact law one short step later: P(V) dV/dW, V - t G(V) = W."""
    w = np.linspace(-1.5, 2.0, 15)
    t = 1e-5
    v = w.copy()
    for _ in range(50):
        v = w + t * at(G, v)
    after = at(P, v) / (1 - t * at(G, v, 1))
    rate = (after - at(P, w)) / t
    right = at(G, w) * at(P, w, 1) + at(G, w, 1) * at(P, w)
    np.testing.assert_allclose(rate, right, atol=1e-4)
    rho_slope = -at(f"({G})*({P})", w, 1)
    printed = at(G, w) * rho_slope + at(P, w) * at(P, w, 1)
    assert np.abs(rate - printed).max() > 0.5


def test_both_signs_of_the_noise_current_are_negative():
    g, _, s, s1, _, v, _, _, p, p1, _ = values("faces")
    current, _ = by_volumes("stratonovich")
    assert agree(current, -T * g * p - 0.5 * T**2 * (v * p1 + s * s1 * p))
    assert not agree(current, -T * g * p - 0.5 * T**2 * (v * p1 - s * s1 * p))


def test_a_quarter_goes_with_the_derivation_and_a_half_with_sgd():
    """S S' = (S²)'/2, so the derived current has 1/4; the printed 1/2 is another one, Ito's."""
    g, _, s, s1, _, v, v1, _, p, p1, _ = values("faces")
    np.testing.assert_allclose(s * s1, 0.5 * v1, atol=1e-12)
    for model, c in (("stratonovich", 0.25), ("ito", 0.5), ("fick", 0.0)):
        for other in (0.0, 0.25, 0.5):
            formula = -T * g * p - T**2 * (0.5 * v * p1 + other * v1 * p)
            assert agree(by_volumes(model)[0], formula) is (other == c)


def test_the_mean_of_the_chain_decides_for_a_half():
    """One step of the chain moves the mean by -T E[G]; a current moves it by its integral."""
    chain = chain_on_edges(updated(smooth_gradients, T), EDGES)
    mass = normal_mass(EDGES, 0.2, 0.3)
    state = state_of_masses(chain, mass)
    advance(chain, state, 1)
    moved = state[:-3] @ CENTRES - mass @ CENTRES
    drift = -T * float(mass @ at(G, CENTRES))
    assert moved == pytest.approx(drift, abs=1e-5)
    spurious = T**2 * float(mass @ at(f"{S}^2", CENTRES, 1))
    for model, c in (("ito", 0.5), ("stratonovich", 0.25), ("fick", 0.0)):
        generator = generator_on_edges(
            fokker_planck(MODELS[model], smooth_gradients, smooth_curvatures, T), EDGES
        )
        total = float((generator.right * mass[:-1] - generator.left * mass[1:]).sum()) * WIDTH
        assert total == pytest.approx(drift + (0.5 - c) * spurious, abs=1e-5)
    assert abs(0.25 * spurious) > 0.005


# --- the equations of evolution -------------------------------------------------------------------------------------


def test_expanded_in_s_the_first_coefficient_is_three_halves():
    g, g1, s, s1, s2, v, _, _, p, p1, p2 = values("centres")
    drift = T * (g * p1 + g1 * p)
    rate = by_volumes("stratonovich")[1]

    def expanded(first):
        return drift + T**2 * (first * s * s1 * p1 + 0.5 * v * p2 + 0.5 * s1**2 * p + 0.5 * s * p * s2)

    assert agree(rate, expanded(1.5))
    assert not agree(rate, expanded(0.5))


def test_expanded_in_s_squared_the_coefficients_are_three_quarters_and_a_quarter_or_one_and_a_half():
    g, g1, _, _, _, v, v1, v2, p, p1, p2 = values("centres")
    drift = T * (g * p1 + g1 * p)

    def expanded(first, last):
        return drift + T**2 * (first * v1 * p1 + 0.5 * v * p2 + last * v2 * p)

    right = {"stratonovich": (0.75, 0.25), "ito": (1.0, 0.5), "fick": (0.5, 0.0)}
    for model, coefficients in right.items():
        assert agree(by_volumes(model)[1], expanded(*coefficients))
        assert not agree(by_volumes(model)[1], expanded(0.5, 0.5))  # as printed


@pytest.mark.parametrize("reading", ["in S", "in S squared"])
def test_what_is_no_divergence_creates_mass_on_a_ring(reading):
    """The printed right-hand sides by central differences on a ring, G = 0: mass grows by T²/2 times mean (S²)'' P."""
    n = 400
    w = 2 * np.pi * np.arange(n) / n
    h = w[1] - w[0]
    s, s1, s2 = 1 + 0.5 * np.sin(w), 0.5 * np.cos(w), -0.5 * np.sin(w)
    v1, v2 = 2 * s * s1, 2 * (s1**2 + s * s2)

    def slope(p):
        return (np.roll(p, -1) - np.roll(p, 1)) / (2 * h)

    def bend(p):
        return (np.roll(p, -1) - 2 * p + np.roll(p, 1)) / h**2

    def rate(p, first, last):
        return T**2 * (first * v1 * slope(p) + 0.5 * s**2 * bend(p) + last * v2 * p)

    def printed(p):
        if reading == "in S squared":
            return rate(p, 0.5, 0.5)
        return T**2 * 0.5 * (s * s1 * slope(p) + s**2 * bend(p) + s1**2 * p + s * p * s2)

    def mass_made(right_hand_side, time=2.0, steps=4000):
        """Change of the mass, and what T²/2 times the sum of (S²)'' P makes of it on the way."""
        p, expected = 1 + 0.8 * np.cos(w - 1.0), 0.0
        start = p.sum()
        for _ in range(steps):
            expected += 0.5 * T**2 * (v2 * p).sum() * time / steps
            p = p + time / steps * right_hand_side(p)
        return p.sum() / start - 1, expected / start

    made, expected = mass_made(printed)
    assert abs(made) > 0.01
    assert made == pytest.approx(expected, rel=1e-3)
    for first, last in ((0.75, 0.25), (1.0, 0.5), (0.5, 0.0)):
        # Differences of a divergence sum to zero up to O(h²).
        assert abs(mass_made(lambda p, a=first, b=last: rate(p, a, b))[0]) < 1e-5


def test_at_the_bottom_of_the_pit_the_printed_equation_makes_four_walkers_of_one_in_a_step():
    bend = at("10000*(W-1)^2*exp(-200*(W-1)^2)", [1.0], 2)[0]
    assert 0.5 * 0.02**2 * bend == pytest.approx(4.0, rel=1e-12)


def test_the_master_current_read_as_a_derivative_of_the_product_spreads_twice_too_fast():
    """rho = -T² (S² P' + (S² P)') / 2 with S = 1 is -T² P'; the chain of g = ±1 has T² a step, exactly."""
    temperature, steps = 0.05, 40
    edges = np.linspace(-4.0, 4.0, 801)
    mass = normal_mass(edges, 0.0, 0.4)
    centres = 0.5 * (edges[1:] + edges[:-1])
    start = float(mass @ centres**2)
    state = state_of_masses(chain_on_edges(updated(walking_gradients, temperature), edges), mass)
    chain = chain_on_edges(updated(walking_gradients, temperature), edges)
    advance(chain, state, steps)
    assert state[:-3] @ centres**2 - start == pytest.approx(temperature**2 * steps, abs=1e-9)
    for factor, diffusivity in ((1.0, 0.5 * temperature**2), (2.0, temperature**2)):
        equation = Equation(lambda w: 0 * w, lambda w, d=diffusivity: d + 0 * w, lambda w: 0 * w, 0.0)
        times = np.array([float(steps)])
        moved = evolve(generator_on_edges(equation, edges), mass, times, 0.5).mass[-1]
        growth = float(moved @ centres**2) - start
        assert growth == pytest.approx(factor * temperature**2 * steps, abs=1e-9)


# --- end states -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "c"), [("stratonovich", 0.25), ("ito", 0.5), ("fick", 0.0)])
def test_slope_of_the_logarithm_of_the_final_law(model, c):
    """-2c (ln S²)' - 2G/(T S²): the last line that is printed has Stratonovich's 1/2; SGD has 1."""
    edges = np.linspace(-3.0, 3.0, 6001)
    w, faces = 0.5 * (edges[1:] + edges[:-1]), edges[1:-1]
    mass = stationary_law(
        generator_on_edges(fokker_planck(MODELS[model], smooth_gradients, smooth_curvatures, T), edges)
    )
    slope = np.diff(np.log(mass)) / np.diff(w)
    square, pull = at(f"{S}^2", faces), at(G, faces)
    noise = at(f"{S}^2", faces, 1) / square
    for other in (0.0, 0.25, 0.5):
        right = -2 * other * noise - 2 * pull / (T * square)
        assert bool(np.abs(slope - right).max() < 1e-4) is (other == c)
    # On the way P is lost: without it the line does not even keep when the law is multiplied by two.
    density = 0.5 * (mass[1:] + mass[:-1]) / (edges[1] - edges[0])
    for walkers in (1.0, 2.0):
        line = -2 * c * noise * walkers * density - 2 * pull / (T * square) * walkers * density
        printed = -2 * c * noise * walkers * density - 2 * pull / (T * square)
        assert np.abs(walkers * density * slope - line).max() < 1e-4
        assert np.abs(walkers * density * slope - printed).max() > 1


def test_the_variance_of_the_third_example():
    """S² = 0.04 W², not 0.4 W²."""
    w = np.array([-1.0, 0.5, 2.0, 3.0])
    np.testing.assert_allclose(gradient_variance(contracting_gradients, w), 0.04 * w**2, rtol=1e-12)


@pytest.mark.parametrize(("model", "factor"), [("ito", 4.0), ("stratonovich", 2.0), ("fick", 1.0)])
@pytest.mark.parametrize("phi", [1.0, 1.7])
def test_a_minimum_twice_as_wide(model, factor, phi):
    """l = -U sin²(pi x) ± a x, once on [-1, 0] and once stretched to [0, 2]. e^-4 is not 56, nor is e^4 the ratio."""
    a, temperature = 0.5, 0.02
    height = 0.5 * phi * temperature * a**2  # of the barrier; Phi = 2U/(T a²) for the narrow one

    def pieces(w):
        stretch = np.where(w < 0, 1.0, 0.5)
        x = np.where(w < 0, w + 1, 0.5 * w)
        return stretch, x

    def gradients(w):
        stretch, x = pieces(w)
        mean = -height * np.pi * np.sin(2 * np.pi * x) * stretch
        return np.stack([mean + a * stretch, mean - a * stretch])

    def curvatures(w):
        stretch, x = pieces(w)
        mean = -2 * height * np.pi**2 * np.cos(2 * np.pi * x) * stretch**2
        return np.stack([mean, mean])

    edges = np.linspace(-1.0, 2.0, 6001)
    mass = stationary_law(
        generator_on_edges(fokker_planck(MODELS[model], gradients, curvatures, temperature), edges)
    )
    narrow, top, wide = (int(np.searchsorted(edges, w)) for w in (-0.5, 0.0, 1.0))
    ratio = mass[wide] / mass[narrow]
    assert ratio == pytest.approx(factor * np.exp(3 * phi), rel=5e-3)
    # The exponents on either side of the shared maximum: four times as large on the wide one.
    beyond, before = top + 2, top - 3
    fall_wide = np.log(mass[wide] / mass[beyond])
    fall_narrow = np.log(mass[narrow] / mass[before])
    assert fall_wide / fall_narrow == pytest.approx(4.0, rel=1e-3)
    # As printed the exponent is that of P itself, whose integral is no number of that kind.
    assert np.exp(-4) < 0.02
    assert np.exp(4) == pytest.approx(54.6, abs=0.01)


def test_heat_capacity_is_one_over_what_is_multiplied():
    """If P times f evens out, P ~ 1/f: with f = S² for SGD. A walker needs (d / T S)² draws to cover d."""
    edges = np.linspace(0.0, 2 * np.pi, 2001)
    w = 0.5 * (edges[1:] + edges[:-1])

    def gradients(at_w):
        noise = 1 + 0.5 * np.sin(at_w)
        return np.stack([noise, -noise])

    def curvatures(at_w):
        slope = 0.5 * np.cos(at_w)
        return np.stack([slope, -slope])

    s = 1 + 0.5 * np.sin(w)
    for model, power in (("ito", 2), ("stratonovich", 1), ("fick", 0)):
        law = stationary_law(
            generator_on_edges(fokker_planck(MODELS[model], gradients, curvatures, 0.1), edges)
        )
        evened = law * s**power
        assert evened.max() / evened.min() == pytest.approx(1.0, abs=1e-4)


# --- what the model can tell ----------------------------------------------------------------------------------------


def test_where_both_fields_vanish_they_do_so_to_rounding_only():
    at_two = pair_gradients(np.array([2.0]))
    assert float(at_two.mean()) == pytest.approx(100 * np.exp(-100.0), rel=1e-12)
    assert float(gradient_variance(pair_gradients, np.array([2.0]))[0]) == pytest.approx(
        (100 * np.exp(-100.0)) ** 2, rel=1e-12
    )
    assert 3e-42 < float(at_two.mean()) < 4e-42


def test_a_two_valued_gradient_is_not_normal_and_rare_escapes_know_it():
    gradients = walking_gradients(np.zeros(1))[:, 0]
    fourth = np.mean(gradients**4) / np.mean(gradients**2) ** 2
    assert fourth == 1.0  # 3 for a normal law
    chain = barrier_exponent(pair_gradients, PIT, TOP).value
    diffusion = kramers_exponent(pair_gradients, PIT, TOP).value
    assert chain == pytest.approx(0.132359, abs=2e-6)
    assert diffusion == pytest.approx(0.0786413, abs=1e-7)
    # Cold, the chain's mean time to escape follows the one and not the other.
    cold = [
        mean_passage(transfer_operator(pair_gradients, t, PIT, BARRIER, 1000), PIT) for t in (0.003, 0.004)
    ]
    slope = (cold[0].log_mean - cold[1].log_mean) / (1 / 0.003 - 1 / 0.004)
    assert abs(slope - chain) < 0.006
    assert abs(slope - diffusion) > 0.05


def test_the_third_example_is_too_hot_for_the_model_and_its_law_has_no_density():
    maps = AffineMaps(np.array([0.4, 0.6]), np.array([1.0, 1.0]))
    mean, sd = maps.stationary_moments()
    assert (mean, sd) == pytest.approx((2.0, np.sqrt(2 / 37)), rel=1e-12)
    edges = np.linspace(0.2, 8.0, 20_001)
    law = stationary_law(
        generator_on_edges(
            fokker_planck(MODELS["ito"], contracting_gradients, contracting_curvatures, 0.5), edges
        )
    )
    centres = 0.5 * (edges[1:] + edges[:-1])
    ito_sd = float(np.sqrt(law @ (centres - law @ centres) ** 2))
    assert ito_sd == pytest.approx(0.2010076, abs=2e-6)
    assert ito_sd / sd == pytest.approx(0.8646, abs=1e-4)
    cascade = cascade_of(maps)
    highest = [
        np.diff(cascade.cdf(np.linspace(5 / 3, 2.5, n + 1))).max() * n for n in (16, 256, 4096, 65_536)
    ]
    assert all(finer > 1.2 * coarser for coarser, finer in pairwise(highest))


def test_the_computation_blows_up_by_its_scheme_and_not_by_the_equation():
    """T = 0.02 on the original system: central differences with h = 0.01, dt = 1, against backward Euler on as many."""
    temperature = 0.02
    equation = fokker_planck(MODELS["ito"], pair_gradients, pair_curvatures, temperature)
    edges = np.linspace(-1.0, 4.0, 501)
    w, h = 0.5 * (edges[1:] + edges[:-1]), 0.01
    assert equation.diffusivity(w).max() / h**2 > 30  # of which stability allows a half
    p = normal_mass(edges) / h
    mass = p * h
    for _ in range(6):
        flux = equation.drift(w) * p - np.gradient(equation.diffusivity(w) * p, h)
        p = p - np.gradient(flux, h)
    assert np.abs(p).max() > 1e3
    generator = generator_on_edges(equation, refined_edges(edges, equation, 2))
    fine = normal_mass(generator.edges)
    moved = evolve(generator, fine, np.arange(1.0, 7.0), 1.0, Scheme.BACKWARD_EULER)
    assert moved.mass.min() >= 0
    assert moved.mass_error < 1e-12
    assert coarsened(moved.mass[-1], generator.edges, edges).max() < 5 * mass.max()


def test_small_steps_on_one_datapoint_remove_the_overshoot_and_nothing_else():
    w = np.array([0.98, 1.03, 1.07])
    plain = updated(pair_gradients, 0.5)(w)[1]
    flowed = updated(pair_gradients, 0.5, EXACT_FLOW)(w)[1]
    assert np.abs(plain - w).max() > 0.8
    np.testing.assert_allclose(flowed, 1.0037, atol=1e-3)
    # The scatter of one round is S² still, to leading order.
    for substeps in (1, 4, EXACT_FLOW):
        t = 1e-4
        scatter = np.var(updated(pair_gradients, t, substeps)(w), axis=0) / t**2
        np.testing.assert_allclose(scatter, gradient_variance(pair_gradients, w), rtol=0.05, atol=1e-3)


def test_the_variance_is_no_matter_of_how_many_datapoints_there_are():
    def many(w):
        return np.concatenate([contracting_gradients(w)] * 50)

    w = np.linspace(0.0, 3.0, 5)
    np.testing.assert_allclose(gradient_variance(many, w), 0.04 * w**2, rtol=1e-10, atol=1e-15)


def test_in_two_parameters_a_final_current_circulates():
    """dX = -T H X + noise: P is normal with H C + C H = T S²; current / P = (-T H + T² S² C^-1 / 2) X."""
    h = np.array([[2.0, 0.4], [0.4, 0.7]])
    rng = np.random.default_rng(5)
    for noise, circulates in (
        (0.3 * h, False),
        (np.eye(2), False),
        (np.array([[1.0, 0.6], [0.6, 2.0]]), True),
    ):
        t = 0.1
        operator = np.kron(h, np.eye(2)) + np.kron(np.eye(2), h)
        law = np.linalg.solve(operator, t * noise.ravel()).reshape(2, 2)
        np.testing.assert_allclose(h @ law + law @ h, t * noise, atol=1e-14)
        velocity = -t * h + 0.5 * t**2 * noise @ np.linalg.inv(law)
        assert bool(np.abs(velocity).max() > 1e-3) is circulates
        # In any case it keeps the law: it turns along the curves of equal P.
        x = rng.normal(size=2)
        assert (np.linalg.inv(law) @ x) @ (velocity @ x) == pytest.approx(0.0, abs=1e-12)


# --- of the earlier text --------------------------------------------------------------------------------------------


def single_gradient(w):
    return 2 * (w - 2) * np.exp(-((w - 2) ** 2))


def mean_gradient(w):
    return pair_gradients(w).mean(axis=0)


def test_descent_becomes_a_flow_as_t_goes_to_zero_and_not_to_infinity():
    end = flow(lambda w: single_gradient(w)[None], np.array([0.0]), 4.0)[0, 0]
    errors = []
    for t in (0.02, 0.01, 0.005):
        path = gradient_descent(single_gradient, np.array([0.0]), t, round(4.0 / t))
        errors.append(abs(path[0, -1] - end))
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.05)
    leap = gradient_descent(single_gradient, np.array([0.0]), 1e4, 1)[0, 1]
    assert leap == pytest.approx(1e4 * 4 * np.exp(-4.0), rel=1e-12)


def test_descent_is_not_stuck_in_the_pit_at_t_005():
    def final(t, steps):
        return gradient_descent(mean_gradient, np.array([0.0]), t, steps)[0]

    hot = final(0.05, 400)
    assert np.any(np.abs(hot - 1.0) < 0.1)
    assert hot[-1] == pytest.approx(2.0, abs=1e-6)
    trapped = final(0.048, 3000)
    assert 0.8 < trapped[-500:].min() < trapped[-500:].max() < TOP
    assert np.ptp(trapped[-500:]) > 0.1
    rest = final(0.02, 3000)
    assert rest[-1] == pytest.approx(PIT, abs=1e-6)


def test_t_1_zig_zags_and_converges_like_one_over_two_roots_of_n():
    path = gradient_descent(single_gradient, np.array([0.0]), 1.0, 10_000)[0]
    assert (path[-1] - 2) * (path[-2] - 2) < 0
    assert abs(path[-1] - 2) * 2 * np.sqrt(10_000) == pytest.approx(1.0, abs=1e-3)


def test_five_steps_lead_to_1_2002_from_the_minimum_itself():
    for start, end in ((1.0036973969, 1.200246), (1.004, 1.200595)):
        assert gradient_descent(single_gradient, np.array([start]), 0.05, 5)[0, -1] == pytest.approx(
            end, abs=1e-6
        )


def test_the_logarithm_of_the_number_of_steps_is_linear_in_one_over_t():
    temperatures = np.array([0.003, 0.004, 0.005, 0.006, 0.008])
    logs = np.array(
        [
            mean_passage(transfer_operator(pair_gradients, t, PIT, BARRIER, 1000), PIT).log_mean
            for t in temperatures
        ]
    )

    def unexplained(x):
        fit = np.polyval(np.polyfit(x, logs, 1), x)
        return ((logs - fit) ** 2).sum() / ((logs - logs.mean()) ** 2).sum()

    assert unexplained(1 / temperatures) < 1e-3
    assert unexplained(temperatures) > 0.05
