"""The command line as its users meet it: streams, exit codes, JSON, and the words of help and errors."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import bouncing_ball.compute as plugin
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from tests.conftest import DROP, SCATTER
from tui_opt import expectations
from tui_opt.cli import run_actions
from tui_opt.cli import runs as runs_module
from tui_opt.cli.batch import STOPPING, ProgressLine, worse
from tui_opt.cli.catalogue import file_schema, show_command, template
from tui_opt.cli.command_line import COMMANDS, command_line
from tui_opt.errors import StoreError
from tui_opt.runner.context import Context, Progress
from tui_opt.runner.interrupts import Interrupts
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_text
from tui_opt.sweep import MOST_POINTS, read_sweep

RUN_LENGTH = 'scenario = "toy-sgd"\nexperiment = "run-length"\n'
ONE_DROP = DROP + "[params]\nheight = 1.0\n"
REST_TIME = 9 * math.sqrt(2 / 9.81)  # (1 + e) / (1 - e) = 9
CLAIM = """
[[expect]]
finding = "rest_time"
value = {value}
tolerance = 1e-9
claimed = 4.06
source = "a post"
claim = "It bounces for 4.06 seconds."
"""
RIGHT = ONE_DROP + CLAIM.format(value=REST_TIME)
WRONG = ONE_DROP + CLAIM.format(value=0.5)


def test_help_names_every_command_and_its_line(cli):
    done = cli("--help")
    assert done.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "runs"])
def test_each_command_has_help(name):
    done = CliRunner().invoke(command_line, [name, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith("Usage:")


def test_a_misspelt_command_gets_a_near_match(cli):
    done = cli("verfy")
    assert done.returncode == 2
    assert "Did you mean 'verify'?" in done.stderr
    assert done.stdout == ""


def test_a_file_in_place_of_a_command_gets_the_way_to_run_it(cli):
    done = cli("mine.toml")
    assert done.returncode == 2
    assert "optexplore --batch mine.toml" in done.stderr


def test_an_unknown_scenario_gets_a_near_match(cli):
    done = cli("show", "toy-sdg", "escape")
    assert done.returncode == 2
    assert "Did you mean 'toy-sgd'?" in done.stderr


def test_list_as_json_agrees_with_the_registry(cli):
    listed = {
        s["name"]: [e["name"] for e in s["experiments"]] for s in json.loads(cli("list", "--json").stdout)
    }
    known = {name: [e.name for e in s.experiments] for name, s in registry().scenarios.items()}
    assert listed == known


def test_show_names_every_parameter_with_its_default(cli):
    text = cli("show", "toy-sgd", "escape").stdout
    for name in registry().scenario("toy-sgd").experiment("escape").params.specs():
        assert re.search(rf"^{name}\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("scenario", "experiment"),
    [(s.name, e.name) for s in registry().scenarios.values() for e in s.experiments],
)
def test_the_template_of_new_is_the_default_scenario_file(scenario, experiment):
    found = registry().scenario(scenario)
    chosen = found.experiment(experiment)
    file = read_text(template(found, chosen))
    assert file.params == chosen.params.check({})
    commented = set(re.findall(r"^# (\w+) =", template(found, chosen), re.MULTILINE))
    assert set(tomllib.loads(template(found, chosen))["params"]) | commented >= set(chosen.params.specs())


EXPERIMENTS = [(s.name, e.name) for s in registry().scenarios.values() for e in s.experiments]


@pytest.mark.parametrize(("scenario", "experiment"), [*EXPERIMENTS, ("bouncing-ball", "drop")])
def test_the_sweep_that_new_suggests_can_be_run(scenario, experiment):
    found = registry().scenario(scenario)
    text = template(found, found.experiment(experiment))
    text = re.sub(r"^# (\[sweep\])\n# (.+)", r"\1\n\2", text, flags=re.MULTILINE)
    file = read_text(text)
    assert file.sweep is not None
    assert file.sweep.size > 1
    for values in file.sweep.points():
        file.at_point(values)


def test_the_schema_covers_every_parameter_with_type_and_bounds():
    found = registry().scenario("toy-sgd")
    schema = file_schema([(found, found.experiment("escape"))])["oneOf"][0]["properties"]["params"][
        "properties"
    ]
    assert set(schema) == set(found.experiment("escape").params.specs())
    number, many = schema["temperature"]["anyOf"]
    assert number == {"type": "number", "maximum": 1e6, "exclusiveMinimum": 0}
    assert many["items"] == number
    assert schema["method"]["enum"] == ["operator", "monte-carlo", "both"]
    assert {"enum": ["auto"]} in schema["barrier"]["anyOf"]


def test_the_schema_describes_sweeps_expectations_and_the_seed():
    found = registry().scenario("toy-sgd")
    chosen = found.experiment("escape")
    top = file_schema([(found, chosen)])["oneOf"][0]["properties"]
    assert top["seed"]["maximum"] == 2**63 - 1
    assert set(top["sweep"]["properties"]) == {*chosen.params.specs(), "seed"}
    values, spaced = top["sweep"]["properties"]["temperature"]["anyOf"]
    assert values["items"]["anyOf"][0] == {"type": "number", "maximum": 1e6, "exclusiveMinimum": 0}
    limits = {k: v["type"] for k, v in spaced["properties"].items()}
    assert limits == {"from": "number", "to": "number", "num": "integer", "log": "boolean"}
    for num, allowed in ((MOST_POINTS, True), (MOST_POINTS + 1, False)):
        given = {"temperature": {"from": 0.1, "to": 0.2, "num": num}}
        assert (not read_sweep(given, chosen.params.specs())[1]) is allowed
    assert spaced["properties"]["num"]["maximum"] == MOST_POINTS
    entry = top["expect"]["items"]
    assert set(entry["properties"]) == set(expectations._KEYS)
    assert all("type" in one or "enum" in one for one in entry["properties"].values())
    assert entry["oneOf"] == [{"required": ["finding"]}, {"required": ["array"]}]
    assert set(entry["properties"]["finding"]["enum"]) >= set(chosen.findings)


def test_summaries_keep_their_brackets(monkeypatch):
    from dataclasses import replace

    drop = registry().scenario("bouncing-ball").experiment("drop")
    ball = replace(
        registry().scenario("bouncing-ball"), experiments=(replace(drop, summary="On [0, 1] [b]only[/b]."),)
    )
    monkeypatch.setattr("tui_opt.cli.catalogue._find", lambda *names: (ball, ball.experiments[0]))
    for columns in ("100", "50"):
        shown = CliRunner().invoke(show_command, ["bouncing-ball", "drop"], env={"COLUMNS": columns})
        assert "On [0, 1] [b]only[/b]." in shown.output


@pytest.mark.parametrize("columns", [40, 100])
def test_results_fit_the_width_and_end_in_no_blanks(cli, write, columns):
    file = write(RIGHT + CLAIM.format(value=4).replace("It", "It, however long and winding this is,"))
    changes = {"COLUMNS": str(columns)}
    printed = [
        cli("--batch", file, "--figures", "all", "--quiet", **changes).stdout,
        cli("verify", file, "--quiet", **changes).stdout,
        cli("show", "bouncing-ball", "drop", **changes).stdout,
    ]
    for text in printed:
        assert text
        for line in text.splitlines():
            assert line == line.rstrip(" ")
            # The path of the run stays whole, to be copied.
            assert cell_len(line) <= columns or "-bouncing-ball-drop-" in line


def test_batch_prints_one_json_object_per_file(cli, write, runs):
    one = write(RIGHT, "one.toml")
    two = write(DROP, "two.toml")
    done = cli("--batch", one, two, "--json", "--quiet")
    assert done.returncode == 0
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    keys = "schema scenario experiment title params seed device status elapsed run_dir findings tables arrays figures"
    assert set(keys.split()) | {"expectations", "warnings", "provenance"} <= set(first)
    assert first["status"] == second["status"] == "done"
    findings = {f["name"]: f["value"] for f in first["findings"]}
    assert findings["rest_time"] == pytest.approx(REST_TIME, rel=1e-14)
    assert first["expectations"][0]["holds"] is True
    assert first["expectations"][0]["measured"] == findings["rest_time"]
    assert first["arrays"]["peak"]["dims"] == ["height", "bounce"]
    assert first["arrays"]["peak"]["shape"] == [1, 21]
    assert Path(first["run_dir"]).parent == runs
    assert done.stderr == ""


def test_set_overrides_any_key(cli, write):
    done = cli(
        "--batch", write(ONE_DROP), "--set", "params.height=4", "--set", "seed=7", "--json", "--quiet"
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["params"]["height"] == 4.0
    assert document["seed"] == 7
    found = {f["name"]: f["value"] for f in document["findings"]}["rest_time"]
    assert found == pytest.approx(2 * REST_TIME, rel=1e-14)


def test_check_exits_with_4_where_a_claim_does_not_hold(cli, write):
    assert cli("--batch", write(WRONG), "--quiet").returncode == 0
    assert cli("--batch", write(WRONG), "--quiet", "--check").returncode == 4


def test_the_worst_of_several_ends_is_the_exit_code():
    from_bad_to_good = [143, 130, 1, 2, 3, 5, 4, 0]
    for i, code in enumerate(from_bad_to_good):
        for other in from_bad_to_good[i:]:
            assert worse(code, other) == worse(other, code) == code


def test_a_failed_run_outweighs_a_claim_that_does_not_hold(cli, write):
    scatter = 'scenario = "bouncing-ball"\nexperiment = "scatter"\n[params]\nfail_at = 0\n'
    done = cli("--batch", write(WRONG), write(scatter, "fails.toml"), "--check", "--quiet")
    assert done.returncode == 1
    assert "Block 0 was told to fail." in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_prints_the_ledger(cli, write):
    right, wrong = write(RIGHT, "right.toml"), write(WRONG, "wrong.toml")
    done = cli("verify", right, wrong, "--json", "--quiet")
    assert done.returncode == 4
    rows = json.loads(done.stdout)
    assert [row["holds"] for row in rows] == [True, False]
    expected = {"file", "source", "claim", "claimed", "value", "tolerance", "measured", "verdict", "holds"}
    assert all(expected <= set(row) for row in rows)
    text = cli("verify", right, "--quiet")
    assert text.returncode == 0
    assert "1 of 1 claims hold" in text.stdout
    assert "4.0637127689" in text.stdout


def test_verify_runs_equal_questions_once(cli, write, tmp_path):
    files = [write(RIGHT, f"{i}.toml") for i in range(3)]
    files.append(write(DROP + "[params]\nheight = 2.0\n" + CLAIM.format(value=1.0), "other.toml"))
    done = cli("verify", *files, "--json", "--quiet", "--out", tmp_path / "kept")
    assert done.returncode == 4
    assert len(json.loads(done.stdout)) == 4
    assert len(list((tmp_path / "kept").glob("2*"))) == 2


def test_verify_says_what_it_skips_and_fails_where_nothing_is_left(cli, write, tmp_path):
    right = write(RIGHT, "right.toml")
    silent = write(ONE_DROP, "silent.toml")
    large = write('size = "gpu"\n' + RIGHT, "large.toml")
    done = cli("verify", silent, right, large, "--quiet")
    assert done.returncode == 0
    assert "1 of 1 claims hold" in done.stdout
    first, second = done.stderr.splitlines()
    assert re.search(r"silent\.toml is skipped: .*\[\[expect\]\]", first)
    assert re.search(r"large\.toml is skipped: .*--gpu", second)
    nothing = cli("verify", silent, large, "--quiet", "--out", tmp_path / "kept")
    assert nothing.returncode == 2
    assert nothing.stdout == ""
    assert "no claim to check" in nothing.stderr
    assert not (tmp_path / "kept").exists()


def test_verify_takes_files_or_a_scenario(cli, write):
    done = cli("verify", write(RIGHT), "--scenario", "toy-sgd")
    assert done.returncode == 2
    assert "--scenario" in done.stderr


def test_a_missing_gpu_is_exit_code_3_and_says_what_there_is(cli, write, runs, tmp_path):
    fake = tmp_path / "bin" / "nvidia-smi"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 9\n")
    fake.chmod(0o755)
    done = cli("--batch", write('device = "cuda:0"\n' + RUN_LENGTH), PATH=f"{fake.parent}:/usr/bin:/bin")
    assert done.returncode == 3
    assert "only cpu" in done.stderr
    assert not runs.exists()


def test_runs_show_prints_what_the_run_printed(cli, write):
    printed = cli("--batch", write(RIGHT), "--quiet").stdout
    name = json.loads(cli("runs", "list", "--json").stdout)[0]["id"]
    shown = cli("runs", "show", name[-6:]).stdout
    body = "\n".join(printed.splitlines()[2:-2])
    assert body.strip() in shown


def test_runs_rm_and_prune(cli, write):
    file = write(DROP)
    cli("--batch", file, file, file, "--quiet")
    ids = [row["id"] for row in json.loads(cli("runs", "list", "--json").stdout)]
    assert cli("runs", "rm", ids[0]).returncode == 0
    dry = cli("runs", "prune", "--keep", "1", "--dry-run")
    assert "would be removed" in dry.stdout
    assert cli("runs", "prune", "--keep", "1").returncode == 0
    assert [row["id"] for row in json.loads(cli("runs", "list", "--json").stdout)] == [ids[2]]
    missing = cli("runs", "rm", "nothing")
    assert missing.returncode == 2
    assert "runs list" in missing.stderr


def test_the_public_api_runs_and_loads(cli, write, runs):
    import tui_opt

    cli("--batch", write(ONE_DROP), "--quiet")
    row = tui_opt.runs(runs)[0]
    result = tui_opt.run("bouncing-ball", "drop", height=1.0)
    stored = tui_opt.load(row.id, runs)
    assert stored.findings["rest_time"].value == result.findings["rest_time"].value
    assert (stored.arrays["peak"].values == result.arrays["peak"].values).all()


@pytest.mark.parametrize(
    "words", [["list"], ["show", "bouncing-ball", "drop"], ["--batch"], ["--batch", "--json"]]
)
def test_a_full_stdout_is_a_sentence(environment, write, runs, words):
    if words[0] == "--batch":
        words = [*words, "--quiet", str(write(DROP))]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui_opt", *words], stdout=full, stderr=subprocess.PIPE, text=True,
            env=environment(), timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "optexplore: stdout cannot be written: No space left on device.\n"


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from tui_opt.cli import main
sys.argv[1:] = ["show", "bouncing-ball", "drop"]
main()
"""


