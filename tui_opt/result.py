"""What an experiment answers: findings, tables, named arrays and the figures that draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from tui_opt.figure import Figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

Cell = str | int | float | bool | None
FindingKind = Literal["finding", "accuracy", "warning"]


def nonfinite_name(value: float) -> str:
    """The name a number that is not finite carries in JSON: `inf`, `-inf` or `nan`."""
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


class Finding(BaseModel):
    """A named scalar with its unit, uncertainty and meaning.

    Args:
        name: stable name, as in `contract`-level documentation and expectations.
        value: the number; infinite or NaN where the quantity does not exist, and then `text` says why.
        text: what it means, in a sentence.
        unit: unit, empty for a pure number.
        stderr: standard error, for estimates.
        kind: `finding` answers the question, `accuracy` says how far the answer can be trusted, `warning` says that a
            method has left its domain.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    value: float
    text: str = ""
    unit: str = ""
    stderr: float | None = None
    kind: FindingKind = "finding"

    @model_validator(mode="before")
    @classmethod
    def _read_nonfinite(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key, name in (("value", "nonfinite"), ("stderr", "stderr_nonfinite")):
                if data.get(key) is None and data.get(name) in ("inf", "-inf", "nan"):
                    data = {**data, key: float(data[name])}
        return data

    @model_serializer
    def _write(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name}
        if math.isfinite(self.value):
            out["value"] = self.value
        else:
            out |= {"value": None, "nonfinite": nonfinite_name(self.value)}
        if self.stderr is not None and math.isfinite(self.stderr):
            out["stderr"] = self.stderr
        elif self.stderr is not None:
            out |= {"stderr": None, "stderr_nonfinite": nonfinite_name(self.stderr)}
        if self.unit:
            out["unit"] = self.unit
        if self.kind != "finding":
            out["kind"] = self.kind
        return {**out, "text": self.text}


class Table(BaseModel):
    """A small table: column names and rows of plain values."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = ()
    title: str = ""

    @model_validator(mode="after")
    def _rows_fit(self) -> Table:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"A row of {len(row)} values does not fit {len(self.columns)} columns: {row!r}."
                )
        return self

    @model_serializer
    def _write(self) -> dict[str, Any]:
        rows = [
            [nonfinite_name(c) if isinstance(c, float) and not math.isfinite(c) else c for c in row]
            for row in self.rows
        ]
        return {"columns": list(self.columns), "rows": rows} | ({"title": self.title} if self.title else {})


class ArrayInfo(BaseModel):
    """An array without its numbers. A dim has the name of its coordinate array, if there is one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    unit: str = ""
    text: str = ""


@dataclass(frozen=True)
class Array:
    """An array with named dims; `text` says what it holds."""

    values: NDArray[Any]
    dims: tuple[str, ...]
    unit: str = ""
    text: str = ""

    def info(self) -> ArrayInfo:
        """The description without the numbers."""
        return ArrayInfo(
            dims=self.dims,
            shape=tuple(int(n) for n in self.values.shape),
            dtype=str(self.values.dtype),
            unit=self.unit,
            text=self.text,
        )


class ResultDocument(BaseModel):
    """The part of a result that is text: everything but the arrays' numbers. It is what `result.json` holds."""

    model_config = ConfigDict(extra="ignore")

    findings: list[Finding] = Field(default_factory=list)
    tables: dict[str, Table] = Field(default_factory=dict)
    arrays: dict[str, ArrayInfo] = Field(default_factory=dict)
    figures: list[Figure] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    headline: list[str] = Field(default_factory=list)


@dataclass
class Result:
    """The answer of one run, or a partial answer while it runs (NaN where nothing is computed yet).

    Built up by `add_finding`, `add_array`, `add_table`, `add_figure` and `warn`; read by name.
    """

    findings: dict[str, Finding] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    headline: list[str] = field(default_factory=list)

    def add_finding(
        self,
        name: str,
        value: float,
        text: str = "",
        *,
        unit: str = "",
        stderr: float | None = None,
        kind: FindingKind = "finding",
    ) -> None:
        """Add a scalar; a `warning` finding is repeated among the warnings, so that nobody overlooks it."""
        self.findings[name] = Finding(
            name=name, value=float(value), text=text, unit=unit, stderr=stderr, kind=kind
        )
        if kind == "warning":
            self.warn(text)

    def add_missing(self, name: str, why: str, *, unit: str = "") -> None:
        """Add a finding whose quantity does not exist here, with the reason in a sentence."""
        self.add_finding(name, math.nan, why, unit=unit)

    def add_array(
        self, name: str, values: NDArray[Any], dims: Sequence[str], *, unit: str = "", text: str = ""
    ) -> None:
        """Add an array.

        Args:
            name: its name, and the name of the dim it is the coordinate of, if any.
            values: the numbers, one axis per dim.
            dims: names of the axes in order.
            unit: unit of the numbers.
            text: what they are.

        Raises:
            ValueError: the number of dims is not the number of axes.
        """
        if values.ndim != len(dims):
            raise ValueError(f"Array {name!r} has {values.ndim} axes but {len(dims)} dims: {tuple(dims)!r}.")
        self.arrays[name] = Array(values, tuple(dims), unit, text)

    def add_table(
        self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str = ""
    ) -> None:
        """Add a table of plain values."""
        self.tables[name] = Table(columns=tuple(columns), rows=tuple(tuple(r) for r in rows), title=title)

    def add_figure(self, figure: Figure) -> None:
        """Add a figure; it may name any array of this result."""
        self.figures.append(figure)

    def warn(self, sentence: str) -> None:
        """Add a warning once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def values(self) -> dict[str, NDArray[Any]]:
        """The arrays' numbers by name."""
        return {name: array.values for name, array in self.arrays.items()}

    def document(self) -> ResultDocument:
        """Everything but the arrays' numbers."""
        return ResultDocument(
            findings=list(self.findings.values()),
            tables=self.tables,
            arrays={name: array.info() for name, array in self.arrays.items()},
            figures=self.figures,
            warnings=self.warnings,
            headline=self.headline,
        )

    @classmethod
    def from_document(cls, document: ResultDocument, values: dict[str, NDArray[Any]]) -> Result:
        """Put a stored document and its arrays together again; arrays that are not in `values` are left out."""
        arrays = {
            name: Array(values[name], info.dims, info.unit, info.text)
            for name, info in document.arrays.items()
            if name in values
        }
        return cls(
            findings={f.name: f for f in document.findings},
            tables=dict(document.tables),
            arrays=arrays,
            figures=list(document.figures),
            warnings=list(document.warnings),
            headline=list(document.headline),
        )
