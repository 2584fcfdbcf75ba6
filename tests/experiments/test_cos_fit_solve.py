"""solve finds the parameters wherever they are to be found, says how well, and warns where they are not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.samples import load_samples
from tui_opt.experiments.cos_fit.solve import compute
from tui_opt.experiments.cos_fit.solve_params import FINDINGS, SolveParams
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context

PAIRS = [("normal", 5.0), ("uniform", 10.0), ("normal", 50.0), ("normal", 500.0)]


def run(seed: int = 0, threads: int = 1, **given: object) -> Result:
    return compute(SolveParams.check(given), Context("cos-fit/solve", seed=seed, threads=threads))


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def warned(result: Result, words: str) -> bool:
    return any(words in sentence for sentence in result.warnings)


def write(path: Path, **columns: object) -> str:
    rows = zip(*columns.values(), strict=True)
    path.write_text(
        "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]), encoding="utf-8"
    )
    return str(path)


# --- it finds them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("distribution", "scale"), PAIRS)
def test_without_noise_the_parameters_are_exact(distribution, scale):
    result = run(x_distribution=distribution, x_scale=scale, samples=3000)
    assert value(result, "a") == pytest.approx(0.583, rel=1e-12)
    assert value(result, "b") == pytest.approx(0.112, rel=1e-9)
    assert value(result, "success_rate") == 1.0
    assert math.isnan(value(result, "cramer_rao_ratio"))


@pytest.mark.parametrize(("distribution", "scale"), PAIRS)
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_with_noise_they_are_within_their_errors(distribution, scale, noise):
    result = run(x_distribution=distribution, x_scale=scale, noise=noise, samples=3000)
    for name, truth in (("a", 0.583), ("b", 0.112)):
        finding = result.findings[name]
        assert abs(finding.value - truth) < 4.5 * finding.stderr
    assert value(result, "cramer_rao_ratio") == pytest.approx(1.0, abs=0.1)
    assert not result.warnings


def test_the_error_bars_are_those_of_scipy():
    result = run(noise=0.3, samples=2000, x_scale=20.0)
    samples = load_samples(SolveParams.check({"noise": 0.3, "samples": 2000, "x_scale": 20.0}), Context("x"))
    x1, x2 = samples.columns["x1"], samples.columns["x2"]
    values, matrix = scipy.optimize.curve_fit(
        lambda x, a, b: np.cos(a * x[0]) + np.exp(b * x[1]), np.stack([x1, x2]), samples.y, p0=(0.583, 0.112),
        ftol=1e-15, xtol=1e-15, gtol=1e-15,
    )  # fmt: skip
    for k, name in enumerate(("a", "b")):
        assert value(result, name) == pytest.approx(values[k], rel=1e-6)
        assert result.findings[name].stderr == pytest.approx(math.sqrt(matrix[k, k]), rel=1e-3)


def test_the_bound_is_the_closed_form():
    """sigma / sqrt(sum x^2 sin^2 bx): the two parameters stand in different columns, so their terms hardly mix."""
    params = {"noise": 0.5, "samples": 5000}
    samples = load_samples(SolveParams.check({**params, "model": "cos"}), Context("x"))
    x1 = samples.columns["x1"]
    bound = 0.5 / math.sqrt(np.sum(x1**2 * np.sin(0.583 * x1) ** 2))
    rows = {row[0]: row for row in run(**params, model="cos").tables["parameters"].rows}
    assert rows["a"][5] == pytest.approx(bound, rel=1e-10)
    both = {row[0]: row for row in run(**params).tables["parameters"].rows}
    assert both["a"][5] == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize(
    ("model", "truth", "given"),
    [
        ("cos", {"a": 0.583}, {}),
        ("exp", {"b": 0.112}, {}),
        ("exp+exp", {"a": 0.583, "b": 0.112}, {"x_distribution": "uniform", "x_scale": 10.0}),
        ("exp+exp", {"a": 0.583, "b": 0.112}, {}),
        ("sqrt+exp", {"a": 0.583, "b": 0.112}, {"x_distribution": "uniform", "x_scale": 10.0}),
        ("A*cos(a*x1+p)+exp(b*x2)", {"A": 2.0, "a": 0.583, "p": 0.3, "b": 0.112}, {}),
        ("A*cos(a*x1)+B*sin(a*x1)+C", {"A": 1.0, "a": 0.583, "B": -0.5, "C": 2.0}, {}),
        ("A*exp(-g*x1)*cos(a*x1+p)+C", {"A": 2.0, "g": 0.2, "a": 0.583, "p": 0.3, "C": 1.0},
         {"x_distribution": "uniform", "x_scale": 20.0}),
        ("A*cos(a*x1)+B*cos(c*x1)+C", {"A": 2.0, "a": 0.583, "B": 1.0, "c": 1.7, "C": 1.0}, {}),
        ("A*sin(2*pi*f*(x1-d))", {"A": 1.0, "f": 0.3, "d": 0.4}, {}),
        ("sin(a*x1) + exp(b*x2)", {"a": -0.583, "b": 0.112}, {"frequency": -0.583}),
        ("cos(a*x1)^2", {"a": 0.583}, {}),
        ("A*x1^p+C", {"A": 1.0, "p": 1.5, "C": 0.4}, {"x_distribution": "uniform"}),
        ("A*x1+B*x2+C", {"A": 1.0, "B": -2.0, "C": 0.4}, {}),
    ],
)  # fmt: skip
def test_models_of_every_kind(model, truth, given):
    unnamed = {n: v for n, v in truth.items() if n not in ("a", "b")}
    extra = {"true_values": unnamed} if "*" in model else {}
    result = run(model=model, noise=0.05, samples=1500, **extra, **given)
    for name, expected in truth.items():
        finding = result.findings[name]
        assert abs(finding.value - expected) < 5 * finding.stderr, finding
    assert value(result, "success_rate") == 1.0
    assert value(result, "residual_sd") == pytest.approx(0.05, rel=0.1)


def test_two_frequencies_in_one_argument_are_scanned_together():
    result = run(model="cos(a*x1+c*x2)", true_values={"c": -1.7}, x2_scale=5.0, noise=0.1, samples=1500)
    assert value(result, "a") == pytest.approx(0.583, abs=5 * result.findings["a"].stderr)
    assert value(result, "c") == pytest.approx(-1.7, abs=5 * result.findings["c"].stderr)
    assert "scan-a-c" in [figure.name for figure in result.figures]


# --- the choice of method -------------------------------------------------------------------------------------------


def test_both_methods_end_in_the_same_place_and_say_what_they_did():
    scan = run(noise=0.1, samples=2000, x_scale=50.0)
    annealed = run(noise=0.1, samples=2000, x_scale=50.0, method="annealing")
    assert "frequency scan over a, then Gauss-Newton" in scan.findings["a"].text
    assert "range annealing" in annealed.findings["a"].text
    assert value(annealed, "a") == pytest.approx(value(scan, "a"), abs=1e-8)


def test_annealing_is_chosen_where_the_data_do_not_say_how_far_to_scan(tmp_path):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 3000), rng.normal(0, 1, 20) * 1e7])
    y = np.cos(0.583 * x) + 0.05 * rng.normal(size=x.size)
    result = run(data=write(tmp_path / "d.csv", x1=x, y=y), model="cos")
    assert "range annealing: the spacing of the data" in result.findings["a"].text
    assert value(result, "a") == pytest.approx(0.583, abs=5 * result.findings["a"].stderr)


def test_a_range_that_is_asked_for_is_searched():
    result = run(samples=500, frequency_max=2.0)
    assert value(result, "frequency_max") == 2.0
    assert "up to 2, as asked" in result.findings["a"].text
    beyond = run(samples=500, frequency_max=0.4, noise=0.01, x_scale=50.0)
    assert value(beyond, "success_rate") == 0.0
    with pytest.raises(ExperimentError, match="Give a smaller frequency_max"):
        run(samples=50, frequency_max=1e9)


def test_the_objective_is_given_with_its_minimum():
    result = run(samples=800, noise=0.1)
    frequencies, loss = (result.arrays[n].values for n in ("scan_a", "scan_loss_a"))
    assert abs(frequencies[np.argmin(loss)] - 0.583) <= value(result, "grid_step")
    assert {f.name for f in result.figures} == {
        "fit-x1",
        "fit-x2",
        "scan-a",
        "scan-a-close",
        "residuals",
        "errors",
    }
    rule = next(f for f in result.figures if f.name == "scan-a").layers[1]
    assert rule.value == value(result, "a")


# --- what to beware of ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, 12])
def test_few_samples_are_enough_where_they_determine_the_parameters(n):
    result = run(samples=n, seeds=3)
    assert value(result, "success_rate") == 1.0


def test_fewer_rows_than_parameters_are_a_sentence():
    with pytest.raises(ExperimentError, match=r"1 rows cannot determine 2 parameters \(a, b\)"):
        run(samples=1)
    assert value(run(model="cos", samples=1), "a") == pytest.approx(0.583)
    two = run(samples=2)
    assert warned(two, "as many rows as parameters")
    assert math.isnan(two.findings["a"].stderr)


def test_an_error_beyond_the_grid_is_a_warning():
    result = run(samples=40, noise=5.0)
    assert value(result, "bound_over_grid") > 1
    assert warned(result, "do not tell one minimum from the next")
    assert "bound_over_grid" not in run(samples=4000, noise=0.1).findings


def test_noise_alone_shows_no_oscillation():
    result = run(samples=60, noise=30.0)
    assert warned(result, "Another minimum fits nearly as well")
    assert warned(result, "do not show an oscillation of a")
    assert value(result, "oscillation_gain") < 20 < value(run(samples=200, noise=0.5), "oscillation_gain")


def test_an_oscillation_beyond_the_range_is_not_taken_for_another():
    result = run(samples=500, x_scale=1e9)
    assert value(result, "success_rate") == 0.0
    assert warned(result, "do not show an oscillation of a in the range that was scanned")


@pytest.mark.parametrize("given", [{"growth": -20.0}, {"x2_scale": 100.0}, {"growth": 5.0, "x_scale": 500.0}])
def test_a_small_oscillation_beside_a_large_term_is_found(given):
    """The exponential is up to 10^8 times larger than the wave."""
    result = run(samples=2000, noise=0.1, **given)
    assert value(result, "a") == pytest.approx(0.583, abs=4.5 * result.findings["a"].stderr)
    assert value(result, "success_rate") == 1.0


def test_a_phase_far_from_0_is_told_from_the_frequency(tmp_path):
    x = 1e6 + np.random.default_rng(0).normal(0, 1, 60)
    y = 2 * np.cos(0.583 * x + 0.4) + 1
    result = run(data=write(tmp_path / "d.csv", x1=x, y=y), model="A*cos(a*x1+p)+C")
    assert value(result, "a") == pytest.approx(0.583, abs=1e-9)
    assert value(result, "A") == pytest.approx(2.0, abs=1e-8)
    assert -math.pi <= value(result, "p") <= math.pi
    assert not result.warnings


def test_values_whose_squares_are_no_numbers_are_a_sentence():
    with pytest.raises(ExperimentError, match="Give y in other units"):
        run(model="exp+exp", x_scale=500.0, samples=1000)


def test_equally_spaced_data_have_aliases(tmp_path):
    x = np.arange(200) * 0.5
    y = 2 * np.cos(0.583 * x + 0.3) + 0.1 * np.random.default_rng(0).normal(size=200)
    result = run(data=write(tmp_path / "d.csv", t=x, y=y), model="y = A*cos(w*t + p)")
    assert value(result, "w") == pytest.approx(0.583, abs=5 * result.findings["w"].stderr)
    assert value(result, "alias_frequency") == pytest.approx(4 * math.pi - value(result, "w"))
    assert warned(result, "cannot be told from")
    # ... and the alias fits exactly as well:
    alias, phase = value(result, "alias_frequency"), value(result, "p")
    fitted = value(result, "A") * np.cos(value(result, "w") * x + phase)
    np.testing.assert_allclose(value(result, "A") * np.cos(alias * x - phase), fitted, atol=1e-9)


def test_parameters_that_cannot_be_told_apart_are_named():
    result = run(model="A*B*cos(a*x1)", true_values={"A": 1.0, "B": 2.0}, samples=200, noise=0.1)
    assert warned(result, "do not determine A, B")
    assert math.isinf(result.findings["A"].stderr)
    assert value(result, "a") == pytest.approx(0.583, abs=5 * result.findings["a"].stderr)


def test_rows_with_missing_values_are_counted(tmp_path):
    x = np.random.default_rng(0).normal(0, 5, 300)
    y = [str(v) for v in np.cos(0.583 * x)]
    y[5] = y[17] = ""
    result = run(data=write(tmp_path / "d.csv", x1=x, y=y), model="cos")
    assert value(result, "samples_dropped") == 2
    assert value(result, "samples_used") == 298
    assert warned(result, "2 of 300 rows")
    assert value(result, "a") == pytest.approx(0.583, rel=1e-12)


def test_a_model_without_a_value_is_a_sentence(tmp_path):
    path = write(tmp_path / "d.csv", x1=[-1.0, -2.0, -3.0], y=[1.0, 2.0, 4.0])
    with pytest.raises(ExperimentError, match="no finite value at any start"):
        run(data=path, model="y = sqrt(x1 - a*a)")


def test_a_frequency_of_a_constant_is_a_sentence(tmp_path):
    path = write(tmp_path / "d.csv", x1=[1.0, 2.0, 3.0], y=[1.0, 2.0, 4.0])
    with pytest.raises(ExperimentError, match="the same in every row"):
        run(data=path, model="y = cos(a*(x1 - x1 + 2))")


# --- data of one's own ------------------------------------------------------------------------------------------


def test_error_bars_of_own_data_are_compared_with_robust_ones(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(0, 5, 3000)
    even = np.cos(0.583 * x) + 0.1 * rng.normal(size=x.size)
    uneven = np.cos(0.583 * x) + 0.05 * np.abs(x) * rng.normal(size=x.size)
    plain = run(data=write(tmp_path / "even.csv", x1=x, y=even), model="cos")
    assert value(plain, "cramer_rao_ratio") == pytest.approx(1.0, abs=0.1)
    rough = run(data=write(tmp_path / "uneven.csv", x1=x, y=uneven), model="cos")
    # The errors are largest where x is large, which is where the frequency is read off: ratio^2 = <x^4>/<x^2>^2 = 3.
    assert value(rough, "cramer_rao_ratio") == pytest.approx(math.sqrt(3.0), rel=0.1)
    assert "success_rate" not in rough.findings


def test_the_data_are_named_with_their_checksum(tmp_path):
    import hashlib

    path = write(tmp_path / "d.csv", x1=np.arange(9) ** 1.1, y=np.arange(9) % 4)
    result = run(data=path, model="A*cos(a*x1)")
    row = dict(zip(result.tables["data"].columns, result.tables["data"].rows[0], strict=True))
    assert row["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert (row["source"], row["rows"], row["model"]) == (path, 9, "y = A*cos(a*x1)")


def test_names_of_findings_and_repetitions_of_files_are_refused():
    with pytest.raises(ParameterErrors, match="is the name of a finding"):
        SolveParams.check({"model": "seconds*cos(a*x1)", "true_values": {"seconds": 1.0}})
    with pytest.raises(ParameterErrors, match="must be 1 for data from a file"):
        SolveParams.check({"data": "d.csv", "seeds": 3})


def test_every_finding_is_reserved():
    results = [run(samples=200, noise=0.1), run(samples=200, noise=0.1, seeds=2), run(samples=20, noise=9.0)]
    found = {name for r in results for name in r.findings} - {"a", "b"}
    assert found <= set(FINDINGS)


# --- repetitions ------------------------------------------------------------------------------------------------


def test_repetitions_do_not_depend_on_threads():
    one, two = (run(seed=5, samples=300, noise=0.3, seeds=6, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one.arrays["estimates"].values, two.arrays["estimates"].values)
    values = one.arrays["estimates"].values[:, 0]
    assert value(one, "a") == pytest.approx(values.mean())
    assert one.findings["a"].stderr == pytest.approx(values.std(ddof=1) / math.sqrt(6))


def test_the_spread_is_the_bound():
    result = run(samples=300, noise=0.5, seeds=25)
    finding = result.findings["cramer_rao_ratio"]
    assert finding.stderr == pytest.approx(1 / math.sqrt(50), rel=0.5)
    assert abs(finding.value - 1) < 4 * finding.stderr
    assert value(result, "variance_ratio") == pytest.approx(finding.value**2)


@pytest.mark.slow
@pytest.mark.parametrize(("distribution", "scale"), PAIRS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_every_one_of_200_seeds_is_solved(distribution, scale, noise):
    result = run(x_distribution=distribution, x_scale=scale, noise=noise, seeds=200, threads=2)
    assert value(result, "success_rate") == 1.0


@pytest.mark.slow
def test_the_variance_is_the_bound_s_within_ten_percent_over_2000_seeds():
    result = run(noise=1.0, samples=1000, seeds=2000, threads=2)
    assert value(result, "success_rate") == 1.0
    assert value(result, "variance_ratio") == pytest.approx(1.0, abs=0.1)
