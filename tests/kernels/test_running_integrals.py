"""Running integrals: antiderivatives, singular and broken integrands, errors that are reported, cancelling."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.running_integrals import integrals_between


def test_several_functions_between_uneven_nodes():
    nodes = np.array([-2.0, -1.9, 0.3, 0.30001, 4.0])
    found = integrals_between(lambda w: np.stack([np.exp(w), np.cos(5 * w), 1 / (1 + w * w)]), nodes)
    for row, antiderivative in zip(
        found.values, (np.exp, lambda w: np.sin(5 * w) / 5, np.arctan), strict=True
    ):
        np.testing.assert_allclose(row, np.diff(antiderivative(nodes)), rtol=1e-11, atol=1e-15)
    assert np.all(found.error < 1e-10)


def test_nodes_that_decrease_change_the_sign():
    nodes = np.linspace(0.0, 3.0, 7)
    up = integrals_between(lambda w: np.exp(w)[None], nodes).values
    down = integrals_between(lambda w: np.exp(w)[None], nodes[::-1]).values
    np.testing.assert_allclose(down[0], -up[0, ::-1], rtol=1e-14)


def test_a_root_at_an_end_converges_to_its_depth():
    """The last interval of 2^-k adds (1 - 0.1) 2^(-k/2) at most: the error falls by 2 with every two halvings."""
    errors = []
    for depth in (8, 10, 12):
        found = integrals_between(lambda w: (w**-0.5)[None], np.array([0.0, 1.0]), depth=depth)
        errors.append(abs(found.values[0, 0] - 2.0))
        assert found.error[0] > 0
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.02)


def test_a_narrow_peak_and_a_jump():
    peak = integrals_between(lambda w: (1e-4 / (w * w + 1e-8))[None], np.array([-1.0, 1.0])).values[0, 0]
    assert peak == pytest.approx(2 * np.arctan(1e4), rel=1e-11)
    jump = integrals_between(lambda w: np.where(w < 1 / 3, 1.0, 5.0)[None], np.array([0.0, 1.0])).values[0, 0]
    assert jump == pytest.approx(1 / 3 + 10 / 3, abs=1e-6)


def test_what_is_not_finite_is_passed_on_and_spoils_nothing_else():
    nodes = np.array([-2.0, -1.0, 1.0, 2.0])
    with np.errstate(all="ignore"):
        found = integrals_between(lambda w: np.stack([np.sqrt(w), w]), nodes).values
    assert np.isnan(found[0, :2]).all()
    assert found[0, 2] == pytest.approx((2**1.5 - 1) / 1.5, rel=1e-12)
    np.testing.assert_allclose(found[1], [-1.5, 0.0, 1.5], atol=1e-15)


def test_fewer_than_two_nodes_have_nothing_between_them():
    found = integrals_between(lambda w: np.stack([w, w]), np.array([3.0]))
    assert found.values.shape == (2, 0)


def test_it_can_be_stopped():
    class StoppedError(Exception):
        pass

    def stop():
        raise StoppedError

    with pytest.raises(StoppedError):
        integrals_between(lambda w: w[None], np.linspace(0.0, 1.0, 50), check=stop)
