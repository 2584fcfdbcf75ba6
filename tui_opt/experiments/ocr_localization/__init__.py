"""ocr-localization: where in a small network the knowledge of a digit is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
    from tui_opt.experiments.ocr_localization.match_params import InfluenceParams, MatchUnitsParams
    from tui_opt.experiments.ocr_localization.params import ActivationsParams, LessonParams, LocalizeParams

_HERE = "tui_opt.experiments.ocr_localization"
#: a GPU is taken where it is asked for: most runs are over before one has begun to compute.
_DEVICES = ("cpu", "cuda")


def missing_data(p: LessonParams) -> str:
    """Whether the data set is here."""
    from tui_opt.datasets import missing

    return missing(p.dataset)


def _localize(p: LocalizeParams) -> Estimate:
    from tui_opt.experiments.ocr_localization import costs

    networks = p.seeds + costs.untrained(p.seeds)
    kept = 8 * p.seeds + 2 * (networks - p.seeds) + 2 * (len(p.group_a) + len(p.group_b))
    return Estimate(
        costs.localize_seconds(p, networks), costs.PROGRAM + round(costs.localize_bytes(p, networks, kept))
    )


def _activations(p: ActivationsParams) -> Estimate:
    from tui_opt.experiments.ocr_localization import costs

    networks = p.seeds * len(p.settings)
    bytes_ = costs.PROGRAM + round(costs.localize_bytes(p, networks, 0)) + 200 * networks
    return Estimate(costs.localize_seconds(p, networks), bytes_)


def _intervene(p: InterveneParams) -> Estimate:
    from tui_opt.experiments.ocr_localization import costs

    return Estimate(costs.intervene_seconds(p), costs.PROGRAM + round(costs.intervene_bytes(p)))


def _match_units(p: MatchUnitsParams) -> Estimate:
    from tui_opt.experiments.ocr_localization import costs

    return Estimate(costs.match_units_seconds(p), costs.PROGRAM + round(costs.match_units_bytes(p)))


def _influence(p: InfluenceParams) -> Estimate:
    from tui_opt.experiments.ocr_localization import costs

    return Estimate(costs.influence_seconds(p), costs.PROGRAM + round(costs.influence_bytes(p)))


LOCALIZE = Experiment(
    name="localize",
    title="Do parameters change most with what updated them most?",
    summary="Update shares against change shares of a small network's weights and biases, with every control.",
    params=later(f"{_HERE}.params:LocalizeParams"),
    compute=f"{_HERE}.localize:compute",
    estimate=_localize,
    missing=missing_data,
    findings=(
        "r_weights",
        "r2_weights",
        "r_biases",
        "r2_biases",
        "r_within_pixel",
        "r_unit_shuffle",
        "r_cross_seed",
        "r_data_only",
        "r_pixel_shuffle",
        "r_placebo",
        "r_placebo_within",
        "r_placebo_biases",
        "r_weights_untrained",
        "r_within_untrained",
        "r_biases_untrained",
        "null_within_pixel",
        "z_within_pixel",
        "loss_phase_one",
        "finite_fraction",
        "no_update",
        "no_change",
        "border_error",
    ),
    arrays=(
        "seed",
        "update_share_weights",
        "change_share_weights",
        "update_share_biases",
        "change_share_biases",
        "pixel_correlation",
        "tally_biases",
        "tally_weights",
        "digit",
        "row",
        "col",
    ),
    devices=_DEVICES,
    headline=("r_weights", "r_unit_shuffle", "r_within_pixel", "r_biases"),
    warm={"seeds": 1, "epochs": 1},
)

_KINDS = ("relu_like", "other")

ACTIVATIONS = Experiment(
    name="activations",
    title="Does it only work for ReLU-like activations?",
    summary="localize for many activations, outputs and learning rates: what pixels explain, and what units do.",
    params=later(f"{_HERE}.params:ActivationsParams"),
    compute=f"{_HERE}.activations:compute",
    estimate=_activations,
    missing=missing_data,
    findings=(
        *(f"r2_weights_{kind}" for kind in _KINDS),
        *(f"r_unit_shuffle_{kind}" for kind in _KINDS),
        *(f"r_within_pixel_{kind}" for kind in _KINDS),
        *(f"r_biases_{kind}" for kind in _KINDS),
        "learnt",
    ),
    arrays=(
        "learning_rate",
        "r_weights",
        "r_unit_shuffle",
        "r_within_pixel",
        "null_within_pixel",
        "r_biases",
        "r_placebo_biases",
        "loss_phase_one",
        "finite_fraction",
    ),
    devices=_DEVICES,
    headline=("r2_weights_relu_like", "r2_weights_other", "r_biases_relu_like", "r_biases_other"),
    warm={"seeds": 1, "epochs": 1, "activation": ["relu"], "output": ["linear"], "learning_rate": [0.01]},
)

_LEVELS = ("", "_units", "_pixels")

INTERVENE = Experiment(
    name="intervene",
    title="Does a local change in the data change the parameters locally?",
    summary="Networks trained on changed data against as much of a random change, and what final parameters depend on.",
    params=later(f"{_HERE}.intervene_params:InterveneParams"),
    compute=f"{_HERE}.intervene:compute",
    estimate=_intervene,
    missing=missing_data,
    findings=(
        *(f"participation_ratio{level}{suffix}" for level in _LEVELS for suffix in ("", "_control")),
        "locality",
        "change_size",
        "change_size_control",
        "variance_share_data",
        "variance_share_init",
        "variance_share_both",
        "movement_share_data",
        "movement_share_init",
        "movement_share_both",
        "diverged",
    ),
    arrays=("change", "change_control", "pixel_change", "pixel_change_control", "row", "col"),
    devices=_DEVICES,
    headline=(
        "participation_ratio",
        "participation_ratio_control",
        "variance_share_data",
        "variance_share_init",
    ),
    warm={"seeds": 2, "epochs": 1, "resamples": 2},
)

MATCH_UNITS = Experiment(
    name="match-units",
    title="Can units that do the same be found by their updates?",
    summary="Hidden units of two networks matched by what updated them, against random, untrained and ideal matching.",
    params=later(f"{_HERE}.match_params:MatchUnitsParams"),
    compute=f"{_HERE}.match_units:compute",
    estimate=_match_units,
    missing=missing_data,
    findings=(
        "match_score",
        "match_score_untrained",
        "match_score_random",
        "match_score_oracle",
        "gain",
        "signature_agreement",
        "signature_agreement_untrained",
    ),
    arrays=("likeness", "match_score_by_seed", "match_score_untrained_by_seed"),
    devices=_DEVICES,
    headline=("match_score", "match_score_untrained", "match_score_random", "match_score_oracle"),
    warm={"seeds": 1, "epochs": 1},
)

INFLUENCE = Experiment(
    name="influence",
    title="Which digits help which, and do tallies agree?",
    summary="TracIn between the digits learnt and new ones, and its shares against those of tallies, unit by unit.",
    params=later(f"{_HERE}.match_params:InfluenceParams"),
    compute=f"{_HERE}.influence:compute",
    estimate=_influence,
    missing=missing_data,
    findings=(
        "tracin_own",
        "tracin_same_group",
        "tracin_other_group",
        "tally_tracin_correlation",
        "diverged",
    ),
    arrays=("tracin", "tally_share", "tracin_share"),
    headline=("tracin_same_group", "tracin_other_group", "tally_tracin_correlation"),
    warm={"seeds": 1, "epochs": 1},
)

SCENARIO = Scenario(
    name="ocr-localization",
    title="Where a network keeps what it learnt",
    experiments=(LOCALIZE, ACTIVATIONS, INTERVENE, MATCH_UNITS, INFLUENCE),
)
