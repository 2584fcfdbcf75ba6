"""Whatever is wrong with a scenario file, the command line answers with exit code 2 and a message naming the key.

Nothing is printed on stdout, no traceback is shown, and nothing is left in the store.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import DROP, SCATTER, Cli, examples
from tui_opt import cli as command
from tui_opt.expectations import VERDICTS
from tui_opt.param_spec import ParamSpec
from tui_opt.scenario import Experiment, Scenario, registry
from tui_opt.scenario_file import KEYS

Document = dict[str, Any]
Mutation = tuple[str | bytes, str]


def run(words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command line called in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = sys.argv
    sys.argv = ["optexplore", *words]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as caught,
        ):
            command.main()
    finally:
        sys.argv = argv
    return int(caught.value.code or 0), out.getvalue(), err.getvalue()


def check_refusal(code: int, out: str, err: str, key: str, store: Path) -> None:
    assert code == 2, err
    assert out == ""
    assert key in err
    assert "Traceback" not in err
    assert "unexpected" not in err
    assert all(line.isprintable() for line in err.splitlines())
    assert not store.exists()


# --- ways to spoil a file ---------------------------------------------------------------------------------


def experiments() -> list[tuple[Scenario, Experiment]]:
    return [(s, e) for s in registry().scenarios.values() for e in s.experiments]


@st.composite
def bases(draw: st.DrawFn, with_findings: bool = False) -> tuple[Experiment, Document]:
    """A good file with every parameter written out, of an experiment that declares findings where they matter."""
    scenario, experiment = draw(
        st.sampled_from([(s, e) for s, e in experiments() if e.findings or not with_findings])
    )
    params = experiment.params().plain()
    document = {
        "scenario": scenario.name,
        "experiment": experiment.name,
        "seed": 1,
        "title": "x",
        "params": params,
    }
    return experiment, document


def misspellings(word: str) -> st.SearchStrategy[str]:
    place = st.integers(0, len(word) - 1)
    return st.one_of(
        place.map(lambda i: word[:i] + word[i + 1 :]),
        place.map(lambda i: word[:i] + word[i] + word[i:]),
        place.map(lambda i: word[:i] + "q" + word[i + 1 :]),
        st.just(word.upper()),
    )


@st.composite
def misspelt(draw: st.DrawFn) -> Mutation:
    place = draw(st.sampled_from(["", "params", "sweep", "expect"]))
    experiment, document = draw(bases(with_findings=place == "expect"))
    names = list(experiment.params.specs())
    known = {
        "": list(KEYS),
        "params": names,
        "sweep": names,
        "expect": ["tolerance", "verdict", "claimed", "index"],
    }
    word = draw(st.sampled_from(known[place]))
    wrong = draw(misspellings(word).filter(lambda w: w and w not in known[place] and w not in document))
    if place == "expect":
        document["expect"] = [{"finding": experiment.findings[0], "value": 1.0, wrong: 1.0}]
        return tomli_w.dumps(document), f"expect[0].{wrong}"
    if place == "":
        return tomli_w.dumps({wrong: 1.0} | document), wrong
    document.setdefault(place, {})[wrong] = [1.0]
    return tomli_w.dumps(document), f"{place}.{wrong}"


DATES = st.just(date(2020, 1, 1))
TABLES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)
ROWS = st.lists(st.lists(st.integers(), min_size=1, max_size=2), min_size=1, max_size=3)
#: values no parameter takes that is neither a table nor rows.
NEVER = st.one_of(DATES, TABLES, ROWS, st.lists(DATES, min_size=1, max_size=3))


def wrong_entries(spec: ParamSpec) -> st.SearchStrategy[Any]:
    """Values of the wrong type for a table of names or for rows of numbers."""
    wrong: list[st.SearchStrategy[Any]] = [
        DATES,
        st.integers(),
        st.text(max_size=5),
        st.lists(DATES, min_size=1),
    ]
    if spec.form == "pairs":
        wrong += [ROWS, st.dictionaries(st.text(max_size=5), DATES, min_size=1, max_size=3)]
    else:
        wrong += [TABLES, st.lists(st.integers(), min_size=1, max_size=3), st.just([[1], [1, 2]])]
        wrong += [st.lists(st.lists(DATES, min_size=1), min_size=1, max_size=3), st.just([[math.nan]])]
    if spec.least:
        wrong.append(st.just({} if spec.form == "pairs" else []))
    return st.one_of(wrong)


def wrong_values(spec: ParamSpec) -> st.SearchStrategy[Any]:
    """Values of the wrong type, out of bounds, or not finite for one parameter."""
    if spec.form != "values":
        return wrong_entries(spec)
    wrong: list[st.SearchStrategy[Any]] = [NEVER]
    if spec.kind in ("real", "integer"):
        bad: list[Any] = [math.nan, math.inf, -math.inf, 10**400, -(10**400), True, "much", "W"]
        bad += [spec.low - 1] if spec.low is not None else []
        bad += [spec.high + 1] if spec.high is not None else []
        bad += [spec.above, spec.above - 1] if spec.above is not None else []
        bad += [spec.below, spec.below + 1] if spec.below is not None else []
        bad += [0.5, 2**63, -(2**63)] if spec.kind == "integer" else []
        wrong.append(st.sampled_from(bad))
        if spec.many:
            good = spec.default if isinstance(spec.default, list) else [spec.default]
            wrong.append(st.sampled_from(bad).map(lambda value: [*good, value]))
    elif spec.kind == "choice":
        wrong.append(
            st.text(max_size=8).filter(lambda t: t not in spec.choices) | st.integers() | st.booleans()
        )
    elif spec.kind == "expression":
        wrong.append(st.integers() | st.just("W"))
        wrong.append(bad_expressions(spec.variables).map(lambda e: [f"{spec.variables[0]}^2", e]))
    elif spec.kind == "flag":
        wrong.append(st.integers() | st.text(max_size=5))
    else:
        wrong.append(st.integers() | st.booleans())
    if not spec.many:
        wrong.append(st.lists(st.integers(), max_size=2))
    elif spec.least:
        wrong.append(st.just([]))
    return st.one_of(wrong)


def bad_expressions(variables: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Texts that are no expression in these variables."""
    name = variables[0]
    spoiled = st.sampled_from([
        "", " ", f"{name} +", f"({name}", f"{name})", f"{name} {name}", f"2{name}!", "__import__('os')", f"{name}.real",
        f"{name}[0]", f"lambda: {name}", f"{name} if 1 else 2", "exp()", f"exp({name}, {name})", "unknown(1)", "nope",
        f"{name} == 1", f"{name}; {name}", f"{name}\n{name}", f"'{name}'", "1e999999", "1..2", f"{name} @ {name}", "0x",
        f"{name}" + "+1" * 3000, "(" * 500 + name + ")" * 500, f"f'{name}'", f"exp(x={name})", f"*{name}", "\0", "π²²",
    ])  # fmt: skip
    garbage = st.text(st.sampled_from("()[]{}#$@!?;:,'\"\\ \t\n=<>&|~`"), min_size=1, max_size=12)
    return spoiled | garbage


