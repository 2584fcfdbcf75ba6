"""What to beware of in an answer of solve."""

from __future__ import annotations

import math

from tui_opt.experiments.cos_fit.solve_answer import Answer
from tui_opt.result import Result

CLEAR_GAP = 16.0
"""Difference of squared errors, in residual variances, below which another frequency is worth a warning."""


def add_warnings(result: Result, answer: Answer) -> None:
    """Warnings, and the findings that say how bad it is."""
    search, names = answer.solution.search, answer.names
    values = dict(zip(names, answer.solution.fit.values, strict=True))
    errors = dict(zip(names, answer.errors, strict=True))
    for name, wanted in answer.solution.ranges.items():
        value, error = values[name], errors[name]
        if error > wanted.step:
            text = (
                f"The error of {name} ({error:.3g}) exceeds the spacing of the grid ({wanted.step:.3g}), so the data "
                "do not tell one minimum from the next, whatever the method: more rows, less noise or a wider range of "
                "the column would."
            )
            result.add_finding("bound_over_grid", error / wanted.step, text, kind="warning")
        if wanted.spacing > 0 and (wanted.folded or wanted.highest > math.pi / wanted.spacing):
            turn = 2 * math.pi / wanted.spacing
            text = (
                f"What {name} multiplies comes in multiples of {wanted.spacing:.6g}, so frequencies that differ by "
                f"{turn:.6g}, and their mirror images there, fit alike: {name} = {value:.6g} cannot be told from "
                f"{turn - abs(value):.6g}. The smallest is given."
            )
            result.add_finding("alias_frequency", turn - abs(value), text, kind="warning")
        if not wanted.folded and abs(value) >= wanted.highest - 2 * wanted.step:
            result.warn(
                f"{name} lies at the end of the range that was scanned ({wanted.highest:.6g}); give a larger "
                "frequency_max to look beyond."
            )
    if search.scans and search.gain < search.chance:
        named = ", ".join(search.scans[-1].wave.frequencies)
        result.warn(
            f"The data do not show an oscillation of {named} in the range that was scanned: with it the fit is better "
            f"by {search.gain:.3g} residual variances, and chance alone reaches {search.chance - 10:.3g}. Give a "
            "frequency_max further up if it may be faster, or more or better data."
        )
    if search.runner_up and search.lead < CLEAR_GAP:
        other = ", ".join(f"{n} = {v:.6g}" for n, v in search.runner_up.items())
        result.warn(
            f"Another minimum fits nearly as well: {other} (worse by {search.lead:.2g} residual variances). The data "
            "do not say which is right, or hold no oscillation at all."
        )
    lost = [name for name in names if math.isinf(errors[name])]
    if lost:
        result.warn(
            f"The data do not determine {', '.join(lost)}: a change of {'it' if len(lost) == 1 else 'them'} leaves the "
            "model as it is, so there is no error bar. Fix one of the parameters, or take it out of the model."
        )
    if answer.rows.count == len(names):
        result.warn(
            f"There are as many rows as parameters ({len(names)}): the model goes through every point whatever the "
            "noise, so there are no error bars."
        )
    if not answer.solution.fit.converged:
        result.warn(
            "Gauss-Newton had not settled after its last step; look at the residuals before using the values."
        )
