"""One-dimensional Fokker-Planck models of SGD: dP/dt = -d rho/dW, with t in SGD steps.

Every model is a probability current

    rho = u P - D^(1 - 2 c) d(D^(2 c) P)/dW = (u - 2 c D') P - D P',

with the diffusivity D = T² S²/2 and a drift u. The number c says where within a step the noise is evaluated: at its
start (Ito, c = 1/2), in its middle (Stratonovich, 1/4), or at its end as in Fick's law (0). The step size of SGD is
the temperature T, G is the mean and S² the population variance of the gradients g_j.

Reference: Gardiner (2009), Stochastic Methods, equations 4.3.21 and 4.4.7; Li, Tai & E (2017), "Stochastic modified
equations and adaptive stochastic gradient algorithms", theorem 1 (the second-order drift).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import Field, FloatArray, TermField, evaluate_terms, require_temperature


@dataclass(frozen=True)
class Model:
    """A Fokker-Planck model of SGD.

    Attributes:
        name: as scenario files call it.
        noise_drift: c of rho = -T G P - T² S² P'/2 - c T² (S²)' P; 0 to 1/2.
        second_order: whether the drift is that of the chain to second order in T, -T (G + T G G'/2).
    """

    name: str
    noise_drift: float
    second_order: bool = False


ITO = Model("ito", 0.5)
STRATONOVICH = Model("stratonovich", 0.25)
FICK = Model("fick", 0.0)
SME2 = Model("sme2", 0.5, second_order=True)
MODELS = {model.name: model for model in (ITO, STRATONOVICH, FICK, SME2)}


@dataclass(frozen=True)
class Equation:
    """A current rho = u P - D^(1-2c) d(D^(2c) P)/dW on a line. Functions take w[n] and return [n].

    Attributes:
        drift: u, W per step.
        diffusivity: D >= 0, W² per step.
        diffusivity_slope: D', its exact derivative.
        noise_drift: c.
    """

    drift: Field
    diffusivity: Field
    diffusivity_slope: Field
    noise_drift: float

    def velocity(self, w: FloatArray) -> FloatArray:
        """v of rho = v P - D P', [n]: the drift less 2 c D'."""
        return np.asarray(self.drift(w) - 2 * self.noise_drift * self.diffusivity_slope(w))


def fokker_planck(model: Model, gradients: TermField, curvatures: TermField, temperature: float) -> Equation:
    """The equation of a model of SGD on N datapoints.

    Args:
        model: one of `MODELS`.
        gradients: g_j, w[n] -> [j, n]; any number of datapoints (one has no noise: pure drift).
        curvatures: g_j', w[n] -> [j, n], exact derivatives of the gradients.
        temperature: T, positive.

    Returns: the equation; its functions are silent where gradients are not finite.
    Raises: ValueError for a temperature that is not positive.
    """
    temperature = require_temperature(temperature)

    def drift(w: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            mean = evaluate_terms(gradients, w).mean(axis=0)
            if not model.second_order:
                return np.asarray(-temperature * mean)
            slope = evaluate_terms(curvatures, w).mean(axis=0)
            return np.asarray(-temperature * mean * (1 + 0.5 * temperature * slope))

    def diffusivity(w: FloatArray) -> FloatArray:
        return 0.5 * temperature**2 * gradient_variance(gradients, w)

    def diffusivity_slope(w: FloatArray) -> FloatArray:
        return 0.5 * temperature**2 * gradient_variance_slope(gradients, curvatures, w)

    return Equation(drift, diffusivity, diffusivity_slope, model.noise_drift)


def gradient_variance(gradients: TermField, w: FloatArray) -> FloatArray:
    """S²[n], the population variance of the g_j (divided by their number), from the centred gradients."""
    with np.errstate(all="ignore"):
        return np.asarray((_centred(gradients, w) ** 2).mean(axis=0))


def gradient_variance_slope(gradients: TermField, curvatures: TermField, w: FloatArray) -> FloatArray:
    """(S²)'[n] = 2 mean((g_j - G) (g_j' - G')): centred, so that nothing cancels where the datapoints agree."""
    with np.errstate(all="ignore"):
        return np.asarray(2 * (_centred(gradients, w) * _centred(curvatures, w)).mean(axis=0))


def _centred(terms: TermField, w: FloatArray) -> FloatArray:
    """Terms less their mean. Differences to the first datapoint come first: equal terms give exactly zero."""
    values = evaluate_terms(terms, w)
    values = values - values[0]
    return np.asarray(values - values.mean(axis=0))
