"""Scenario files: what is read is what was meant, and what is written reads back as the same."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import DROP, SCATTER, examples
from tui_opt.cli.catalogue import file_schema, template
from tui_opt.param_spec import ParamSpec
from tui_opt.problems import ParameterErrors
from tui_opt.scenario import Experiment, Scenario, registry
from tui_opt.scenario_file import (
    KEYS,
    ScenarioFile,
    ScenarioFileError,
    is_device_name,
    read_file,
    read_text,
)


def problem_keys(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ScenarioFileError) as caught:
        read_text(text, "bad.toml", overrides)
    return [p.key for p in caught.value.problems]


def everything() -> list[tuple[Scenario, Experiment]]:
    return [(s, e) for s in registry().scenarios.values() for e in s.experiments]


# --- reading ----------------------------------------------------------------------------------------------


def test_what_is_left_out_takes_its_default() -> None:
    file = read_text(DROP)
    assert file.params == file.experiment.params()
    assert (file.seed, file.device, file.size, file.title, file.sweep, file.expectations) == (
        0, "auto", "laptop", "", None, (),
    )  # fmt: skip


def test_every_problem_of_a_file_comes_at_once_and_in_order() -> None:
    text = """
        scenario = "bouncing-ball"
        experiment = "drop"
        titel = "x"
        seed = -1
        size = "desktop"
        device = "gpu"
        [params]
        restitution = 1.0
        hight = 2.0
        [sweep]
        gravity = [9.81, "heavy"]
        bounce = [1]
        [[expect]]
        finding = "rest_tim"
        value = 1.0
        [[expect]]
        finding = "rest_time"
    """
    assert problem_keys(text) == [
        "titel", "seed", "size", "device", "params.hight", "params.restitution", "sweep.bounce",
        "expect[0].finding", "expect[1]",
    ]  # fmt: skip


def test_the_message_gives_file_key_value_and_a_near_match() -> None:
    with pytest.raises(ScenarioFileError) as caught:
        read_text(DROP + "[params]\nresitution = 0.5\ngravity = -9.81\n", "my.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "my.toml cannot be used:"
    assert "Did you mean 'restitution'?" in lines[1]
    assert "above 0" in lines[2]
    assert "-9.81" in lines[2]


def test_a_parameter_outside_its_table_is_recognised() -> None:
    with pytest.raises(ScenarioFileError, match=r"put it under \[params\]"):
        read_text(DROP + "restitution = 0.5\n")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ["scenario", "experiment"]),
        ("scenario = 1\n", ["scenario", "experiment"]),
        ('scenario = "bouncing-bal"\nexperiment = "drop"', ["scenario"]),
        ('scenario = "bouncing-ball"\nexperiment = "dorp"', ["experiment"]),
        (DROP + "params = 1", ["params"]),
        (DROP + "sweep = 1", ["sweep"]),
        (DROP + "expect = 1", ["expect"]),
        (DROP + "seed = 1.5", ["seed"]),
        (DROP + "seed = true", ["seed"]),
        (DROP + "seed = 9223372036854775808", ["seed"]),
        (DROP + 'device = "cuda:x"', ["device"]),
        (DROP + 'device = "cuda:"', ["device"]),
        (DROP + "title = 1\ndescription = []", ["title", "description"]),
        (SCATTER + "[params]\nrestitution_range = [0.9, 0.5]", ["params.restitution_range"]),
        (DROP + "[sweep]\nseed = [-1]", ["sweep.seed[0]"]),
        (DROP + "[sweep]", ["sweep"]),
        (DROP + "[sweep]\nrestitution = [0.5, 1.0, 2.0]", ["sweep.restitution[1]", "sweep.restitution[2]"]),
        (DROP + "[sweep]\nbounces = {from = 0, to = 3, num = 4}", ["sweep.bounces[0]"]),
        ("scenario = ", ["TOML"]),
        ("a = 1\na = 2", ["TOML"]),
        ("a = " + "[" * 5000 + "]" * 5000, ["TOML"]),
        ("a = 1" + "0" * 5000, ["TOML"]),
    ],
)
def test_what_is_wrong_is_said_with_its_key(text: str, keys: list[str]) -> None:
    assert problem_keys(text) == keys


def test_a_broken_sweep_does_not_make_expectations_look_wrong() -> None:
    text = (
        DROP
        + '[sweep]\nrestitutoin = [0.5]\n[[expect]]\nfinding = "rest_time"\nat = {restitution = 0.5}\nvalue = 1'
    )
    assert problem_keys(text) == ["sweep.restitutoin"]


def test_every_value_of_a_long_axis_is_checked() -> None:
    values = [0.5] * 3000 + [1.5] + [0.25] * 3000
    assert problem_keys(f"{DROP}[sweep]\nrestitution = {values}") == ["sweep.restitution[3000]"]
    seeds = [*range(2000), -1]
    assert problem_keys(f"{DROP}[sweep]\nseed = {seeds}") == ["sweep.seed[2000]"]
    words = ["[1.0, 2.0]"] * 2000 + ["[1.0, -2.0]"]
    assert problem_keys(f"{DROP}[sweep]\nheight = [{', '.join(words)}]") == ["sweep.height[2000][1]"]


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.just("a"), st.just((1.0,))))
def test_the_quick_look_at_a_number_agrees_with_the_whole_check(value: object) -> None:
    for experiment in registry().scenario("bouncing-ball").experiments:
        for name, spec in experiment.params.specs().items():
            if spec.is_plain_number(value):
                assert experiment.params.value_problems(name, value, "x") == []


def test_a_device_number_has_few_digits() -> None:
    assert is_device_name("cuda:0")
    assert is_device_name("cuda:1234")
    assert not is_device_name("cuda:" + "1" * 5000)
    with pytest.raises(ScenarioFileError) as caught:
        read_text(DROP + f'device = "cuda:{"1" * 5000}"')
    assert len(str(caught.value)) < 500


def test_a_rule_is_reported_together_with_problems_elsewhere() -> None:
    text = 'scenario = "toy-sgd"\nexperiment = "landscape"\n[params]\nw_min = 5.0\nw_max = 1.0\npoint = 3\n'
    assert problem_keys(text) == ["params.point", "params.w_min"]


def test_a_sweep_may_pass_through_values_that_a_rule_forbids_with_the_defaults() -> None:
    text = SCATTER + "[sweep]\nrestitution_range = [[0.1, 0.2], [0.95, 0.99]]\nblocks = [1, 2]"
    assert read_text(text).sweep is not None


def test_axes_that_only_make_sense_together_are_accepted() -> None:
    low_and_high = "[sweep]\nw_min = [0.0, 10.0]\nw_max = [5.0, 15.0]\n"
    file = read_text('scenario = "toy-sgd"\nexperiment = "landscape"\n' + low_and_high)
    assert file.sweep is not None
    assert file.at_point(file.sweep.values(3)).params.plain()["w_min"] == 10.0
    with pytest.raises(ParameterErrors):
        file.at_point({"w_min": 10.0, "w_max": 5.0})


# --- files ------------------------------------------------------------------------------------------------


def file_keys(path: Path) -> list[str]:
    with pytest.raises(ScenarioFileError) as caught:
        read_file(path)
    assert str(path) in str(caught.value)
    return [p.key for p in caught.value.problems]


def test_files_that_cannot_be_read_are_said_so(tmp_path: Path) -> None:
    assert file_keys(tmp_path / "missing.toml") == ["file"]
    assert file_keys(tmp_path) == ["file"]
    assert file_keys(Path("a\0b")) == ["file"]
    (tmp_path / "latin.toml").write_bytes(DROP.encode() + b'title = "caf\xe9"')
    assert file_keys(tmp_path / "latin.toml") == ["file"]
    (tmp_path / "utf16.toml").write_bytes(DROP.encode("utf-16"))
    assert file_keys(tmp_path / "utf16.toml") == ["file"]
    (tmp_path / "nul.toml").write_bytes(DROP.encode() + b"\0")
    assert file_keys(tmp_path / "nul.toml") == ["TOML"]
    (tmp_path / "large.toml").write_bytes(DROP.encode() + b"# " + b"x" * 10_000_000)
    assert file_keys(tmp_path / "large.toml") == ["file"]
    assert file_keys(Path("/dev/zero")) == ["file"]


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + DROP.encode())
    assert read_file(tmp_path / "bom.toml") == read_text(DROP)


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(DROP,))
    writer.start()
    assert read_file(pipe) == read_text(DROP)
    writer.join()


def test_a_file_of_absurdly_many_wrong_keys_is_answered_briefly() -> None:
    text = DROP + "\n".join(f"wrong_{i} = 1" for i in range(20_000))
    with pytest.raises(ScenarioFileError) as caught:
        read_text(text)
    assert len(caught.value.problems) == 20_000
    lines = str(caught.value).splitlines()
    assert len(lines) < 100
    assert "more" in lines[-1]


# --- overrides --------------------------------------------------------------------------------------------


def test_overrides_replace_and_add_values() -> None:
    file = read_text(
        DROP, "x", ["params.height=2", "seed=7", "title=a ball", 'device="cpu"', "params.height=3"]
    )
    assert file.params.plain()["height"] == 3.0
    assert (file.seed, file.title, file.device) == (7, "a ball", "cpu")
    swept = read_text(DROP, "x", ["sweep.restitution=[0.1, 0.2]"])
    assert swept.sweep is not None
    assert swept.sweep.shape == (2,)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("params.height", "--set"),
        ("=1", "--set"),
        ("params..height=1", "--set"),
        ("params.hight=1", "params.hight"),
        ("params.height=tall", "params.height"),
        ("params.height.low=1", "params.height"),
        ("scenario.name=1", "--set scenario.name"),
        ("title=caf\udce9", "--set"),
        ("params=1", "params"),
        ("expect=1", "expect"),
        ("seed=5\ntitle=1", "seed"),
        ("a" + ".a" * 2000 + "=1", "a"),
    ],
)
def test_a_wrong_override_is_named(override: str, key: str) -> None:
    assert key in problem_keys(DROP, override)


def test_contradictory_overrides_are_refused() -> None:
    assert problem_keys(DROP, "params=1", "params.height=2") == ["--set params.height", "params"]
    file = read_text(DROP, "x", ["params.height=2", "params={restitution=0.5}"])
    assert file.params.plain()["height"] == file.experiment.params().plain()["height"]


# --- round trips ------------------------------------------------------------------------------------------


def values_of(spec: ParamSpec) -> st.SearchStrategy[Any]:
    """Allowed values of a parameter, as TOML gives them."""
    one: st.SearchStrategy[Any]
    if spec.kind == "flag":
        one = st.booleans()
    elif spec.kind == "choice":
        one = st.sampled_from(spec.choices)
    elif spec.kind == "expression":
        one = st.sampled_from([f"{v}^2" for v in spec.variables] + ["exp(-1.5e-3)", "1"])
    elif spec.kind == "text":
        one = st.text(st.characters(codec="utf-8"))
    elif spec.kind == "integer":
        least = -(2**63) + 1 if spec.low is None else int(spec.low)
        one = st.integers(least, 2**63 - 1 if spec.high is None else int(spec.high))
    else:
        low, high = (a if a is not None else b for a, b in ((spec.low, spec.above), (spec.high, spec.below)))
        one = st.floats(
            low, high, exclude_min=spec.above is not None, exclude_max=spec.below is not None,
            allow_nan=False, allow_infinity=False,
        )  # fmt: skip
    if spec.form == "pairs":
        names = st.text(st.characters(codec="utf-8", exclude_characters="="), min_size=1)
        if spec.kind == "expression":
            names = st.sampled_from(["room", "heat", "t_1", "x"])
        kept = names.filter(lambda name: bool(name.strip()))
        return st.dictionaries(kept, one, min_size=spec.least, max_size=5)
    if spec.form == "rows":
        width = st.integers(1, 3)
        return width.flatmap(
            lambda n: st.lists(st.lists(one, min_size=n, max_size=n), min_size=1, max_size=3)
        )
    forms = [one] if spec.one else []
    if spec.many:
        forms.append(st.lists(one, min_size=max(1, spec.least), max_size=5))
    if spec.words:
        forms.append(st.sampled_from(spec.words))
    return st.one_of(forms)


@st.composite
def files(draw: st.DrawFn) -> ScenarioFile | None:
    """A scenario file with any allowed values; None where its parameters' rules forbid their combination."""
    scenario, experiment = draw(st.sampled_from(everything()))
    specs = experiment.params.specs()
    chosen = draw(st.lists(st.sampled_from(list(specs)), unique=True))
    text = st.text(st.characters(codec="utf-8"), max_size=20)
    document: dict[str, Any] = {
        "scenario": scenario.name,
        "experiment": experiment.name,
        "title": draw(text),
        "description": draw(text),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "device": draw(st.sampled_from(["auto", "cpu", "cuda", "cuda:3"])),
        "size": draw(st.sampled_from(["laptop", "gpu"])),
        "params": {name: draw(values_of(specs[name])) for name in chosen},
    }
    axes = draw(st.lists(st.sampled_from(list(specs)), unique=True, max_size=2))
    if axes:
        document["sweep"] = {
            name: draw(st.lists(values_of(specs[name]), min_size=1, max_size=3)) for name in axes
        }
    if experiment.findings and not axes:
        expect = {
            "finding": st.sampled_from(experiment.findings), "value": st.floats(), "tolerance": st.floats(0, 1e9),
            "verdict": st.sampled_from(["reproduced", "corrected", "not-reproduced"]), "claimed": st.floats(),
            "claim": text,
        }  # fmt: skip
        document["expect"] = draw(st.lists(st.fixed_dictionaries(expect), max_size=2))
    # Values are drawn one by one, so only a rule between them can be broken.
    for name in chosen:
        assert not experiment.params.value_problems(name, document["params"][name], f"params.{name}")
    try:
        return read_text(tomli_w.dumps(document))
    except ScenarioFileError as error:
        problems = error.problems
    assert all(p.key.startswith("params.") for p in problems), problems
    return None


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_a_written_file_reads_back_as_the_same(file: ScenarioFile | None) -> None:
    if file is None:
        return
    text = file.to_toml()
    again = read_text(text, "somewhere else")
    assert again.to_toml() == text
    assert again.params == file.params
    assert again.sweep == file.sweep
    if not any(isinstance(v, float) and math.isnan(v) for e in file.expectations for v in vars(e).values()):
        assert again == file


