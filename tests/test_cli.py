"""The command line as its users meet it: streams, exit codes, JSON, and the words of help and errors."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.conftest import DROP
from tui_opt.cli import COMMANDS
from tui_opt.cli.catalogue import file_schema, template
from tui_opt.scenario import registry
from tui_opt.scenario_file import read_text

RUN_LENGTH = 'scenario = "toy-sgd"\nexperiment = "run-length"\n'
CLAIM = """
[[expect]]
finding = "run_probability"
value = {value}
tolerance = 1e-9
claimed = 0.81
source = "a post"
claim = "A run of five within 100 draws has a chance of 81 %."
"""


def test_help_names_every_command_and_its_line(cli):
    done = cli("--help")
    assert done.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "runs"])
def test_each_command_has_help(cli, name):
    done = cli(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")


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


def test_batch_prints_one_json_object_per_file(cli, write, runs):
    one = write(RUN_LENGTH + CLAIM.format(value=0.8101095992), "one.toml")
    two = write(DROP, "two.toml")
    done = cli("--batch", one, two, "--json", "--quiet")
    assert done.returncode == 0
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    keys = "schema scenario experiment title params seed device status elapsed run_dir findings tables arrays figures"
    assert set(keys.split()) | {"expectations", "warnings", "provenance"} <= set(first)
    assert first["status"] == second["status"] == "done"
    findings = {f["name"]: f["value"] for f in first["findings"]}
    assert findings["run_length"] == 5
    assert findings["run_probability"] == 0.810109599196358
    assert first["expectations"][0]["holds"] is True
    assert first["expectations"][0]["measured"] == findings["run_probability"]
    assert first["arrays"]["w"]["dims"] == ["step"]
    assert first["arrays"]["w"]["shape"] == [6]
    assert Path(first["run_dir"]).parent == runs
    assert done.stderr == ""


def test_set_overrides_any_key(cli, write):
    done = cli(
        "--batch", write(RUN_LENGTH), "--set", "params.temperature=0.025", "--set", "seed=7", "--json", "--quiet"
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["params"]["temperature"] == 0.025
    assert document["seed"] == 7
    assert {f["name"]: f["value"] for f in document["findings"]}["run_length"] == 10


def test_check_exits_with_4_where_a_claim_does_not_hold(cli, write):
    wrong = write(RUN_LENGTH + CLAIM.format(value=0.5))
    assert cli("--batch", wrong, "--quiet").returncode == 0
    assert cli("--batch", wrong, "--quiet", "--check").returncode == 4


def test_verify_prints_the_ledger(cli, write):
    right = write(RUN_LENGTH + CLAIM.format(value=0.8101095992), "right.toml")
    wrong = write(RUN_LENGTH + CLAIM.format(value=0.5), "wrong.toml")
    done = cli("verify", right, wrong, "--json", "--quiet")
    assert done.returncode == 4
    rows = json.loads(done.stdout)
    assert [row["holds"] for row in rows] == [True, False]
    expected = {"file", "source", "claim", "claimed", "value", "tolerance", "measured", "verdict", "holds"}
    assert all(expected <= set(row) for row in rows)
    text = cli("verify", right, "--quiet")
    assert text.returncode == 0
    assert "1 of 1 claims hold" in text.stdout
    assert "0.8101095992" in text.stdout


def test_verify_runs_equal_questions_once(cli, write, tmp_path):
    files = [write(RUN_LENGTH + CLAIM.format(value=0.8101095992), f"{i}.toml") for i in range(3)]
    files.append(write(RUN_LENGTH + "[params]\ntemperature = 0.04\n", "other.toml"))
    done = cli("verify", *files, "--json", "--quiet", "--out", tmp_path / "kept")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 3
    assert len(list((tmp_path / "kept").glob("2*"))) == 2


def test_a_missing_gpu_is_exit_code_3_and_says_what_there_is(cli, write, runs, tmp_path):
    fake = tmp_path / "bin" / "nvidia-smi"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 9\n")
    fake.chmod(0o755)
    done = cli("--batch", write('device = "cuda:0"\n' + RUN_LENGTH), PATH=f"{fake.parent}:/usr/bin:/bin")
    assert done.returncode == 3
    assert "only cpu" in done.stderr
    assert not runs.exists()


def test_a_question_without_an_answer_is_a_sentence(cli, write):
    done = cli("--batch", write(RUN_LENGTH + '[params]\nlosses = ["-exp(-(W-2)^2)"]\n'), "--quiet")
    assert done.returncode == 1
    assert "There is no pit to escape from" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_show_prints_what_the_run_printed(cli, write):
    printed = cli("--batch", write(RUN_LENGTH + CLAIM.format(value=0.8101095992)), "--quiet").stdout
    name = json.loads(cli("runs", "list", "--json").stdout)[0]["id"]
    shown = cli("runs", "show", name[-6:]).stdout
    body = "\n".join(printed.splitlines()[2:-2])
    assert body.strip() in shown


def test_runs_rm_and_prune(cli, write):
    file = write(DROP)
    for _ in range(3):
        cli("--batch", file, "--quiet")
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

    result = tui_opt.run("toy-sgd", "run-length")
    assert result.findings["run_length"].value == 5
    cli("--batch", write(RUN_LENGTH), "--quiet")
    row = tui_opt.runs(runs)[0]
    stored = tui_opt.load(row.id, runs)
    assert stored.findings["run_probability"].value == result.findings["run_probability"].value
    assert (stored.arrays["w"].values == result.arrays["w"].values).all()
