"""`list`, `show`, `new`, `schema`: what there is to run, and how to ask for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tui_opt.cli.schema import file_schema, parameter_schema
from tui_opt.errors import UsageError
from tui_opt.param_spec import ParamSpec
from tui_opt.problems import ParameterErrors
from tui_opt.scenario import Experiment, Scenario, registry

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROW = 72


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
    from rich.text import Text

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
    console.print(
        Text.assemble((f"{scenario} {chosen.name}", "bold"), f": {chosen.title}\n{chosen.summary}\n")
    )
    if console.width < NARROW:
        for name, spec in chosen.params.specs().items():
            console.print(_block(name, spec))
        _print_names(console, chosen)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("parameter", "default", "unit", "allowed, meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "parameter")
    for name, spec in chosen.params.specs().items():
        cells = (name + _symbol(spec), default_text(spec), spec.unit, f"{spec.help} {spec.allowed_sentence}")
        table.add_row(*map(Text, cells))  # as texts: what stands in brackets is no markup
    console.print(table)
    _print_names(console, chosen)


def _symbol(spec: ParamSpec) -> str:
    return f" ({spec.symbol})" if spec.symbol else ""


def _block(name: str, spec: ParamSpec) -> Text:
    """A parameter where there is no room for a table."""
    from rich.text import Text

    unit = f" {spec.unit}" if spec.unit else ""
    rest = f" = {default_text(spec)}{unit}\n{spec.help} {spec.allowed_sentence}\n"
    return Text.assemble((name + _symbol(spec), "bold"), rest)


def _print_names(console: Console, chosen: Experiment) -> None:
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
        elif isinstance(spec.default, dict):
            pairs = (tomli_w.dumps({key: value}).rstrip() for key, value in spec.default.items())
            lines += [f"{name}.{pair}" for pair in pairs] or [f"{name} = {{}}"]
        else:
            lines.append(tomli_w.dumps({name: spec.default}).rstrip())
    lines += [
        "",
        "# A sweep over parameters, the first axis slowest:",
        "# [sweep]",
        f"# {_sweep_example(experiment)}",
        "",
        "# What the result should be; `optexplore verify` checks it:",
        "# [[expect]]",
        f'# finding = "{experiment.headline[0] if experiment.headline else ""}"',
        "# value = 0.0",
        "# tolerance = 0.001",
    ]
    return "\n".join(lines) + "\n"


def _sweep_example(experiment: Experiment) -> str:
    """A line for `[sweep]`: a range of the first parameter that has one around its default."""
    for name, spec in experiment.params.specs().items():
        start = spec.default[0] if isinstance(spec.default, tuple | list) and spec.default else spec.default
        if not spec.one or not (spec.log or spec.kind == "real"):
            continue
        if isinstance(start, bool) or not isinstance(start, int | float):
            continue
        half = start // 2 if spec.kind == "integer" else start / 2
        for low, high in ((half, start), (start, 2 * start), (start, start + 1)):
            if low < high and _allowed(experiment, name, low) and _allowed(experiment, name, high):
                scale = ", log = true" if spec.log and low > 0 else ""
                return f"{name} = {{from = {low}, to = {high}, num = 5{scale}}}"
    return "seed = [0, 1, 2]"


def _allowed(experiment: Experiment, name: str, value: float) -> bool:
    try:
        experiment.params.check({name: value})
    except ParameterErrors:
        return False
    return True


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
