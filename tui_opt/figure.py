"""Figures as plain data: what to draw, never how.

A figure names arrays of its result instead of holding their numbers, so that a stored run redraws without
recomputing and a figure stays small. `tui_opt.render` turns one into text, PNG or SVG.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


def _number_or_nan(value: Any) -> Any:
    return math.nan if value is None else value


def _null_if_not_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Number = Annotated[
    float,
    BeforeValidator(_number_or_nan),
    PlainSerializer(_null_if_not_finite, return_type=float | None, when_used="json"),
]


class Spec(BaseModel):
    """A frozen, strictly checked piece of a figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: fields that versions before do not know; written only where they are set, so that those read all other figures.
    ADDED: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {k: v for k, v in written.items() if v is not None or k not in self.ADDED}


class Ref(Spec):
    """Numbers of a named array of the result.

    Args:
        array: the array's name.
        index: one entry per dim; an integer picks, `None` keeps the dim whole. Missing trailing entries keep theirs.
    """

    array: str
    index: tuple[int | None, ...] = ()


Data = Ref | tuple[Number, ...]


class Axis(Spec):
    """An axis: its label, unit, scale, and the range to show (the data's own where left out)."""

    label: str = ""
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


class Line(Spec):
    """A curve through points ordered by x."""

    kind: Literal["line"] = "line"
    x: Data
    y: Data
    label: str = ""


class Path(Spec):
    """A curve through points in the order of time, such as an orbit or a cobweb."""

    kind: Literal["path"] = "path"
    x: Data
    y: Data
    label: str = ""


class Scatter(Spec):
    """Points, with standard errors in y where they are known."""

    kind: Literal["scatter"] = "scatter"
    x: Data
    y: Data
    error: Data | None = None
    label: str = ""


class Band(Spec):
    """The region between two curves."""

    kind: Literal["band"] = "band"
    x: Data
    low: Data
    high: Data
    label: str = ""


class Histogram(Spec):
    """Counts or densities between edges (one more edge than there are counts)."""

    kind: Literal["histogram"] = "histogram"
    edges: Data
    counts: Data
    label: str = ""


class Density(Spec):
    """How many points, or passages of a path, lie in each cell of a grid: `counts[y, x]` between the edges."""

    kind: Literal["density"] = "density"
    x: Data
    y: Data
    counts: Ref
    label: str = ""


class Heatmap(Spec):
    """A matrix `z[y, x]` in colour, cell centres at `x` and `y`; `low` and `high` are the ends of its colours."""

    ADDED: ClassVar[tuple[str, ...]] = ("low", "high")

    kind: Literal["heatmap"] = "heatmap"
    x: Data
    y: Data
    z: Ref
    label: str = ""
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    diverging: bool = False
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


class Rule(Spec):
    """A straight line across the figure at a value of one axis."""

    kind: Literal["rule"] = "rule"
    axis: Literal["x", "y"]
    value: Number
    label: str = ""


Layer = Annotated[
    Line | Path | Scatter | Band | Histogram | Density | Heatmap | Rule,
    Field(discriminator="kind"),
]


class Figure(Spec):
    """A figure: axes, and the layers drawn in order.

    Args:
        notes: sentences about what is not drawn and why; found out from the numbers where left out.
        moment: the time it is of, where a result has the same picture at several times: these can be played in order.
    """

    ADDED: ClassVar[tuple[str, ...]] = ("notes", "moment")

    name: str
    title: str
    x: Axis = Axis()
    y: Axis = Axis()
    layers: tuple[Layer, ...] = ()
    caption: str = ""
    notes: tuple[str, ...] | None = None
    moment: FiniteFloat | None = None


def resolve(data: Data, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The numbers a layer draws.

    Args:
        data: a reference into `arrays`, or the numbers themselves.
        arrays: the result's arrays by name.

    Returns:
        A float64 array of the dims the reference keeps.

    Raises:
        KeyError: the reference names an array that is not there.
    """
    import numpy as np

    if isinstance(data, Ref):
        if data.array not in arrays:
            raise KeyError(f"The figure draws the array {data.array!r}, which this result does not have.")
        picked = arrays[data.array][tuple(slice(None) if i is None else i for i in data.index)]
        return np.asarray(picked, dtype=np.float64)
    return np.asarray(data, dtype=np.float64)
