"""`list`, `show`, `new`, `schema`: what there is to run, and how to ask for it."""

from __future__ import annotations

import json
from typing import Any

import click

from tui_opt.errors import UsageError
from tui_opt.param_spec import ParamSpec
from tui_opt.scenario import Experiment, Scenario, registry


def _find(scenario: str, experiment: str) -> tuple[Scenario, Experiment]:
    found = registry().scenario(scenario)
    return found, found.experiment(experiment)


def report_broken_plugins() -> None:
    """Say on stderr which plugins were skipped."""
    for plugin in registry().broken:
        click.echo(
            f"optexplore: the plugin {plugin.name!r} ({plugin.source}) is skipped: {plugin.reason}", err=True
        )


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List scenarios and their experiments."""
    report_broken_plugins()
    scenarios = registry().scenarios.values()
    if as_json:
        document = [
            {
                "name": s.name,
                "title": s.title,
                "experiments": [{"name": e.name, "title": e.title} for e in s.experiments],
            }
            for s in scenarios
        ]
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for scenario in scenarios:
        click.echo(f"{scenario.name}  {scenario.title}")
        column = max(len(e.name) for e in scenario.experiments)
        for experiment in scenario.experiments:
            click.echo(f"  {experiment.name:<{column}}  {experiment.title}")


def default_text(spec: ParamSpec) -> str:
    """A parameter's default as a scenario file would say it, short enough for a table."""
    if spec.default is None:
        return "not set"
    text = json.dumps(spec.default, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


@click.command("show")
@click.argument("scenario")
@click.argument("experiment", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_command(scenario: str, experiment: str | None, as_json: bool) -> None:
    """Show an experiment's parameters, or a scenario's experiments and theory page."""
    from rich.markdown import Markdown
    from rich.table import Table

    from tui_opt.cli.screen import results

    console = results()
    if experiment is None:
        found = registry().scenario(scenario)
        if as_json:
            raise UsageError("show --json takes a scenario and an experiment.")
        page = found.theory() or f"# {found.name}\n\n{found.title}"
        console.print(Markdown(page) if console.is_terminal else page, markup=False)
        return
    _, chosen = _find(scenario, experiment)
    if as_json:
        click.echo(json.dumps(parameter_schema(chosen), ensure_ascii=False, indent=1))
        return
    console.print(f"[b]{scenario} {chosen.name}[/b]: {chosen.title}\n{chosen.summary}\n")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("parameter", "default", "unit", "allowed, meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "parameter")
    for name, spec in chosen.params.specs().items():
        symbol = f" ({spec.symbol})" if spec.symbol else ""
        table.add_row(name + symbol, default_text(spec), spec.unit, f"{spec.help} {spec.allowed_sentence}")
    console.print(table, markup=False)
    if chosen.findings:
        console.print(f"\nfindings: {', '.join(chosen.findings)}", markup=False)
    if chosen.arrays:
        console.print(f"arrays: {', '.join(chosen.arrays)}", markup=False)


@click.command("new")
@click.argument("scenario")
@click.argument("experiment")
def new_command(scenario: str, experiment: str) -> None:
    """Print a scenario file with every parameter, its default and its meaning."""
    found, chosen = _find(scenario, experiment)
    click.echo(template(found, chosen), nl=False)


def template(scenario: Scenario, experiment: Experiment) -> str:
    """A scenario file to start from, with a comment on every parameter."""
    import textwrap

    import tomli_w

    lines = [
        f"# {experiment.title}. {experiment.summary}",
        f'scenario = "{scenario.name}"',
        f'experiment = "{experiment.name}"',
        'title = ""',
        "seed = 0",
        'device = "auto"        # auto, cpu, cuda or cuda:N',
        "",
        "[params]",
    ]
    lines[:1] = [f"# {line}" for line in textwrap.wrap(lines[0][2:], 98)]
    group = ""
    for name, spec in experiment.params.specs().items():
        if spec.group != group:
            group = spec.group
            lines += ["", f"# --- {group} ---"]
        unit = f" [{spec.unit}]" if spec.unit else ""
        lines += [f"# {line}" for line in textwrap.wrap(f"{spec.help}{unit} {spec.allowed_sentence}", 98)]
        if spec.default is None:
            lines.append(f"# {name} =")
        else:
            lines.append(tomli_w.dumps({name: spec.default}).rstrip())
    lines += [
        "",
        "# A sweep over parameters, the first axis slowest:",
        "# [sweep]",
        "# temperature = {from = 0.01, to = 0.02, num = 11}",
        "",
        "# What the result should be; `optexplore verify` checks it:",
        "# [[expect]]",
        f'# finding = "{experiment.headline[0] if experiment.headline else ""}"',
        "# value = 0.0",
        "# tolerance = 0.001",
    ]
    return "\n".join(lines) + "\n"


@click.command("schema")
@click.argument("scenario", required=False)
@click.argument("experiment", required=False)
def schema_command(scenario: str | None, experiment: str | None) -> None:
    """Print the JSON schema of scenario files, of all experiments or of one."""
    chosen = [
        (s, e)
        for s in registry().scenarios.values()
        for e in s.experiments
        if scenario in (None, s.name) and experiment in (None, e.name)
    ]
    if scenario is not None:
        found = registry().scenario(scenario)
        if experiment is not None:
            found.experiment(experiment)
    click.echo(json.dumps(file_schema(chosen), ensure_ascii=False, indent=1))


def file_schema(chosen: list[tuple[Scenario, Experiment]]) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the scenario files of some experiments."""
    from tui_opt.scenario_file import SIZES

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
                "seed": {"type": "integer", "minimum": 0, "default": 0},
                "device": {"type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$", "default": "auto"},
                "size": {"enum": list(SIZES), "default": "laptop"},
                "params": parameter_schema(experiment),
                "sweep": {"type": "object"},
                "expect": {"type": "array", "items": {"type": "object"}},
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
        forms.append({"type": "array", "items": one, "minItems": max(1, spec.least)})
    if spec.words:
        forms.append({"enum": list(spec.words)})
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
