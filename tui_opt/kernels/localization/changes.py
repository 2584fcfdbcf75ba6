"""How local a change of parameters is, and what final parameters depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


def participation_ratio(change: FloatArray) -> float:
    """(sum d^2)^2 / (n sum d^4): the share of n entries that a change is spread over; 1/n for a single one.

    Bell and Dean (1970), Atomic vibrations in vitreous silica, for the amplitudes of a mode. Independent normal changes
    have 1/3. NaN where nothing changes.
    """
    size = np.abs(np.ravel(change))
    top = size.max(initial=0.0)
    if not (top > 0 and np.isfinite(top)):
        return float("nan")
    square = np.square(size / top)
    return float(square.sum() ** 2 / (square.size * np.square(square).sum()))


@dataclass(frozen=True)
class Variance:
    """Shares of the variance of final parameters; they sum to 1, and estimates of small ones may be negative.

    Args:
        data: with the data alone.
        init: with the initialisation alone.
        both: with the pair of them, beyond what each has by itself.
    """

    data: float
    init: float
    both: float


def variance_shares(parameters: FloatArray) -> Variance:
    """Two-way analysis of variance, pooled over parameters, with unbiased components.

    For one network of every initialisation and data set, [init, data, parameter], mean squares of rows and columns
    contain that of the interaction: sigma_data^2 = (MS_data - MS_both) / I, and likewise for the initialisation
    (Searle, Casella, McCulloch 1992, Variance components, section 4.4).

    Raises:
        ValueError: there are fewer than two initialisations or data sets.
    """
    inits, sets = parameters.shape[:2]
    if inits < 2 or sets < 2:
        raise ValueError("An analysis of variance needs two initialisations and two data sets or more.")
    whole = parameters.mean(axis=(0, 1))
    by_init = parameters.mean(axis=1) - whole
    by_data = parameters.mean(axis=0) - whole
    rest = parameters - whole - by_init[:, None] - by_data[None]
    ms_init = sets * np.square(by_init).sum() / (inits - 1)
    ms_data = inits * np.square(by_data).sum() / (sets - 1)
    ms_both = np.square(rest).sum() / ((inits - 1) * (sets - 1))
    init, data = (ms_init - ms_both) / sets, (ms_data - ms_both) / inits
    total = init + data + ms_both
    if not total > 0:
        return Variance(float("nan"), float("nan"), float("nan"))
    return Variance(float(data / total), float(init / total), float(ms_both / total))
