"""Systems of datapoints that the tests of the Fokker-Planck kernels share; functions of w[n] return [j, n]."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

PIT, BARRIER = 1.0074533029460346, 1.1959565136502517


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def pair_curvatures(w):
    c0 = (2 - 4 * (w - 2) ** 2) * np.exp(-((w - 2) ** 2))
    return np.stack([c0, c0 + 200 * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2)])


def contracting_gradients(w):
    """At T = 0.5 the maps W' = 0.4 W + 1 and 0.6 W + 1."""
    return np.stack([1.2 * w - 2, 0.8 * w - 2])


def contracting_curvatures(w):
    return np.stack([1.2 + 0 * w, 0.8 + 0 * w])


def walking_gradients(w):
    return np.stack([1 + 0 * w, -1 + 0 * w])


def no_curvatures(w):
    return np.zeros((2, w.size))


def normal_mass(edges, mean=0.5, sd=0.175, low=-np.inf):
    """Masses of a normal law cut off below `low`."""
    mass = np.diff(ndtr((np.maximum(edges, low) - mean) / sd))
    return mass / mass.sum()


def moments(places, mass):
    """Mean and standard deviation of atoms at the places."""
    mean = mass @ places
    return mean, np.sqrt(mass @ places**2 - mean**2)


def matrix_of(generator):
    """The generator as a dense matrix, dm/dt = A m; columns lose what passes a barrier."""
    table = np.diag(generator.right, -1) + np.diag(generator.left, 1)
    table -= np.diag(np.append(generator.right, 0.0) + np.append(0.0, generator.left))
    end = -1 if generator.barrier.value > 0 else 0
    table[end, end] -= generator.out
    return table
