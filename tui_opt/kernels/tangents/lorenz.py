"""The Lorenz system: a' = sigma (b - a), b' = a (rho - c) - b, c' = a b - beta c.

Source: E. N. Lorenz, Deterministic nonperiodic flow, J. Atmos. Sci. 20 (1963), with x, y, z called a, b, c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.tangents.system import FloatArray, Integrator, System

ComplexArray: TypeAlias = NDArray[np.complex128]

A, B, C = 0, 1, 2
AXES: Final = "abc"


@dataclass(frozen=True)
class Lorenz:
    """The parameters; per unit of time, dimensionless."""

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8 / 3

    def slope(self, t: float, s: FloatArray) -> FloatArray:
        """ds/dt, s[3] or s[3, lane]."""
        a, b, c = s
        return np.array([self.sigma * (b - a), a * (self.rho - c) - b, a * b - self.beta * c])

    def product(self, t: float, s: FloatArray, v: FloatArray) -> FloatArray:
        """The Jacobian at s times v."""
        (a, b, c), (x, y, z) = s, v
        return np.array([self.sigma * (y - x), (self.rho - c) * x - y - a * z, b * x + a * y - self.beta * z])

    def jacobian(self, s: FloatArray) -> FloatArray:
        """[3, 3] at s[3]."""
        return np.stack([self.product(0.0, s, column) for column in np.eye(3)], axis=1)

    def system(self) -> System:
        """As the tangent engine takes it, in plain NumPy."""
        return System(3, self.slope, self.product)

    @property
    def trace(self) -> float:
        """Of the Jacobian, the same everywhere: volumes change by exp(trace t)."""
        return -(self.sigma + 1.0 + self.beta)

    def held_trace(self, held: tuple[int, ...]) -> float:
        """Of the Jacobian's free block: the sum of the conditional exponents."""
        diagonal = (-self.sigma, -1.0, -self.beta)
        return math.fsum(diagonal[k] for k in range(3) if k not in held)


@dataclass(frozen=True)
class Equilibrium:
    """A state at rest.

    Attributes:
        name: `0`, `C+` or `C-`.
        place: [3].
        eigenvalues: complex[3] of the Jacobian there, the largest real part first.
        multipliers: complex[3] of a step of the integrator there, the largest modulus first.
        kind: stable, saddle, or unstable, for the flow.
        kept: whether the integrator's steps find it as stable or unstable as the flow does.
    """

    name: str
    place: FloatArray
    eigenvalues: ComplexArray
    multipliers: ComplexArray
    kind: str
    kept: bool


def equilibria(lorenz: Lorenz, dt: float, integrator: Integrator) -> tuple[Equilibrium, ...]:
    """Every state at rest, with its stability in the flow and in steps of an integrator.

    C+ and C- are there where beta (rho - 1) > 0. They are stable up to rho = sigma (sigma + beta + 3) /
    (sigma - beta - 1), which is 470/19 = 24.7368 for the usual sigma and beta.
    """
    places = [("0", np.zeros(3))]
    square = lorenz.beta * (lorenz.rho - 1.0)
    if square > 0.0:
        side = math.sqrt(square)
        places += [
            (f"C{sign}", np.array([s * side, s * side, lorenz.rho - 1.0]))
            for sign, s in (("+", 1), ("-", -1))
        ]
    return tuple(_equilibrium(lorenz, name, place, dt, integrator) for name, place in places)


def hopf_rho(lorenz: Lorenz) -> float:
    """Where C+ and C- lose their stability in the flow; infinite where they never do."""
    room = lorenz.sigma - lorenz.beta - 1.0
    return lorenz.sigma * (lorenz.sigma + lorenz.beta + 3.0) / room if room > 0.0 else math.inf


def step_polynomial(z: ComplexArray, integrator: Integrator) -> ComplexArray:
    """What a step of a linear flow multiplies by, z being dt times an eigenvalue."""
    if integrator == "euler":
        return 1.0 + z
    return 1.0 + z * (1.0 + z / 2.0 * (1.0 + z / 3.0 * (1.0 + z / 4.0)))


def _equilibrium(
    lorenz: Lorenz, name: str, place: FloatArray, dt: float, integrator: Integrator
) -> Equilibrium:
    eigenvalues = np.asarray(np.linalg.eigvals(lorenz.jacobian(place)), dtype=np.complex128)
    eigenvalues = eigenvalues[np.argsort(-eigenvalues.real, kind="stable")]
    multipliers = step_polynomial(dt * eigenvalues, integrator)
    multipliers = multipliers[np.argsort(-np.abs(multipliers), kind="stable")]
    growing, decaying = bool(np.any(eigenvalues.real > 0.0)), bool(np.any(eigenvalues.real < 0.0))
    if growing:
        # A saddle has a way in for a trajectory that starts anywhere near; here one and two dimensions of it count.
        kind = "saddle" if decaying else "unstable"
    else:
        kind = "stable" if bool(np.all(eigenvalues.real < 0.0)) else "neutral"
    stable_in_steps = bool(np.all(np.abs(multipliers) < 1.0))
    return Equilibrium(name, place, eigenvalues, multipliers, kind, stable_in_steps == (kind == "stable"))
