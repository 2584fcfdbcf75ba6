"""What is known of a loss curve so far: the first sample's, the population's in closed form, and basins of draws."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
from tui_opt.experiments.cos_fit.named_parts import PARTS, law_of
from tui_opt.experiments.cos_fit.one_parameter import OneParameter
from tui_opt.experiments.cos_fit.samples import FloatArray
from tui_opt.kernels.fitting.basins import Basin
from tui_opt.kernels.fitting.loss_curve import Curve
from tui_opt.kernels.fitting.population import Law, cosine_loss_spread, part_loss, part_mean

SEARCHED = 40.0
"""How far from the target turns are looked for, in units of 1/s."""


@dataclass(frozen=True)
class Exact:
    """The population's loss on a grid.

    Attributes:
        mse: [n].
        sd: [n], sampling standard deviation of a sample's curve; None where only the sample itself can tell.
    """

    mse: FloatArray
    sd: FloatArray | None


@dataclass
class Answer:
    """What is known so far.

    Attributes:
        params: the question.
        one: the first sample with its parameter.
        alpha: [n].
        curve: the first sample's loss on it.
        exact: the population's, where there is a closed form.
        law: of the column the parameter multiplies, for a named model of samples that are drawn.
        scale: 1/s, the length on which the loss can change.
        basins: of each draw that has one.
        tried: draws that were looked at.
        near: [m], places around the basin.
        near_curves: losses there, of the first few draws.
        near_exact: the population's there.
    """

    params: LossCurveParams
    one: OneParameter
    alpha: FloatArray
    curve: Curve
    exact: Exact | None
    law: Law | None
    scale: float
    basins: list[Basin] = field(default_factory=list)
    tried: int = 0
    near: FloatArray = field(default_factory=lambda: np.empty(0))
    near_curves: list[FloatArray] = field(default_factory=list)
    near_exact: Exact | None = None

    @property
    def is_cosine(self) -> bool:
        """Whether the parameter is a frequency with its closed forms."""
        return self.law is not None and self.one.part is not None and self.one.part[0] == "cos"


def is_even(answer: Answer) -> bool:
    return answer.one.part is not None and answer.one.part[0] == "cos"


def exact_curve(
    params: LossCurveParams, one: OneParameter, law: Law | None, alpha: FloatArray
) -> Exact | None:
    """The population's loss, with what a held parameter away from the truth adds to it."""
    truth = params.truth()
    if law is None or one.part is None:
        return None
    kind = one.part[0]
    target = truth[one.name]
    mse: FloatArray = part_loss(kind, law, alpha, target) + params.noise**2
    displaced = False
    for name, (other, column) in PARTS[one.samples.model.text.named].items():
        held = float(one.values[one.samples.model.parameters.index(name)])
        if name == one.name or held == truth[name]:
            continue
        displaced = True
        theirs, value = law_of(params, column), np.array([held])
        mse = mse + part_loss(other, theirs, value, truth[name])
        shift = part_mean(other, theirs, value) - part_mean(other, theirs, np.array([truth[name]]))
        mse = mse + 2.0 * shift * (part_mean(kind, law, alpha) - part_mean(kind, law, np.array([target])))
    if np.isnan(mse).all():
        return None  # the root of a normal law's negative half
    closed = kind == "cos" and not displaced
    root = np.sqrt(one.samples.count)
    sd = cosine_loss_spread(law, alpha, target, params.noise) / root if closed else None
    return Exact(np.asarray(mse), sd)
