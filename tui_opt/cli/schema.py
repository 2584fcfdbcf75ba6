"""JSON schemas of scenario files, for editors and for programs that write them."""

from __future__ import annotations

from typing import Any

from tui_opt.expectations import SWEEP_FINDINGS, VERDICTS
from tui_opt.param_spec import ParamSpec
from tui_opt.scenario import Experiment, Scenario
from tui_opt.scenario_file import SIZES
from tui_opt.sweep import MOST_POINTS

SEED = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
RANGE = {
    "type": "object",
    "required": ["from", "to", "num"],
    "additionalProperties": False,
    "properties": {
        "from": {"type": "number", "description": "The first value; above 0 where log is true."},
        "to": {"type": "number", "description": "The last value; above 0 where log is true."},
        "num": {"type": "integer", "minimum": 1, "maximum": MOST_POINTS, "description": "How many values."},
        "log": {"type": "boolean", "default": False, "description": "Space them evenly in their logarithm."},
    },
}
#: of an expectation, beside what it is about.
EXPECTED: dict[str, dict[str, Any]] = {
    "index": {
        "type": "array",
        "items": {"type": "integer"},
        "description": "Place in the array, one per dim.",
    },
    "at": {"type": "object", "description": "A sweep point, or an element by the coordinates of its dims."},
    "value": {"type": "number", "description": "What is expected; nan where it should not exist."},
    "tolerance": {
        "type": "number",
        "minimum": 0,
        "default": 0,
        "description": "Allowed distance from value.",
    },
    "relative": {
        "type": "number",
        "minimum": 0,
        "default": 0,
        "description": "The same as a share of value.",
    },
    "min": {"type": "number", "description": "Least allowed, in place of value."},
    "max": {"type": "number", "description": "Most allowed, in place of value."},
    "verdict": {
        "enum": list(VERDICTS),
        "default": "reproduced",
        "description": "What became of the source's claim.",
    },
    "claimed": {"type": "number", "description": "The source's own number where it differs from value."},
    "source": {"type": "string", "description": "Where the claim stands."},
    "claim": {"type": "string", "description": "The claim in words."},
    "note": {"type": "string", "description": "Why our number differs, say."},
}


def file_schema(chosen: list[tuple[Scenario, Experiment]]) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the scenario files of some experiments."""

    def one(scenario: Scenario, experiment: Experiment) -> dict[str, Any]:
        return {
            "type": "object",
            "title": f"{scenario.name} {experiment.name}",
            "description": experiment.summary,
            "required": ["scenario", "experiment"],
            "additionalProperties": False,
            "properties": {
                "scenario": {"const": scenario.name},
                "experiment": {"const": experiment.name},
                "title": {"type": "string"},
                "description": {"type": "string"},
                "seed": {**SEED, "default": 0},
                "device": {"type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$", "default": "auto"},
                "size": {"enum": list(SIZES), "default": "laptop"},
                "params": parameter_schema(experiment),
                "sweep": sweep_schema(experiment),
                "expect": {"type": "array", "items": expectation_schema(experiment)},
            },
        }

    schemas = [one(s, e) for s, e in chosen]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": schemas}


def parameter_schema(experiment: Experiment) -> dict[str, Any]:
    """JSON schema of an experiment's parameters; unit, symbol, group and scale under keys of their own."""
    properties = {name: _property(spec) for name, spec in experiment.params.specs().items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


_JSON_TYPES = {
    "real": "number",
    "integer": "integer",
    "flag": "boolean",
    "text": "string",
    "expression": "string",
}


def _property(spec: ParamSpec) -> dict[str, Any]:
    forms = _forms(spec)
    out: dict[str, Any] = dict(forms[0]) if len(forms) == 1 else {"anyOf": forms}
    out["description"] = spec.help
    if spec.default is not None:
        out["default"] = spec.default
    extra = {
        "unit": spec.unit,
        "symbol": spec.symbol,
        "group": spec.group,
        "log": spec.log,
        "variables": spec.variables,
    }
    return out | {f"x-{key}": list(v) if isinstance(v, tuple) else v for key, v in extra.items() if v}


def _forms(spec: ParamSpec) -> list[dict[str, Any]]:
    """What one value of a parameter may be: a single thing, a list of them, a word."""
    if spec.form == "pairs":
        value = _forms(spec.of_entry().of_pair())
        values = value[0] if len(value) == 1 else {"anyOf": value}
        return [{"type": "object", "additionalProperties": values, "minProperties": spec.least}]
    if spec.form == "rows":
        rows = _forms(spec.of_entry())[0]
        return [{"type": "array", "items": rows, "minItems": spec.least}]
    one: dict[str, Any] = {"enum": list(spec.choices)} if spec.choices else {"type": _JSON_TYPES[spec.kind]}
    bounds = {
        "minimum": spec.low,
        "maximum": spec.high,
        "exclusiveMinimum": spec.above,
        "exclusiveMaximum": spec.below,
    }
    one |= {key: value for key, value in bounds.items() if value is not None}
    forms: list[dict[str, Any]] = [one] if spec.one else []
    if spec.many:
        forms.append({"type": "array", "items": one, "minItems": spec.least})
    if spec.words:
        forms.append({"enum": list(spec.words)})
    if spec.is_run:
        forms.append({"type": "string", "description": "The id of a run, or the place of its directory."})
    return forms


def sweep_schema(experiment: Experiment) -> dict[str, Any]:
    """JSON schema of `[sweep]`: for each parameter, and the seed, a list of values or a range of numbers."""
    axes = {name: _axis(_forms(spec), _has_ranges(spec)) for name, spec in experiment.params.specs().items()}
    axes["seed"] = _axis([SEED], ranges=True)
    return {
        "type": "object",
        "description": "Parameters to vary; every combination is computed, the first axis slowest.",
        "additionalProperties": False,
        "properties": axes,
    }


def _has_ranges(spec: ParamSpec) -> bool:
    return spec.kind in ("real", "integer") and spec.form == "values"


def _axis(forms: list[dict[str, Any]], ranges: bool) -> dict[str, Any]:
    items = forms[0] if len(forms) == 1 else {"anyOf": forms}
    values = {"type": "array", "items": items, "minItems": 1, "maxItems": MOST_POINTS}
    return {"anyOf": [values, RANGE]} if ranges else values


def expectation_schema(experiment: Experiment) -> dict[str, Any]:
    """JSON schema of one `[[expect]]`: the finding or array element meant, and what it should be."""
    finding: dict[str, Any] = {"type": "string", "description": "The finding that is meant."}
    if experiment.findings:
        finding["enum"] = [*experiment.findings, *SWEEP_FINDINGS]
    array = {"type": "string", "description": "The array that is meant; `index` or `at` picks the element."}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"finding": finding, "array": array, **EXPECTED},
        "oneOf": [{"required": ["finding"]}, {"required": ["array"]}],
        "anyOf": [{"required": [key]} for key in ("value", "min", "max")],
        "not": {"required": ["value"], "anyOf": [{"required": ["min"]}, {"required": ["max"]}]},
    }
