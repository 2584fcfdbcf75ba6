"""The samples of cos-fit: drawn as asked, or read from a file with a sentence for whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.params import SampleParams
from tui_opt.experiments.cos_fit.samples import load_samples
from tui_opt.problems import ParameterErrors
from tui_opt.runner.context import Context


def context(seed: int = 0) -> Context:
    return Context("cos-fit/solve", seed=seed)


def load(**given: object):
    return load_samples(SampleParams.check(given), context())


def problems(**given: object) -> str:
    with pytest.raises(ParameterErrors) as caught:
        SampleParams.check(given)
    return str(caught.value)


def complaint(tmp_path: Path, content: str, **given: object) -> str:
    path = tmp_path / "data.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ExperimentError) as caught:
        load(data=str(path), **given)
    return str(caught.value)


# --- drawn ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "formula"),
    [
        ("cos+exp", lambda x1, x2: np.cos(0.583 * x1) + np.exp(0.112 * x2)),
        ("cos", lambda x1, x2: np.cos(0.583 * x1)),
        ("exp", lambda x1, x2: np.exp(0.112 * x2)),
        ("exp+exp", lambda x1, x2: np.exp(0.583 * x1) + np.exp(0.112 * x2)),
        ("sqrt+exp", lambda x1, x2: np.sqrt(0.583 * x1) + np.exp(0.112 * x2)),
    ],
)
def test_the_named_models_are_what_their_names_say(model, formula):
    samples = load(model=model, x_distribution="uniform", x_scale=10.0, samples=50)
    x1 = samples.columns.get("x1", np.zeros(50))
    x2 = samples.columns.get("x2", np.zeros(50))
    np.testing.assert_allclose(samples.y, formula(x1, x2), rtol=1e-15)


def test_laws_of_the_columns():
    normal = load(x_scale=5.0, samples=40_000)
    x1, x2 = normal.columns["x1"], normal.columns["x2"]
    assert abs(x1.mean()) < 4 * 5 / 200
    assert abs(x1.std() - 5) < 4 * 5 / np.sqrt(2 * 40_000)
    assert (x2.min() >= -1, x2.max() < 1, abs(x2.mean()) < 4 / np.sqrt(3 * 40_000)) == (True, True, True)
    uniform = load(
        x_distribution="uniform", x_scale=10.0, x2_distribution="uniform", x2_scale=3.0, samples=9000
    )
    x1, x2 = uniform.columns["x1"], uniform.columns["x2"]
    assert (x1.min() >= 0, 9.9 < x1.max() < 10, x2.min() >= 0, 2.9 < x2.max() < 3) == (True,) * 4


def test_noise_is_added_to_the_same_columns():
    plain, noisy = load(samples=20_000), load(samples=20_000, noise=0.5)
    np.testing.assert_array_equal(plain.columns["x1"], noisy.columns["x1"])
    np.testing.assert_array_equal(noisy.clean, plain.y)
    noise = noisy.y - noisy.clean
    assert abs(noise.std() - 0.5) < 4 * 0.5 / np.sqrt(40_000)
    assert abs(np.corrcoef(noise, noisy.columns["x1"])[0, 1]) < 4 / np.sqrt(20_000)


def test_the_same_seed_has_the_same_samples_in_every_experiment_and_blocks_differ():
    params = SampleParams.check({"samples": 10})
    one = load_samples(params, Context("cos-fit/solve", seed=3))
    two = load_samples(params, Context("cos-fit/loss-curve", seed=3))
    other = load_samples(params, Context("cos-fit/solve", seed=3), block=1)
    np.testing.assert_array_equal(one.y, two.y)
    assert not np.array_equal(one.y, other.y)


def test_the_generator_of_a_script():
    rng = np.random.default_rng(1)
    expected = rng.normal(0, 5, 1000)
    samples = load_samples(SampleParams.check({"samples": 1000, "generator": "default_rng"}), context(1))
    np.testing.assert_array_equal(samples.columns["x1"], expected)
    np.testing.assert_array_equal(samples.columns["x2"], 2 * rng.random(1000) - 1)


def test_rows_without_a_value_are_left_out_and_counted():
    samples = load(model="sqrt+exp", samples=1000)
    assert samples.dropped == samples.rows - samples.count
    assert 400 < samples.dropped < 600  # half of a normal law is negative
    assert np.isfinite(samples.y).all()
    assert (samples.columns["x1"] >= 0).all()


def test_an_equation_of_ones_own():
    text = "y = A*cos(a*x1+p) + exp(b*x2)"
    samples = load(model=text, samples=20, true_values={"A": 2.0, "p": 0.3})
    assert samples.model.parameters == ("A", "a", "p", "b")
    x1, x2 = samples.columns["x1"], samples.columns["x2"]
    np.testing.assert_allclose(samples.y, 2 * np.cos(0.583 * x1 + 0.3) + np.exp(0.112 * x2), rtol=1e-15)
    right = load(model=text.removeprefix("y = "), samples=20, true_values={"A": 2.0, "p": 0.3})
    np.testing.assert_array_equal(samples.y, right.y)


def test_derivatives_of_a_model_are_those_of_differences():
    samples = load(model="A*cos(a*x1+p) + exp(b*x2)", samples=5, true_values={"A": 2.0, "p": 0.3})
    at, step = samples.truth, 1e-6
    _, *slopes = samples.model.values_and_slopes(samples.columns, at)
    for k, slope in enumerate(slopes):
        shift = step * np.eye(at.size)[k]
        up, down = (samples.model.values(samples.columns, at + s * shift) for s in (1, -1))
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def test_a_model_that_cannot_be_read_says_where():
    assert "The function 'sine' is not known" in problems(model="sine(a*x1)")
    assert "never closed" in problems(model="y = cos(a*x1")
    assert "left-hand side" in problems(model="2*y = cos(a*x1)")
    assert "Did you mean 'cos+exp'?" in problems(model="cos+expp")


def test_a_model_whose_names_do_not_fit_is_explained():
    assert "no column 'x3'" in problems(model="cos(a*x3)")
    assert "uses no column" in problems(model="cos(a)")
    assert "no parameter to fit" in problems(model="cos(x1)")
    assert "cannot stand on its right-hand side" in problems(model="y = a*y + x1")
    assert "the column that is drawn is called y, not z" in problems(model="z = cos(a*x1)")
    assert "give A = …" in problems(model="A*cos(a*x1)")
    assert "is no parameter of the model" in problems(model="cos(a*x1)", true_values={"q": 1.0})
    assert "does not occur in the model" in problems(model="cos(a*x1)", parameters=["a", "c"])
    assert "is a column" in problems(model="cos(a*x1)", parameters=["a", "x1"])
    assert "more than once" in problems(model="cos(a*x1)", parameters=["a", "a"])


def test_a_constant_is_a_constant_until_it_is_declared():
    samples = load(model="cos(a*x1) + e", samples=5)
    np.testing.assert_allclose(samples.y, np.cos(0.583 * samples.columns["x1"]) + np.e, rtol=1e-15)
    declared = load(model="cos(a*x1) + e", parameters=["a", "e"], true_values={"e": 1.0}, samples=5)
    assert declared.model.parameters == ("a", "e")


# --- from a file ----------------------------------------------------------------------------------------------------


def test_columns_are_found_by_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("# made by hand\n y ,note,x1\n1.0,first,0.5\n2.5,,1e-3\n3,last,-2\n", encoding="utf-8")
    samples = load(data=str(path), model="cos(a*x1)")
    np.testing.assert_array_equal(samples.columns["x1"], [0.5, 1e-3, -2])
    np.testing.assert_array_equal(samples.y, [1.0, 2.5, 3])
    assert (samples.truth, samples.rows, samples.dropped) == (None, 3, 0)
    import hashlib

    assert samples.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_missing_values_are_counted_and_their_rows_left_out(tmp_path, delimiter):
    lines = ["x1,y", "1,2", "2,", "NA,3", "3,nan", "4,inf", "5,6"]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines).replace(",", delimiter), encoding="utf-8")
    samples = load(data=str(path), model="cos(a*x1)")
    assert (samples.rows, samples.dropped) == (6, 4)
    np.testing.assert_array_equal(samples.columns["x1"], [1, 5])


def test_another_target_and_columns_of_any_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("time,\u00b5\n1,2\n2,4\n3,7\n", encoding="utf-8")
    assert load(data=str(path), model="\u00b5 = A*cos(w*time + p)").count == 3  # the sign for micro, and mu
    path.write_text("time,signal\n1,2\n2,4\n3,7\n", encoding="utf-8")
    samples = load(data=str(path), model="signal = A*cos(w*time + p)")
    assert samples.model.parameters == ("A", "w", "p")
    np.testing.assert_array_equal(samples.y, [2, 4, 7])


def test_what_is_wrong_with_a_file_is_a_sentence(tmp_path):
    def said(content: str, model: str = "cos(a*x1)", **given: object) -> str:
        return complaint(tmp_path, content, model=model, **given)

    assert "Line 3 of the data file" in said("x1,y\n1,2\nabc,3\n")
    assert "'abc' in the column 'x1'" in said("x1,y\n1,2\nabc,3\n")
    assert "Decimals are written with a point." in said("x1;y\n1,5;2\n")
    assert "Line 3" in said("x1,y\n1,2\n1,2,3\nabc,1\n")
    assert "has 3 fields where the names have 2" in said("x1,y\n1,2\n1,2,3\n")
    assert "no column 'x1'" in said("x,y\n1,2\n")
    assert "Did you mean 'target'?" in said("x1,target\n1,2\n", "targt = cos(a*x1)")
    assert "no column 'y'" in said("x1,z\n1,2\n2,3\n")
    assert "The column 'x1' of the data file data.csv is constant (1 in all 2 rows)" in said(
        "x1,y\n1,2\n1,3\n"
    )
    assert "The column 'y'" in said("x1,y\n1,2\n2,2\n")
    assert "'a' is a column of data.csv and also a parameter" in said("x1,a,y\n1,2,3\n2,1,1\n", "cos")
    assert "two columns named 'x1'" in said("x1,x1,y\n1,2,3\n")
    assert "no line with names" in said("1,2\n3,4\n")
    assert "is empty" in said("# nothing\n\n")
    assert "No row" in said("x1,y\n,2\n1,\n")
    assert "it has names only" in said("x1,y\n")
    assert "uses no column" not in said("x1,y\n1,2\n2,3\n", "cos(a*x3)")
    assert "no column 'x2'" in said("x1,y\n1,2\n2,3\n", "cos+exp")


def test_the_largest_numbers_of_a_file_are_read_without_overflow(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x1,y\n1.7e308,1\n-1.7e308,2\n")
    with np.errstate(all="raise"):
        assert load(data=str(path), model="cos(a*x1)").count == 2


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(ExperimentError, match=r"cannot be read: No such file"):
        load(data=str(tmp_path / "none.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(ExperimentError, match="not UTF-8"):
        load(data=str(tmp_path / "binary.csv"))
