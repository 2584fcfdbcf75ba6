"""Results as netCDF: named dims, coordinates, units, findings as scalars, provenance as attributes."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_opt.errors import UsageError
from tui_opt.export.names import unique
from tui_opt.export.tidy import coordinate
from tui_opt.result import Array, Finding, Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONVENTIONS = "CF-1.11"
#: HDF5 keeps attributes in a header of 64 kB.
LONGEST_ATTRIBUTE = 16_000
_KEPT = ("scenario", "experiment", "title", "seed", "device", "elapsed", "created", "started", "ended")

Variable = tuple[tuple[str, ...], Any, dict[str, Any]]


def write_netcdf(path: Path, result: Result, document: Mapping[str, Any], run_id: str, toml: str) -> None:
    """Write a result as one netCDF-4 file.

    Args:
        path: the file.
        result: arrays and findings.
        document: what `result.json` says beside them: scenario, seed, times, provenance.
        run_id: the run's id.
        toml: its scenario file, kept as a variable so that the file alone tells how to run it again.

    Raises:
        UsageError: the libraries are not installed.
        OSError: the file cannot be written.
    """
    try:
        importlib.import_module("h5netcdf")  # without it xarray would only say that it knows no engine
        import xarray
    except ImportError as error:
        raise UsageError(
            f"netCDF files need xarray and h5netcdf, and {error.name or 'one'} is missing: "
            "pip install 'optexplore[netcdf]'."
        ) from None
    variables = _variables(result, toml)
    dims = {dim for names, _, _ in variables.values() for dim in names}
    dataset = xarray.Dataset(
        {name: v for name, v in variables.items() if name not in dims},
        coords={name: v for name, v in variables.items() if name in dims},
        attrs=_attributes(result, document, run_id),
    )
    # NaN in our numbers means "not computed" or "does not exist", never "fill value".
    encoding = {n: {"_FillValue": None} for n, v in dataset.variables.items() if v.dtype.kind == "f"}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def _variables(result: Result, toml: str) -> dict[str, Variable]:
    """Every variable by its name in the file; coordinates keep their dim's name."""
    dims = _dim_names(result.arrays)
    taken = {name.casefold() for name in dims.values()}
    out: dict[str, Variable] = {}
    for name, array in result.arrays.items():
        own = [(dim, n, i) for i, (dim, n) in enumerate(zip(array.dims, array.values.shape, strict=True))]
        names: list[str] = []
        for dim, length, place in own:
            chosen = dims[dim, length]
            # A dim twice, as of a covariance matrix, is allowed by netCDF and by hardly any reader.
            names.append(chosen if chosen not in names else f"{chosen}_{place + 1}")
        is_coordinate = (
            len(own) == 1 and coordinate(result.arrays, own[0][0], own[0][1]) is array and own[0][0] == name
        )
        attributes = _described(name, array.text, array.unit)
        if is_coordinate:
            out[names[0]] = (tuple(names), _storable(array.values), attributes)
        elif array.values.dtype.kind == "c":
            for part, values in (("real", array.values.real), ("imag", array.values.imag)):
                out[unique(variable_name(f"{name}_{part}"), taken)] = (
                    tuple(names),
                    _storable(values),
                    attributes,
                )
        else:
            out[unique(variable_name(name), taken)] = (tuple(names), _storable(array.values), attributes)
    for finding in result.findings.values():
        out |= _finding(finding, taken)
    out[unique("scenario_toml", taken)] = ((), toml, {"long_name": "scenario file of the run"})
    return out


def _dim_names(arrays: Mapping[str, Array]) -> dict[tuple[str, int], str]:
    """A name for each dim of each length; one that some other array is called is set apart."""
    lengths = dict.fromkeys(
        (d, n) for a in arrays.values() for d, n in zip(a.dims, a.values.shape, strict=True)
    )
    chosen: dict[tuple[str, int], str] = {}
    taken: set[str] = set()
    for dim, length in lengths:
        if coordinate(arrays, dim, length) is not None:
            chosen[dim, length] = unique(variable_name(dim), taken)
    for dim, length in lengths:
        if (dim, length) not in chosen:
            name = f"{dim}_index" if dim in arrays else dim
            chosen[dim, length] = unique(variable_name(name), taken)
    return chosen


def variable_name(name: str) -> str:
    """A name as the conventions want it: letters, digits and `_`, a letter first."""
    cleaned = re.sub(r"\W", "_", name, flags=re.ASCII) or "unnamed"
    return cleaned if cleaned[0].isalpha() else f"v_{cleaned.lstrip('_')}"


def _described(name: str, text: str, unit: str) -> dict[str, Any]:
    attributes = {"long_name": text or name, "units": unit or "1"}
    return attributes if variable_name(name) == name else attributes | {"original_name": name}


def _storable(values: NDArray[Any]) -> Any:
    """The numbers in a type that netCDF has: half precision becomes single, extended becomes double."""
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype("f4" if values.dtype.itemsize == 2 else "f8")
    return values


def _finding(finding: Finding, taken: set[str]) -> dict[str, Variable]:
    name = unique(variable_name(f"finding_{finding.name}"), taken)
    attributes = _described(finding.name, finding.text, finding.unit) | {"kind": finding.kind}
    if finding.stderr is None:
        return {name: ((), finding.value, attributes)}
    error = unique(f"{name}_stderr", taken)
    beside = {"long_name": f"standard error of {finding.name}", "units": finding.unit or "1"}
    return {
        name: ((), finding.value, attributes | {"ancillary_variables": error}),
        error: ((), finding.stderr, beside),
    }


def _attributes(result: Result, document: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"Conventions": CONVENTIONS, "run_id": run_id}
    attributes |= {key: document[key] for key in _KEPT if document.get(key) not in (None, "")}
    provenance = document.get("provenance")
    if isinstance(provenance, dict):
        attributes |= {
            k: v for k, v in provenance.items() if isinstance(v, str | int | float) and k not in attributes
        }
        versions = provenance.get("versions")
        if isinstance(versions, dict):
            attributes["source"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        attributes["provenance"] = json.dumps(provenance, ensure_ascii=False)
    if result.warnings:
        attributes["warnings"] = "\n".join(result.warnings)
    return {k: v[:LONGEST_ATTRIBUTE] if isinstance(v, str) else v for k, v in attributes.items()}
