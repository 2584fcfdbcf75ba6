"""activations: each setting is what localize says of it, and settings are combined or paired as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tui_opt.experiments.ocr_localization import activations, localize
from tui_opt.experiments.ocr_localization.params import ActivationsParams, LocalizeParams
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context

SMALL: dict[str, Any] = {"hidden": 12, "seeds": 2, "epochs": 1}


def run(**params: Any) -> Result:
    return activations.compute(ActivationsParams.check({**SMALL, **params}), Context("activations"))


@pytest.fixture(scope="module")
def paired() -> Result:
    settings = {
        "activation": ["relu", "sigmoid"],
        "output": ["linear", "sigmoid"],
        "learning_rate": [0.03, 0.1],
    }
    return run(combine="paired", **settings)


def test_a_setting_is_what_localize_says_of_it(paired: Result) -> None:
    alone = localize.compute(
        LocalizeParams.check({**SMALL, "activation": "sigmoid", "output": "sigmoid", "learning_rate": 0.1}),
        Context("activations"),
    )
    table = paired.tables["activations"]
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert (row["activation"], row["output"], row["learning_rate"]) == ("sigmoid", "sigmoid", 0.1)
    for name in ("r_weights", "r_biases", "r_within_pixel", "r_unit_shuffle", "loss_phase_one"):
        assert row[name] == pytest.approx(alone.findings[name].value, abs=1e-12)
        assert paired.arrays[name].values[1] == row[name]
    assert paired.arrays["r_weights_stderr"].values[1] == pytest.approx(
        alone.findings["r_weights"].stderr or 0
    )


def test_every_combination_or_pairs() -> None:
    three = {"activation": ["relu", "tanh"], "output": ["linear"], "learning_rate": [0.01, 0.02, 0.03]}
    assert len(ActivationsParams.check(three).settings) == 6
    with pytest.raises(ParameterErrors, match="lists of one length, but activation has 2, output has 1"):
        ActivationsParams.check({**three, "combine": "paired"})
    with pytest.raises(ParameterErrors, match="activation: gives a setting twice"):
        ActivationsParams.check({**three, "activation": ["relu", "relu"]})
    with pytest.raises(ParameterErrors, match="learning_rate: gives a setting twice"):
        ActivationsParams.check({**three, "learning_rate": [0.01, 0.01]})


def test_settings_that_diverge_are_in_the_table_and_not_in_the_means() -> None:
    result = run(activation=["relu", "tanh"], output=["linear"], learning_rate=[40.0])
    rows = [
        dict(zip(result.tables["activations"].columns, r, strict=True))
        for r in result.tables["activations"].rows
    ]
    assert [row["learnt"] for row in rows] == [False, False]
    assert result.findings["learnt"].value == 0
    assert np.isnan(result.findings["r_biases_relu_like"].value)
    assert "No setting" in result.findings["r_biases_other"].text


def test_a_setting_has_learnt_though_its_first_images_are_counted() -> None:
    result = run(
        activation=["softplus"], output=["linear"], learning_rate=[0.05], hidden=100, epochs=2, seeds=1, tally="full",
    )  # fmt: skip
    assert result.arrays["loss_phase_one"].values[0] > 0.25
    assert result.findings["learnt"].value == 1


def test_settings_whose_training_ran_away_are_named() -> None:
    result = run(activation=["relu"], output=["linear"], learning_rate=[0.03, 1.5], tally="full", seeds=3)
    assert np.isfinite(result.arrays["loss_phase_one"].values).all()
    assert result.findings["ran_away"].value == 1
    assert "ran away with relu-linear at 1.5:" in result.warnings[0]
    assert "Lower their learning_rate" in result.warnings[0]
    assert "ran_away" not in run(activation=["relu"], output=["linear"], learning_rate=[0.03]).findings


def test_one_unit_cannot_be_compared_with_others() -> None:
    result = run(hidden=1, epochs=5, activation=["leaky-relu"], output=["linear"], learning_rate=[0.2])
    assert result.findings["learnt"].value == 1
    assert np.isfinite(result.findings["r2_weights_relu_like"].value)
    for name in ("r_unit_shuffle", "r_within_pixel", "r_biases"):
        assert np.isnan(result.findings[f"{name}_relu_like"].value), name
        assert "two hidden units or more, and there is one" in result.findings[f"{name}_relu_like"].text
    assert np.isnan(result.arrays["null_within_pixel"].values).all()


#: mean over some 200 networks of 100 units on MNIST, and the standard deviation between networks. Of a sigmoid's r over
#: all weights there are two samples, with 0.021 and 0.024, and the larger one stands here.
SCATTER = {
    "relu": {
        "r_weights": (0.209, 0.026),
        "r_within_pixel": (0.187, 0.030),
        "r_biases": (0.351, 0.081),
    },
    "sigmoid": {
        "r_weights": (0.520, 0.024),
        "r_unit_shuffle": (0.518, 0.024),
        "r_biases": (-0.01, 0.11),
    },
}
#: the same of what permuted units lose of a sigmoid network's correlation: it varies less than either part of it.
LOST_TO_PERMUTATIONS = 0.0023, 0.0021


@pytest.mark.slow
def test_the_pooled_correlation_is_larger_for_a_sigmoid_and_what_units_keep_for_a_relu() -> None:
    """The refined form of the source's claim, on its own data set where it is there.

    The mean of n networks that scatter by s about a population's mean has the standard error s / sqrt(n), and lies
    within three of those all but once in four hundred times: for a sigmoid's r over all weights and five networks
    3 x 0.024 / sqrt(5) = 0.032.
    """
    from tui_opt.datasets import load
    from tui_opt.errors import DataError

    try:
        load("mnist")
    except DataError as error:
        pytest.skip(str(error))
    params = {
        "activation": ["relu", "sigmoid"],
        "output": ["linear", "sigmoid"],
        "learning_rate": [0.01, 0.001],
    }
    networks = 5
    whole = {"hidden": 100, "seeds": networks, "combine": "paired", "dataset": "mnist"}
    result = activations.compute(
        ActivationsParams.check({**params, **whole}), Context("activations", threads=2)
    )
    r = {name: array.values for name, array in result.arrays.items()}

    def near(mean: float, spread: float) -> Any:
        return pytest.approx(mean, abs=3 * spread / np.sqrt(networks))

    for place, activation in enumerate(params["activation"]):
        for name, (mean, spread) in SCATTER[str(activation)].items():
            assert r[name][place] == near(mean, spread), (activation, name)
    assert r["r_weights"][1] - r["r_unit_shuffle"][1] == near(*LOST_TO_PERMUTATIONS)