@pytest.mark.parametrize(("scenario", "experiment"), everything(), ids=lambda x: x.name)
def test_the_template_of_every_experiment_is_a_file_of_its_defaults(
    scenario: Scenario, experiment: Experiment
) -> None:
    text = template(scenario, experiment)
    file = read_text(text)
    assert file.params == experiment.params()
    assert file.experiment is experiment
    assert all(len(line) <= 100 for line in text.splitlines() if line.startswith("# ") and "=" not in line)
    for name in experiment.params.specs():
        assert name in text


@pytest.mark.parametrize(("scenario", "experiment"), everything(), ids=lambda x: x.name)
def test_the_schema_accepts_the_template(scenario: Scenario, experiment: Experiment) -> None:
    schema = file_schema([(scenario, experiment)])
    json.dumps(schema, allow_nan=False)
    (one,) = schema["oneOf"]
    document = tomllib.loads(template(scenario, experiment))
    assert accepts(one, document)
    assert not accepts(one, document | {"params": document["params"] | {"nonsense": 1}})
    assert not accepts(one, {k: v for k, v in document.items() if k != "scenario"})
    assert set(one["properties"]) == set(KEYS)
    for spec in experiment.params.specs().values():
        if spec.kind in ("real", "integer"):
            assert not accepts(one, document | {"params": {spec.name: {"a": [1]}}})
            if spec.high is not None:
                assert not accepts(one, document | {"params": {spec.name: spec.high + 1}})


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether a JSON schema, of the keywords we write, accepts a value: the plain reading of the specification."""
    types: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int,
    }  # fmt: skip
    checks: dict[str, Callable[[Any], bool]] = {
        "const": lambda want: value == want,
        "enum": lambda want: value in want,
        "type": lambda want: (
            isinstance(value, types[want]) and (want == "boolean") >= isinstance(value, bool)
        ),
        "minimum": lambda want: value >= want,
        "maximum": lambda want: value <= want,
        "exclusiveMinimum": lambda want: value > want,
        "exclusiveMaximum": lambda want: value < want,
        "minItems": lambda want: len(value) >= want,
        "minProperties": lambda want: len(value) >= want,
        "items": lambda want: all(accepts(want, v) for v in value),
        "anyOf": lambda want: any(accepts(s, value) for s in want),
        "required": lambda want: set(want) <= set(value),
        "properties": lambda want: all(accepts(want[k], v) for k, v in value.items() if k in want),
        "additionalProperties": lambda want: (
            all(accepts(want, v) for v in value.values())
            if isinstance(want, dict)
            else want or set(value) <= set(schema["properties"])
        ),
        "pattern": lambda want: bool(re.search(want, value)),
    }
    known = set(checks) | {"title", "description", "default"}
    assert all(key in known or key.startswith("x-") for key in schema), schema
    if "type" in schema and not checks["type"](schema["type"]):
        return False
    return all(check(schema[key]) for key, check in checks.items() if key in schema)


@pytest.mark.parametrize(
    ("rest", "label"),
    [
        ("", ""),
        ('title = "Mine"\n[params]\ntemperature = 0.015\n', "Mine"),
        ("[params]\ntemperature = 0.015\nsteps = [100]\n", "T 0.015, n 100"),
        ("seed = 7\n[params]\ntemperature = [0.01, 0.02]\ncells = 4000\n", "T × 2, seed 7"),
        (
            "[params]\nmethod = 'operator'\n[sweep]\ntemperature = [0.1, 0.2]\n",
            "temperature × 2, method operator",
        ),
    ],
)
def test_a_label_tells_a_file_from_others_of_its_experiment(rest, label):
    assert read_text(f'scenario = "toy-sgd"\nexperiment = "escape"\n{rest}').label == label