@pytest.mark.parametrize("module", ["click", "tui_opt.cli.catalogue", "rich.table"])
def test_ctrl_c_during_imports_is_quiet(environment, module):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.replace("sys.argv[1]", repr(module))],
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def interrupted_at_the_end(monkeypatch):
    """Drops that are interrupted and then end without looking at it; returns the heights of those that were run."""
    compute, heights = plugin.drop, []

    def drop(params, ctx):
        heights.append(params.height)
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 60.0
        while not ctx.cancelled:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return compute(params, Context("bouncing-ball/drop"))

    monkeypatch.setattr(plugin, "drop", drop)
    return heights


@pytest.mark.parametrize(("claim", "code"), [(RIGHT, 0), (WRONG, 4)])
@pytest.mark.parametrize("command", ["batch", "verify"])
def test_a_run_that_is_done_though_it_was_interrupted_has_the_code_of_done(
    write, runs, monkeypatch, command, claim, code
):
    interrupted_at_the_end(monkeypatch)
    words = ["--check", "--json"] if command == "batch" else ["--json", "--out", str(runs)]
    done = CliRunner().invoke(command_line, [command, str(write(claim)), "--quiet", *words])
    assert done.exit_code == code
    assert "not run" not in done.stderr
    (run,) = runs.glob("2*")
    assert RunDirectory(run).status()["state"] == "done"
    assert json.loads(done.stdout)


