"""How a fit ended, in sentences: found, on its way, behind a ridge, diverged, or out of the numbers, and why."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.cos_fit.fit_answer import Answer
from tui_opt.experiments.cos_fit.samples import FloatArray
from tui_opt.kernels.fitting.ending import hessian, ridge_between, time_constants, where_lost
from tui_opt.kernels.fitting.minibatch import Fit, Update, losses_and_gradients
from tui_opt.result import Result

GROWN = 10.0
"""A loss that is so many times that of the start has diverged."""


def add_ending(
    result: Result, fit: Fit, path: FloatArray, target: FloatArray, update: Update, answer: Answer
) -> None:
    """Add `converged` with the reason, what the step size means at the minimum, and a warning where it went wrong.

    Args:
        result: to add to.
        fit: model and samples of the first repetition.
        path: [steps + 1, parameters].
        target: [parameters], where the loss is least.
        update: the rule, for minibatch descents.
        answer: the rest.
    """
    names = answer.samples.model.parameters
    curvatures = _add_curvatures(result, fit, target, update, answer)
    kind, sentence = _ending(fit, path, target, update, answer, curvatures)
    share = float(np.mean(answer.reached))
    repeated = len(answer.reached) > 1
    stderr = math.sqrt(share * (1 - share) / len(answer.reached)) if repeated else None
    where = " and ".join(f"{n} = {v:.6g}" for n, v in zip(names, target, strict=True))
    what = (
        f"share of {len(answer.reached)} repetitions that end within {answer.params.tolerance:g} of the minimum"
        if repeated
        else f"1 if every parameter ends within {answer.params.tolerance:g} of the minimum at {where}"
    )
    result.add_finding("converged", share, f"{what}. {sentence}", stderr=stderr)
    for k, name in enumerate(names):
        text = f"distance of {name} at the end from the minimum, first repetition"
        result.add_finding(f"error_{name}", float(path[-1, k] - target[k]), text)
        known = path[np.isfinite(path[:, k]), k]
        for which, value in (("least", float(known.min())), ("most", float(known.max()))):
            result.add_finding(f"{which}_{name}", value, f"{which} {name} on the way, first repetition")
    if kind != "found":
        result.warn(sentence)


def _add_curvatures(
    result: Result, fit: Fit, target: FloatArray, update: Update, answer: Answer
) -> FloatArray:
    """Curvatures of the loss at its minimum and what they mean for the step size; NaN where there is none."""
    names = answer.samples.model.parameters
    if not np.isfinite(target).all():
        return np.full(target.size, np.nan)
    found = hessian(fit, target)
    curvatures = np.diag(found).copy()
    for name, value in zip(names, curvatures, strict=True):
        result.add_finding(
            f"curvature_{name}", float(value), f"second derivative of the loss by {name} at the minimum"
        )
    eigenvalues = np.linalg.eigvalsh(found) if np.isfinite(found).all() else np.full(target.size, np.nan)
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    if target.size > 1:
        text = "largest over smallest curvature at the minimum"
        result.add_finding("condition_number", most / least if least > 0 else math.inf, text)
    if not answer.stochastic or update.rule == "adam":
        return curvatures
    limit = 2.0 * (1.0 + _momentum(update)) / most if most > 0 else math.inf
    text = "largest learning rate with which descent settles at the minimum, 2 over the largest curvature"
    result.add_finding("stable_learning_rate", limit, text)
    momentum = update.momentum if update.rule == "momentum" else 0.0
    for name, value in zip(names, time_constants(curvatures, update.learning_rate, momentum), strict=True):
        text = f"updates in which the distance of {name} to the minimum falls by a factor e, near it"
        result.add_finding(f"time_constant_{name}", float(value), text, unit="steps")
    return curvatures


def _ending(
    fit: Fit, path: FloatArray, target: FloatArray, update: Update, answer: Answer, curvatures: FloatArray
) -> tuple[str, str]:
    """The kind of the ending of the first repetition, and a sentence."""
    lost = where_lost(fit, path)
    if lost is not None:
        return "lost", _lost_sentence(fit, path, update, answer)
    end = path[-1]
    loss = losses_and_gradients(fit, np.array([path[0], end]))[0]
    names = answer.samples.model.parameters
    place = ", ".join(f"{n} = {v:.6g}" for n, v in zip(names, end, strict=True))
    if not np.isfinite(target).all():
        return "unknown", f"It ends at {place}; where the loss is least is not known."
    if answer.reached[0]:
        return "found", f"It ends at the minimum, {place}."
    if loss[1] > GROWN * loss[0] or not np.isfinite(loss[1]):
        grew = f"It diverged: the loss grew from {loss[0]:.3g} to {loss[1]:.3g} at {place}. "
        return "diverged", grew + _too_large(fit, path, update, answer)
    ridge = ridge_between(fit, end, target)
    if ridge is not None:
        at = ", ".join(f"{n} = {v:.6g}" for n, v in zip(names, ridge.place, strict=True))
        between = f"A ridge at {at} stands between it and the minimum, so no small steps lead there."
        if answer.stochastic and _overshoot(fit, path[0], update) > 1.0:
            thrown = f"It was thrown to {place}, where the loss is {loss[1]:.3g}. "
            return "thrown", f"{thrown}{_too_large(fit, path, update, answer)} {between}"
        cure = "Begin inside the basin (loss-curve shows it), or let solve scan."
        return "ridge", f"It is stuck at {place} with a loss of {loss[1]:.3g}. {between} {cure}"
    return "slow", _slow_sentence(path, target, update, answer, curvatures, place, float(loss[1]))


def _lost_sentence(fit: Fit, path: FloatArray, update: Update, answer: Answer) -> str:
    lost = where_lost(fit, path)
    if lost is None:
        raise ValueError("The path has numbers everywhere.")
    names = answer.samples.model.parameters
    at = ", ".join(f"{n} = {v:.6g}" for n, v in zip(names, lost.last, strict=True))
    of = f"{answer.samples.count} samples"
    head = f"It left the numbers at update {lost.step}: at {at} "
    if lost.without_value:
        why = f"the model has no value for {lost.without_value} of {of} (such as the root of a negative number). "
        cure = "Write the parameter as exp(p), so that it cannot leave, or take smaller steps."
        return head + why + _too_large(fit, path, update, answer) + " " + cure
    if lost.overflowing:
        return (
            head
            + f"the model overflows for {lost.overflowing} of {of}. "
            + _too_large(fit, path, update, answer)
        )
    return head + "the gradient is no finite number. " + _too_large(fit, path, update, answer)


def _too_large(fit: Fit, path: FloatArray, update: Update, answer: Answer) -> str:
    """What the largest curvature on the way says about the step size."""
    if not answer.stochastic:
        return f"SciPy says: {answer.message}." if answer.message else "A line search went too far."
    finite = path[np.isfinite(path).all(axis=1)][: 1 + answer.per_epoch]
    steps = np.abs(np.diff(finite, axis=0)).max(axis=0) if len(finite) > 1 else np.abs(finite[0])
    names = answer.samples.model.parameters
    moved = ", ".join(f"{n} by {v:.3g}" for n, v in zip(names, steps, strict=True))
    largest_move = f"The largest update of the first epoch moved {moved}."
    if update.rule == "adam":
        return largest_move
    times = _overshoot(fit, path[0], update)
    if math.isinf(times):
        return f"At the start the loss has no finite curvature. {largest_move}"
    said = f"{times:.3g} times too large" if times > 1 else f"{times:.3g} of the largest that is stable"
    return (
        f"By the curvature at the start a learning rate of {update.learning_rate:g} is {said}. {largest_move}"
    )


def _overshoot(fit: Fit, place: FloatArray, update: Update) -> float:
    """The learning rate over the largest that is stable at a place; inf where there is no curvature to tell."""
    if update.rule == "adam":
        return 0.0
    found = hessian(fit, place)
    if not np.isfinite(found).all():
        return math.inf
    largest = float(np.linalg.eigvalsh(found)[-1])
    return update.learning_rate * largest / (2.0 * (1.0 + _momentum(update)))


def _momentum(update: Update) -> float:
    return update.momentum if update.rule == "momentum" else 0.0


def _slow_sentence(
    path: FloatArray,
    target: FloatArray,
    update: Update,
    answer: Answer,
    curvatures: FloatArray,
    place: str,
    loss: float,
) -> str:
    """It could still come: which parameter is behind, and how many updates it would take."""
    names = answer.samples.model.parameters
    away = np.abs(path[-1] - target)
    worst = int(np.argmax(away))
    head = (
        f"It is still on its way at {place} with a loss of {loss:.3g}: nothing stands between it and the minimum, but "
        f"{names[worst]} is {away[worst]:.3g} away"
    )
    if not answer.stochastic:
        return f"{head}. SciPy says: {answer.message}."
    if update.rule == "adam":
        steps = away[worst] / update.learning_rate
        return f"{head}; updates of about {update.learning_rate:g} each need at least {steps:.3g} more."
    constant = float(time_constants(curvatures, update.learning_rate, _momentum(update))[worst])
    if not math.isfinite(constant) or constant <= 0:
        return f"{head}; with this learning rate descent does not settle there."
    more = constant * math.log(max(away[worst] / answer.params.tolerance, 1.0))
    if more < 1:
        return f"{head}; batches of {answer.params.batch} samples keep it moving about."
    return (
        f"{head} and its distance falls by a factor e in {constant:.3g} updates: {more:.3g} more are needed. A larger "
        "learning rate, Adam or least-squares is faster."
    )
