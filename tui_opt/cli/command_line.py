"""The command `optexplore`. Commands are imported when they are called, so that help and completion stay instant."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import NoReturn

import click

from tui_opt.cli.data_dir import data_dir_option
from tui_opt.cli.interrupting import end_in_order, leave_at_once
from tui_opt.cli.opening import in_terminal, open_app
from tui_opt.cli.streams import discard_stdout, guard_stdout
from tui_opt.errors import ExitCode, OptexploreError
from tui_opt.traces import unexpected

#: command -> module, and the line the help shows without importing it.
COMMANDS = {
    "list": ("catalogue", "List scenarios and their experiments."),
    "show": ("catalogue", "Show an experiment's parameters."),
    "new": ("catalogue", "Print a scenario file to start from."),
    "schema": ("catalogue", "Print the JSON schema of scenario files."),
    "batch": ("batch", "Run scenario files; the same as --batch."),
    "runs": ("runs", "List, show, attach, resume, cancel, move and remove runs."),
    "export": ("export", "Write a run's arrays, tables, findings and figures as files."),
    "verify": ("verify", "Run scenario files and check what they claim."),
    "data": ("data", "Say which data sets there are, and fetch them."),
    "doctor": ("doctor", "Say what this machine offers, and what to do about problems."),
}  # fmt: skip


#: what a batch is called on the command line, and so in its usage and its errors.
BATCH_OPTION = "--batch"


class _Commands(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tui_opt.cli.{COMMANDS[cmd_name][0]}")
        end_in_order()
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from tui_opt.problems import near_match

            hint = near_match(args[0], COMMANDS)
            if not hint and args[0].endswith(".toml"):
                hint = f"To run a scenario file: optexplore --batch {args[0]}"
            ctx.fail(f"There is no command {args[0]!r}. {hint or 'See optexplore --help.'}")
        name, command, rest = super().resolve_command(ctx, args)
        return ctx.meta.get(BATCH_OPTION, name), command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = _batch_as_command(args)
        if words is not args:
            ctx.meta[BATCH_OPTION] = BATCH_OPTION
        return super().parse_args(ctx, words)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would call it a failure
            discard_stdout()  # the reader (head, less) has seen enough
            # To a list that is no harm; files that were still to run have not been run.
            unfinished = ctx.invoked_subcommand in ("batch", BATCH_OPTION, "verify")
            ctx.exit(ExitCode.RUN_FAILED if unfinished else ExitCode.OK)
        except KeyboardInterrupt:  # click would print an empty line
            ctx.exit(ExitCode.INTERRUPTED)


def _batch_as_command(args: list[str]) -> list[str]:
    """`--batch` takes any number of files and may stand among other options, which only a command can do."""
    if args and args[0] in COMMANDS:
        return args
    for i, word in enumerate(args):
        if word == "--batch":
            return ["batch", *args[:i], *args[i + 1 :]]
        if word.startswith("--batch="):
            return ["batch", *args[:i], word.removeprefix("--batch="), *args[i + 1 :]]
    return args


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"optexplore {version('optexplore')}")
        ctx.exit()


@click.group(
    cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option("--batch", "files", metavar="FILE...", help="Run scenario files without the app.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The app's store of runs. [default: ~/optexplore]"
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that share a sweep of the app's.",
)
@data_dir_option
@click.pass_context
def command_line(ctx: click.Context, files: str | None, out: Path | None, workers: int) -> None:
    """Explore the dynamics of optimization.

    Opens the app where it is called in a terminal without a command. Runs scenario files (--batch), keeps every run,
    and checks what its sources claim.
    """
    if ctx.invoked_subcommand is not None:
        return
    if in_terminal():
        ctx.exit(open_app(out, workers))
    click.echo(ctx.get_help())


def run() -> NoReturn:
    """Carry out the command line and exit with one of `ExitCode`. No traceback reaches the user."""
    guard_stdout()
    code = _carried_out()
    leave_at_once()
    sys.exit(code)


def _carried_out() -> int:
    try:
        code = command_line.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except SystemExit as error:
        code = error.code
    except OptexploreError as error:
        click.echo(f"optexplore: {error}", err=True)
        code = error.exit_code
    except Exception as error:  # the last line before the user: a sentence, with the traceback in a file
        code = _unexpected(error)
    return int(code or 0)


def _unexpected(error: Exception) -> int:
    click.echo(f"optexplore: {unexpected(error)}", err=True)
    return ExitCode.RUN_FAILED
