"""Chains whose one-step maps are affine, W <- r_j W + b_j: exact means and variances, step by step and in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import FloatArray, TermField, evaluate_terms

_PROBES = 17
_STRAIGHT = 1e-11


@dataclass(frozen=True)
class AffineMaps:
    """One-step maps W <- r_j W + b_j, each drawn with the same probability.

    Attributes:
        slopes: r_j, [j].
        shifts: b_j, [j].
    """

    slopes: FloatArray
    shifts: FloatArray

    def moments(self, mean: float, sd: float, steps: int) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation after 0, 1, ..., `steps` steps from a law with `mean` and `sd`.

        Returns: mean[steps + 1] and sd[steps + 1].
        """
        r, b = self.slopes, self.shifts
        means, deviations = np.empty(steps + 1), np.empty(steps + 1)
        variance = sd**2
        with np.errstate(over="ignore", invalid="ignore"):
            for n in range(steps + 1):
                means[n], deviations[n] = mean, np.sqrt(variance)
                landed = r * mean + b
                mean = landed.mean()
                # Central moments: a difference of second moments would lose the digits of a narrow law.
                variance = (r**2).mean() * variance + landed.var()
        return means, deviations

    def stationary_moments(self) -> tuple[float, float] | None:
        """Mean and standard deviation of the law the chain tends to; None where its variance does not settle."""
        r, b = self.slopes, self.shifts
        mean_square = float((r**2).mean())
        if not mean_square < 1:
            return None
        mean = float(b.mean() / (1.0 - r.mean()))
        return mean, float(np.sqrt((r * mean + b).var() / (1.0 - mean_square)))


def affine_maps(maps: TermField, low: float, high: float) -> AffineMaps | None:
    """The slopes and shifts of maps that are affine on an interval, or None where one is not.

    Args:
        maps: f_j, w[n] -> [j, n].
        low, high: ends of the interval, low < high.
    """
    w = np.linspace(low, high, _PROBES)
    images = evaluate_terms(maps, w)
    if not np.all(np.isfinite(images)):
        return None
    slopes = (images[:, -1] - images[:, 0]) / (high - low)
    straight = images[:, :1] + slopes[:, None] * (w - low)
    scale = np.abs(images).max() + np.abs(w).max()
    if np.abs(images - straight).max() > _STRAIGHT * scale:
        return None
    # Through the middle of the interval, where the images are least sensitive to the slope.
    middle = _PROBES // 2
    return AffineMaps(slopes, images[:, middle] - slopes * w[middle])