@st.composite
def wrong_parameter(draw: st.DrawFn) -> Mutation:
    experiment, document = draw(bases())
    name, spec = draw(st.sampled_from(list(experiment.params.specs().items())))
    document["params"][name] = draw(wrong_values(spec))
    return tomli_w.dumps(document), f"params.{name}"


@st.composite
def wrong_axis(draw: st.DrawFn) -> Mutation:
    experiment, document = draw(bases())
    name, spec = draw(st.sampled_from(list(experiment.params.specs().items())))
    number = st.sampled_from([math.nan, math.inf, "a", True, 10**400, [1]])
    axis = draw(
        st.one_of(
            wrong_values(spec).map(lambda v: [v]),
            st.integers() | st.booleans() | st.text(max_size=3) | st.just([]) | st.just({}),
            number.map(lambda v: {"from": v, "to": 1.0, "num": 3}),
            number.map(lambda v: {"from": 1.0, "to": v, "num": 3}),
            st.sampled_from([0, -1, 1.5, 10**7, 10**400, "3"]).map(
                lambda n: {"from": 0.5, "to": 0.6, "num": n}
            ),
            st.just({"from": -1.0, "to": 1.0, "num": 3, "log": True}),
        )
    )
    document["sweep"] = {name: axis}
    return tomli_w.dumps(document), f"sweep.{name}"


