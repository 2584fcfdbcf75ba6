"""Steps of backward Euler and TR-BDF2 for masses that move between neighbouring cells of a chain.

Backward Euler is first order and keeps masses >= 0 exactly. TR-BDF2 is second order and L-stable, but no linear scheme
above first order is positive for all steps: a step that went below zero is redone by short steps of backward Euler,
and then corrected by as much of the second-order fluxes as leaves every cell >= 0.

Both solve (I - dt A) m' = m by elimination, read as mass that moves. The forward sweep passes on a fraction of what a
cell holds and has received; the backward sweep settles a fraction of what is left and returns the rest. The smaller
part of each split is computed by multiplication, the other as the difference to the whole: mass is conserved to the
last rounding, whatever the errors of the fractions, and both parts are >= 0 with full relative accuracy. The fractions
themselves follow without subtraction. A step costs what the ordinary tridiagonal sweeps cost.

Reference: Grassmann, Taksar & Heyman (1985), Oper. Res. 33, 1107 (elimination without subtraction); Bank et al.
(1985), IEEE Trans. Electron Devices 32, 1992, and Hosea & Shampine (1996), Appl. Numer. Math. 20, 21 (TR-BDF2);
Zalesak (1979), J. Comput. Phys. 31, 335 (the limiter).
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

SUBSTEPS = 8
"""Steps of backward Euler in place of a step of TR-BDF2 that went negative."""
STAGE = 1.0 - 1.0 / math.sqrt(2.0)
"""Both stages of TR-BDF2 solve with this fraction of the step, gamma / 2 for gamma = 2 - sqrt 2."""
_SQRT2 = math.sqrt(2.0)
_NOTHING = 1e-290
"""Masses so near to the smallest doubles are all rounding."""


@nb.njit(nogil=True, cache=True)
def splits(right, left, dt):  # type: ignore[no-untyped-def]
    """Fractions of the two sweeps, [cells] each: c >= 0 is the part that moves on, c < 0 minus the part that stays."""
    cells = right.size + 1
    forward, backward = np.zeros(cells), np.zeros(cells)
    staying = 1.0
    for i in range(cells - 1):
        moving = dt * right[i]
        whole = staying + moving
        forward[i] = moving / whole if moving <= staying else -staying / whole
        returning = dt * left[i] * (staying / whole)
        staying = 1.0 + returning
        backward[i + 1] = returning / staying if returning <= 1.0 else -1.0 / staying
    return forward, backward


@nb.njit(nogil=True, cache=True)
def solve(mass, forward, backward, result):  # type: ignore[no-untyped-def]
    """(I - dt A)^-1 mass into `result`, which may be `mass`; returns its least entry."""
    moving = 0.0
    for i in range(mass.size):
        whole = mass[i] + moving
        part = abs(forward[i]) * whole
        rest = whole - part
        moving = part if forward[i] >= 0.0 else rest
        result[i] = rest if forward[i] >= 0.0 else part
    moving, least = 0.0, np.inf
    for i in range(mass.size - 1, -1, -1):
        whole = result[i] + moving
        part = abs(backward[i]) * whole
        rest = whole - part
        moving = part if backward[i] >= 0.0 else rest
        result[i] = rest if backward[i] >= 0.0 else part
        least = min(least, result[i])
    return least


@nb.njit(nogil=True, cache=True)
def backward_euler(mass, forward, backward, steps):  # type: ignore[no-untyped-def]
    """Steps in place; returns the least entry after any of them."""
    least = np.inf
    for _ in range(steps):
        least = min(least, solve(mass, forward, backward, mass))
    return least


@nb.njit(nogil=True, cache=True)
def tr_bdf2(mass, forward, backward, short_forward, short_backward, right, left, dt, steps):  # type: ignore[no-untyped-def]
    """Steps in place; returns the least entry after any step, the least before one was redone, and how many were.

    With R = (I - dt A (1 - 1/sqrt 2))^-1 a step is (1 + sqrt 2) R² m - sqrt 2 R m.
    """
    once, twice, after = np.empty_like(mass), np.empty_like(mass), np.empty_like(mass)
    least, undershoot, redone = np.inf, 0.0, 0
    for _ in range(steps):
        solve(mass, forward, backward, once)
        solve(once, forward, backward, twice)
        lowest = np.inf
        for i in range(mass.size):
            m = twice[i] + _SQRT2 * (twice[i] - once[i])
            after[i] = m if m >= 0.0 or m < -_NOTHING else 0.0
            lowest = min(lowest, after[i])
        if lowest >= 0.0:
            mass[:] = after
            least = min(least, lowest)
            continue
        undershoot, redone = min(undershoot, lowest), redone + 1
        # The flux of a step is that of the masses a_i p_i - b_i p_(i+1), at p summed over its solves.
        for i in range(mass.size):
            after[i] = STAGE * dt * (once[i] + (1.0 + _SQRT2) * twice[i])
        for _ in range(SUBSTEPS):
            solve(mass, short_forward, short_backward, mass)
            for i in range(mass.size):
                after[i] -= dt / SUBSTEPS * mass[i]
        for i in range(mass.size - 1):
            once[i] = right[i] * after[i] - left[i] * after[i + 1]
        _move_what_is_there(mass, once, twice)
        least = min(least, mass.min())
    return least, undershoot, redone


@nb.njit(nogil=True, cache=True)
def _move_what_is_there(mass, flux, share):  # type: ignore[no-untyped-def]
    """Move flux[i] from cell i to cell i + 1, of each cell's outflows the share that leaves it >= 0."""
    cells = mass.size
    for i in range(cells):
        outflow = 0.0
        if i < cells - 1:
            outflow += max(flux[i], 0.0)
        if i > 0:
            outflow += max(-flux[i - 1], 0.0)
        share[i] = min(1.0, mass[i] / outflow) if outflow > 0.0 else 1.0
    for i in range(cells - 1):
        flux[i] *= share[i] if flux[i] > 0.0 else share[i + 1]
    for i in range(cells - 1):
        # All that leaves is taken first: no cell has to give, but for rounding, more than it had.
        mass[i] = max(mass[i] - max(flux[i], 0.0), 0.0)
        mass[i + 1] = max(mass[i + 1] - max(-flux[i], 0.0), 0.0)
    for i in range(cells - 1):
        mass[i + 1] += max(flux[i], 0.0)
        mass[i] += max(-flux[i], 0.0)