def test_what_an_interruption_left_out_is_said_and_has_its_code(write, runs, monkeypatch):
    heights = interrupted_at_the_end(monkeypatch)
    files = [str(write(RIGHT.replace("height = 1.0", f"height = {h}.0"), f"{h}.toml")) for h in (1, 2, 3)]
    for words, said in (
        (["batch"], "optexplore: Interrupted: 2 more files were not run. Give them again.\n"),
        (["verify", "--out", str(runs)], ""),
    ):
        heights.clear()
        done = CliRunner().invoke(command_line, [*words, *files, "--quiet"])
        assert (done.exit_code, heights, done.stderr) == (130, [1.0], said)


def test_a_run_that_was_cancelled_has_the_code_of_its_signal(write, runs, monkeypatch):
    """Whether it is the only one or the last of several."""

    def drop(params, ctx):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            ctx.check()
            time.sleep(0.005)

    monkeypatch.setattr(plugin, "drop", drop)
    done = CliRunner().invoke(command_line, ["batch", str(write(ONE_DROP)), "--quiet"])
    assert done.exit_code == 130
    assert "Cancelled. `optexplore runs resume` goes on with it." in done.stderr
    assert "not run" not in done.stderr
    assert CliRunner().invoke(command_line, ["verify", str(write(RIGHT)), "--quiet"]).exit_code == 130