@st.composite
def wrong_head(draw: st.DrawFn) -> Mutation:
    _, document = draw(bases())
    texts: st.SearchStrategy[Any] = st.integers() | st.booleans() | st.sampled_from([[], {}, math.nan])
    key, values = draw(
        st.sampled_from([
            ("scenario", texts | st.text(max_size=5)), ("experiment", texts | st.text(max_size=5)), ("title", texts),
            ("description", texts),
            ("device", texts | st.sampled_from(["", "gpu", "cuda:", "cuda:-1", "CPU", "cuda:1 "])),
            ("size", texts | st.sampled_from(["", "huge", "Laptop"])),
            ("seed", st.sampled_from([-1, 2**63, 1.0, "1", True, math.nan, 10**400, [], {}])),
            ("params", st.integers() | st.text(max_size=3) | st.just([])),
            ("sweep", st.integers() | st.text(max_size=3) | st.just([])),
            ("expect", st.integers() | st.text(max_size=3) | st.just({}) | st.just([1])),
        ])
    )  # fmt: skip
    document[key] = draw(values)
    return tomli_w.dumps(document), key


@st.composite
def wrong_expectation(draw: st.DrawFn) -> Mutation:
    experiment, document = draw(bases(with_findings=True))
    good = {"finding": experiment.findings[0], "value": 1.0}
    numbers = st.sampled_from(["1", True, 10**400, [], {}])
    key, values = draw(
        st.sampled_from([
            ("finding", st.integers() | st.text(max_size=5).filter(lambda t: t not in experiment.findings)),
            ("value", numbers), ("claimed", numbers),
            ("tolerance", numbers | st.sampled_from([-1.0, math.nan, math.inf])),
            ("relative", numbers | st.sampled_from([-1.0, math.nan, math.inf])),
            ("verdict", st.integers() | st.text(max_size=5).filter(lambda t: t not in VERDICTS)),
            ("source", st.integers() | st.just([])), ("claim", st.integers()), ("note", st.booleans()),
            ("index", st.integers() | st.just([1.5]) | st.just(["a"])),
            ("at", st.integers() | st.just([]) | st.just({"nothing": 1})),
            ("array", st.just("both")), ("min", st.just(0.0)),
        ])
    )  # fmt: skip
    document["expect"] = [good, good | {key: draw(values)}]
    return tomli_w.dumps(document), "expect[1]" if key in ("array", "min") else f"expect[1].{key}"


@st.composite
def broken_toml(draw: st.DrawFn) -> Mutation:
    _, document = draw(bases())
    text = tomli_w.dumps(document)
    lines = text.splitlines()
    at = draw(st.integers(0, len(lines)))
    line = draw(
        st.sampled_from([
            "= 1", "[", "]", "a = ", 'a = "open', "a = 'open", "a = [1, 2", "a = {b = 1", "a b = 1", "[a", "[[a]",
            "a = 1e",
            "a = 0123", "a = \\", "a = 1\0", "\x01", "a = '''", 'a = """', "a = 2020-13-01", "a = " + "[" * 3000,
            "a = " + "9" * 5000, "{" * 100, "z.z = 1\nz.z.z = 2", "k = 1\nk = 2", 'a = "\\ud800"', 'a = "\\q"',
            'scenario = "again"\nscenario = "again"',
        ])
    )  # fmt: skip
    return "\n".join([*lines[:at], line, *lines[at:]]), "TOML"


