"""The named models as sums of parts h(theta x): which part each parameter belongs to, and the laws of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui_opt.experiments.cos_fit.params import SampleParams

if TYPE_CHECKING:
    from tui_opt.kernels.fitting.population import Law, Part

PARTS: Final[dict[str, dict[str, tuple[Part, str]]]] = {
    "cos+exp": {"a": ("cos", "x1"), "b": ("exp", "x2")},
    "cos": {"a": ("cos", "x1")},
    "exp": {"b": ("exp", "x2")},
    "exp+exp": {"a": ("exp", "x1"), "b": ("exp", "x2")},
    "sqrt+exp": {"a": ("sqrt", "x1"), "b": ("exp", "x2")},
}
"""By the model's name: of each parameter the function and the column it multiplies."""


def law_of(params: SampleParams, column: str) -> Law:
    """The law that a column is drawn from."""
    from tui_opt.kernels.fitting.population import Law

    if column == "x1":
        return Law(params.x_distribution, params.x_scale)
    return Law("uniform", params.x2_scale, -params.x2_scale if params.x2_distribution == "symmetric" else 0.0)