def test_usage_errors_of_a_batch_name_the_option(cli):
    for word, usage in (("--batch", "--batch"), ("batch", "batch")):
        done = cli(word, "--nonsense")
        assert done.returncode == 2
        assert f"optexplore {usage} [OPTIONS] FILES" in done.stderr


def test_an_unknown_state_is_a_usage_error(cli):
    done = cli("runs", "list", "--state", "bogus")
    assert done.returncode == 2
    assert "'running'" in done.stderr


def test_cancel_checks_all_runs_before_it_asks_any(cli, write, runs):
    cli("--batch", write(DROP), "--quiet")
    ended = next(runs.glob("2*"))
    queued = RunDirectory.create(runs, "bouncing-ball", "drop", DROP, claim=False)
    done = cli("runs", "cancel", queued.id, ended.name)
    assert done.returncode == 2
    assert "is done" in done.stderr
    assert queued.status()["state"] == "queued"
    assert cli("runs", "cancel", queued.id).stdout == f"{queued.id}  cancelled\n"
    assert queued.status()["state"] == "cancelled"


def test_cancel_fails_where_a_run_does_not_stop(runs, monkeypatch):
    monkeypatch.setattr(run_actions, "CANCEL_PATIENCE", 0.1)
    run = RunDirectory.create(runs, "bouncing-ball", "drop", DROP, claim=True)
    try:
        done = CliRunner().invoke(runs_module.runs_command, ["cancel", run.id, "--out", str(runs)])
        assert isinstance(done.exception, StoreError)
        assert done.exception.exit_code == 1
        assert run.id in str(done.exception)
        assert run.cancel_requested()
    finally:
        run.lock.release()


