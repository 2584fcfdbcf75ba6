"""What curvatures cost, for the estimate before a run and its progress: seconds of one core."""

from __future__ import annotations

from typing import Final

HESSIANS_AT_A_KINK: Final = 14.0
"""What the largest curvature there usually takes: five Hessians with eigenvectors, and nine without eigenvalues."""


def seconds_of_curvature(samples: int, parameters: int) -> float:
    """A Hessian with its eigenvalues; with eigenvectors it is about twice that."""
    return 6e-10 * samples * parameters**2 + 8e-11 * parameters**3


def seconds_of_largest(samples: int, parameters: int) -> float:
    """About what the largest curvature at a kink takes; how many turns it needs is not known before."""
    return HESSIANS_AT_A_KINK * seconds_of_curvature(samples, parameters)


def seconds_at_target(samples: int, parameters: int) -> float:
    """Curvatures at the built network: with nodes at kinks off and on, and the largest, scaled and as it was built."""
    return 2 * seconds_of_curvature(samples, parameters) + 2 * seconds_of_largest(samples, parameters)