@st.composite
def not_text(draw: st.DrawFn) -> Mutation:
    _, document = draw(bases())
    data = tomli_w.dumps(document).encode()
    at = draw(st.integers(0, len(data)))
    junk = draw(st.sampled_from([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x80", b"\xfe\xff"]))
    return data[:at] + junk + data[at:], "file"


MUTATIONS = {
    "misspelt": misspelt(),
    "wrong parameter": wrong_parameter(),
    "wrong axis": wrong_axis(),
    "wrong head": wrong_head(),
    "wrong expectation": wrong_expectation(),
    "broken TOML": broken_toml(),
    "not text": not_text(),
}


@pytest.mark.hypothesis  # so that make test-slow, where the examples are many, finds it
@pytest.mark.parametrize(
    ("kind", "many"),
    [
        ("misspelt", 300), ("wrong parameter", 800), ("wrong axis", 400), ("wrong head", 200),
        ("wrong expectation", 200), ("broken TOML", 200), ("not text", 50),
    ],
)  # fmt: skip
def test_a_spoiled_file_is_refused_with_its_key(kind: str, many: int, runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "spoiled.toml"

    @settings(max_examples=examples(many), suppress_health_check=list(HealthCheck))
    @given(MUTATIONS[kind])
    def check(mutation: Mutation) -> None:
        content, key = mutation
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code, out, err = run(["--batch", str(path), "--json"])
        check_refusal(code, out, err, key, runs)
        assert str(path) in err

    check()


@settings(max_examples=examples(200), suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "arbitrary.toml"
    path.write_bytes(content)
    store = folder / "never"
    code, out, err = run(["--batch", str(path), "--out", str(store)])
    check_refusal(code, out, err, "arbitrary.toml cannot be used", store)


def test_a_wrong_expression_is_quoted_with_the_place_marked(runs: Path, write: Callable[..., Path]) -> None:
    path = write('scenario = "toy-sgd"\nexperiment = "escape"\n[params]\nlosses = ["W^2", "exp(W) + sin(V)"]')
    code, out, err = run(["--batch", str(path)])
    check_refusal(code, out, err, "params.losses[1]", runs)
    quoted, marks = err.splitlines()[-2:]
    assert quoted.strip() == "exp(W) + sin(V)"
    assert quoted[marks.index("^")] == "V"


def test_one_bad_file_keeps_all_of_them_from_running(runs: Path, write: Callable[..., Path]) -> None:
    good, bad, worse = (
        write(DROP, "a.toml"),
        write(DROP + "[params]\nhight = 1", "b.toml"),
        write("x", "c.toml"),
    )
    code, out, err = run(["--batch", str(good), str(bad), str(worse)])
    check_refusal(code, out, err, "params.hight", runs)
    assert "c.toml cannot be used" in err
    assert "a.toml" not in err


PROCESS_CASES: dict[str, tuple[str | bytes | None, list[str], str]] = {
    "missing file": (None, [], "cannot be read"),
    "directory": (b"", ["--batch", "."], "cannot be read"),
    "empty": ("", [], "scenario"),
    "invalid UTF-8": (b"\xff\xfe", [], "UTF-8"),
    "NUL": (DROP.encode() + b"\0", [], "TOML"),
    "too large": (b"#" * 10_000_001, [], "10 MB"),
    "deep": ("a = " + "[" * 10_000, [], "TOML"),
    "duplicate": (DROP + 'experiment = "drop"', [], "TOML"),
    "unknown scenario": (DROP.replace("ball", "bal"), [], "Did you mean"),
    "unknown experiment": (DROP.replace("drop", "drip"), [], "Did you mean"),
    "huge number": (DROP + "[params]\nheight = 1" + "0" * 400, [], "params.height"),
    "nan": (DROP + "[params]\nheight = nan", [], "params.height"),
    "rule": (SCATTER + "[params]\nrestitution_range = [0.9, 0.1]", [], "params.restitution_range"),
    "expectation": (DROP + "[[expect]]\nvalue = 1", [], "expect[0]"),
    "set": (DROP, ["--set", "params.height=no"], "params.height"),
    "set without value": (DROP, ["--set", "params.height"], "--set"),
    "set bytes": (DROP, ["--set", "title=\udcff"], "--set"),
    "unknown option": (DROP, ["--jsn"], "--jsn"),
    "threads": (DROP, ["--threads", "0"], "--threads"),
    "several sweeps": (DROP + "[sweep]\nheight = {from = 1, to = 2, num = 1000001}", [], "sweep.height.num"),
}


@pytest.mark.parametrize("name", PROCESS_CASES)
def test_the_real_command_refuses_it_too(name: str, cli: Cli, runs: Path, tmp_path: Path) -> None:
    content, words, key = PROCESS_CASES[name]
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = cli("--batch", path, "--json", *(w for w in words if w != "--batch"))
    check_refusal(done.returncode, done.stdout, done.stderr, key, runs)