def test_resume_checks_and_is_quiet_as_batch_is(cli, runs):
    run = RunDirectory.create(runs, "bouncing-ball", "drop", WRONG, claim=False)
    done = cli("runs", "resume", run.id, "--check", "--quiet", "--json")
    assert done.returncode == 4
    assert done.stderr == ""
    assert run.status()["state"] == "done"


def test_the_progress_line_is_gone_once_a_stop_was_asked_for(monkeypatch):
    terminal, stderr = pty.openpty()
    with os.fdopen(stderr, "w") as stream, Interrupts() as interrupts:
        monkeypatch.setattr(sys, "stderr", stream)
        line = ProgressLine("ball", interrupts)
        monkeypatch.setattr(line, "_next", 0.0)
        line.show(Progress(5, 10, "bounces"), None)
        os.kill(os.getpid(), signal.SIGINT)
        line.show(Progress(6, 10, "bounces"), None)
        line.show(Progress(7, 10, "bounces"), None)
        stream.flush()
        written = ""
        # A terminal hands over what it has at the moment: one read may get a part only.
        while select.select([terminal], [], [], 0.5)[0]:
            written += os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "50%" in written
    assert written.endswith(f"\r\x1b[Kball  {STOPPING}\r\n")


def test_a_long_run_says_so_before_it_begins(environment, write, tmp_path, runs):
    """Said at once, and stopped by the first Ctrl-C."""
    file = write(SCATTER + "[params]\nseconds = 3600\n")
    command = [sys.executable, "-m", "tui_opt", "--batch", str(file), "--threads", "1"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=tmp_path, env=environment()
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert re.search(r"takes about (\d+:\d\d:\d\d|\d+ days)", first)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in rest
