"""Paths of low loss between networks: nudged elastic bands, strings, and pivots that see what lies between them.

A band's images say little about the loss between them on a landscape full of kinks: maxima there are 1.6 to 2 times
those at images, however long it is relaxed. `minimax` moves its pivots by gradients taken between them, at one place of
every segment drawn anew in each step, weighted by (E / Emax)^p, so that what is highest moves most; with p growing it
lowers the path's maximum itself. Paths begin by pulling one end towards the other along the floor of the landscape.

Everything is done for many paths at once, [path, image, parameter], in single precision. Losses and gradients come from
outside, for any number of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked

SingleArray: TypeAlias = NDArray[np.float32]
Slope: TypeAlias = Callable[[SingleArray], tuple[SingleArray, SingleArray]]
"""Networks [network, parameter] to losses [network] and gradients [network, parameter]."""


def unreported(images: int) -> None:
    """The report of a caller that does not count."""


TINY: Final = np.float32(1e-30)


@dataclass(frozen=True)
class Stage:
    """One stage of `minimax`.

    Args:
        pivots: number of pivots, ends included.
        steps: Adam steps.
        power: p of the weights.
        rate: learning rate at the beginning; it decays by a factor of 50.
    """

    pivots: int
    steps: int
    power: float
    rate: float


STAGES: Final = (
    Stage(64, 2000, 16.0, 3e-3),
    Stage(64, 3000, 64.0, 1e-3),
    Stage(128, 3000, 64.0, 1e-3),
    Stage(128, 2000, 200.0, 3e-4),
)
DECAY: Final = 0.02
EVERY: Final = 50
"""Steps between two times that pivots are spread evenly again."""


@numba.njit(
    "void(float32[::1], float32[::1], float32[::1], float32[::1], float32, float32, float32)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def adam_step(
    place: SingleArray,
    first: SingleArray,
    second: SingleArray,
    slope: SingleArray,
    rate: float,
    correction: float,
    least: float,
) -> None:
    """A step of Adam with decays 0.9 and 0.99, in place, in one pass (Kingma and Ba 2015, algorithm 1).

    Args:
        place: what is moved, [n].
        first, second: the averages of slopes and of their squares, [n].
        slope: [n].
        rate: the learning rate over the correction of the first average.
        correction: of the second average.
        least: added to the root.
    """
    keep, new = np.float32(0.9), np.float32(1.0 - 0.9)
    keep2, new2 = np.float32(0.99), np.float32(1.0 - 0.99)
    for i in range(place.size):
        first[i] = keep * first[i] + new * slope[i]
        second[i] = keep2 * second[i] + new2 * (slope[i] * slope[i])
        place[i] -= rate * first[i] / (math.sqrt(second[i] / correction) + least)


def evaluated(slope: Slope, networks: SingleArray) -> tuple[SingleArray, SingleArray]:
    """Losses [...] and gradients [..., parameter] of networks of any shape."""
    flat = np.ascontiguousarray(networks.reshape(-1, networks.shape[-1]))
    losses, gradients = slope(flat)
    return losses.reshape(networks.shape[:-1]), gradients.reshape(networks.shape)


def lengths(paths: SingleArray) -> NDArray[np.float64]:
    """Distance along each path from its beginning to every image, [path, image]."""
    steps = np.sqrt(np.square(np.diff(paths.astype(np.float64), axis=1)).sum(axis=2))
    return np.concatenate([np.zeros((len(paths), 1)), np.cumsum(steps, axis=1)], axis=1)


def spread(paths: SingleArray, images: int) -> SingleArray:
    """The same paths with so many images, evenly far apart along them; ends stay."""
    along = lengths(paths)
    out = np.empty((len(paths), images, paths.shape[2]), dtype=np.float32)
    for path, s, new in zip(paths, along, out, strict=True):
        wanted = np.linspace(0.0, s[-1], images)
        place = np.clip(np.searchsorted(s, wanted, side="right") - 1, 0, len(s) - 2)
        width = np.maximum(s[place + 1] - s[place], np.finfo(float).tiny)
        t = np.asarray(np.clip((wanted - s[place]) / width, 0.0, 1.0)[:, None], dtype=np.float32)
        new[:] = (1 - t) * path[place] + t * path[place + 1]
        new[0], new[-1] = path[0], path[-1]
    return out


def straight(starts: SingleArray, ends: SingleArray, images: int) -> SingleArray:
    """Straight lines from each start to its end, [path, image, parameter]."""
    t = np.linspace(0.0, 1.0, images, dtype=np.float32)[None, :, None]
    return np.asarray((1 - t) * starts[:, None] + t * ends[:, None], dtype=np.float32)


def pulled(
    starts: SingleArray,
    ends: SingleArray,
    slope: Slope,
    *,
    rounds: int = 200,
    steps: int = 100,
    rate: float = 2e-3,
    check: Check = lambda: None,
    report: Callable[[], None] = unchecked,
) -> SingleArray:
    """Pull every start to its end: the distance shrinks in rounds, and on each sphere the loss is descended.

    Args:
        starts: [path, parameter].
        ends: [path, parameter].
        slope: losses and gradients.
        rounds: spheres between start and end.
        steps: Adam steps along each sphere.
        rate: their learning rate.
        check: called in every step.
        report: called after every step.

    Returns: where they were on each sphere, with both ends, [path, round + 1, parameter].
    """
    w, first, second = starts.copy(), np.zeros_like(starts), np.zeros_like(starts)
    radius = np.sqrt(np.square(starts - ends).sum(axis=1, keepdims=True))
    path, taken = [starts.copy()], 0
    for number in range(1, rounds):
        r = radius * np.float32(1.0 - number / rounds)
        w = _on_sphere(w, ends, r)
        for i in range(steps):
            check()
            _, gradient = slope(np.ascontiguousarray(w))
            gradient = _tangential(gradient, _direction(w - ends))
            taken += 1
            now = rate * (0.05 + 0.95 * (1.0 - i / steps)) / (1.0 - 0.9**taken)
            _moved(w, first, second, gradient, now, 1.0 - 0.99**taken, 1e-6)
            w = _on_sphere(w, ends, r)
            report()
        path.append(w.copy())
    return np.stack([*path, ends], axis=1).astype(np.float32)


def minimax(
    paths: SingleArray,
    slope: Slope,
    rng: np.random.Generator,
    *,
    stages: Sequence[Stage] = STAGES,
    check: Check = lambda: None,
    report: Callable[[int], None] = unreported,
) -> SingleArray:
    """Lower the largest loss along paths, ends fixed.

    Args:
        paths: [path, image, parameter].
        slope: losses and gradients.
        rng: draws the places between pivots.
        stages: how many pivots, steps and powers.
        check: called in every step.
        report: called after every step, with the images of a path.
    """
    for stage in stages:
        paths = spread(paths, stage.pivots)
        first, second = np.zeros_like(paths), np.zeros_like(paths)
        for step in range(stage.steps):
            check()
            move = paths[:, 1:] - paths[:, :-1]
            t = rng.random((*move.shape[:2], 1), dtype=np.float32)
            losses, gradient = evaluated(slope, paths[:, :-1] + t * move)
            weight = (losses / losses.max(axis=1, keepdims=True)) ** np.float32(stage.power)
            gradient = gradient * weight[..., None]
            force = np.zeros_like(paths)
            force[:, :-1] += (1 - t) * gradient
            force[:, 1:] += t * gradient
            force[:, 0] = force[:, -1] = 0.0
            rate = stage.rate * DECAY ** (step / stage.steps) / (1.0 - 0.9 ** (step + 1))
            _moved(paths, first, second, force, rate, 1.0 - 0.99 ** (step + 1), 1e-5)
            if step % EVERY == EVERY - 1:
                paths = spread(paths, stage.pivots)
            report(stage.pivots)
    return paths


def string(
    paths: SingleArray,
    slope: Slope,
    steps: int,
    *,
    rate: float = 1e-3,
    momentum: float = 0.9,
    most_force: float = 5.0,
    every: int = 20,
    check: Check = lambda: None,
    report: Callable[[int], None] = unreported,
) -> SingleArray:
    """The string method: images descend across the path and are spread evenly again.

    E, Ren, Vanden-Eijnden (2007), Simplified and improved string method, with momentum and a bound on the force.
    """
    paths, velocity = paths.copy(), np.zeros_like(paths[:, 1:-1])
    for step in range(steps):
        check()
        _, gradient = evaluated(slope, paths)
        tangent = _direction(paths[:, 2:] - paths[:, :-2])
        velocity = np.float32(momentum) * velocity + np.float32(rate) * _bounded(
            -_tangential(gradient[:, 1:-1], tangent), most_force
        )
        paths[:, 1:-1] += velocity
        if step % every == every - 1:
            paths = spread(paths, paths.shape[1])
        report(paths.shape[1])
    return paths


def nudged_elastic_band(
    paths: SingleArray,
    slope: Slope,
    steps: int,
    *,
    spring: float = 1.0,
    rate: float = 1e-3,
    momentum: float = 0.9,
    most_force: float = 5.0,
    climb_from: float = 0.5,
    check: Check = lambda: None,
    report: Callable[[int], None] = unreported,
) -> SingleArray:
    """Nudged elastic bands with upwinded tangents, and the highest image climbing in the second half.

    Jonsson, Mills, Jacobsen (1998); Henkelman and Jonsson (2000), Improved tangent estimate, eqs. 8-11; Henkelman,
    Uberuaga, Jonsson (2000), A climbing image nudged elastic band method, eq. 5.

    Args:
        paths: [path, image, parameter].
        slope: losses and gradients.
        steps: how many.
        spring: stiffness between images.
        rate: learning rate of the heavy ball.
        momentum: of the heavy ball.
        most_force: a longer force on an image is cut to this.
        climb_from: part of the steps after which the highest image climbs.
        check: called in every step.
        report: called after every step, with the images of a path.
    """
    paths, velocity = paths.copy(), np.zeros_like(paths[:, 1:-1])
    which = np.arange(len(paths))
    for step in range(steps):
        check()
        losses, gradient = evaluated(slope, paths)
        tangent = _upwinded(paths, losses)
        inner = gradient[:, 1:-1]
        ahead, behind = paths[:, 2:] - paths[:, 1:-1], paths[:, 1:-1] - paths[:, :-2]
        pull = np.sqrt(np.square(ahead).sum(axis=2)) - np.sqrt(np.square(behind).sum(axis=2))
        force = -_tangential(inner, tangent) + np.float32(spring) * pull[..., None] * tangent
        if step >= climb_from * steps:
            top = np.argmax(losses[:, 1:-1], axis=1)
            uphill = (inner[which, top] * tangent[which, top]).sum(axis=1, keepdims=True)
            force[which, top] = -inner[which, top] + 2 * uphill * tangent[which, top]
        velocity = np.float32(momentum) * velocity + np.float32(rate) * _bounded(force, most_force)
        paths[:, 1:-1] += velocity
        report(paths.shape[1])
    return paths


def _upwinded(paths: SingleArray, losses: SingleArray) -> SingleArray:
    """Unit tangents at the inner images, towards the higher neighbour; weighted where the image is an extremum."""
    ahead, behind = paths[:, 2:] - paths[:, 1:-1], paths[:, 1:-1] - paths[:, :-2]
    here, after, before = losses[:, 1:-1], losses[:, 2:], losses[:, :-2]
    rising, falling = (after > here) & (here > before), (after < here) & (here < before)
    large = np.maximum(np.abs(after - here), np.abs(before - here))
    small = np.minimum(np.abs(after - here), np.abs(before - here))
    up = np.where(after > before, large, small)
    down = np.where(after > before, small, large)
    front = np.where(rising, 1.0, np.where(falling, 0.0, up)).astype(np.float32)[..., None]
    back = np.where(rising, 0.0, np.where(falling, 1.0, down)).astype(np.float32)[..., None]
    return _direction(front * ahead + back * behind)


def _moved(
    place: SingleArray,
    first: SingleArray,
    second: SingleArray,
    slope: SingleArray,
    rate: float,
    correction: float,
    least: float,
) -> None:
    """`adam_step` on arrays of any shape, the first three of which are contiguous."""
    slope = np.ascontiguousarray(slope, dtype=np.float32)
    adam_step(*(array.reshape(-1) for array in (place, first, second, slope)), rate, correction, least)


def _direction(vectors: SingleArray) -> SingleArray:
    return np.asarray(vectors / (np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True)) + TINY))


def _tangential(vectors: SingleArray, normal: SingleArray) -> SingleArray:
    """Vectors without their part along unit vectors."""
    return np.asarray(vectors - (vectors * normal).sum(axis=-1, keepdims=True) * normal)


def _bounded(force: SingleArray, most: float) -> SingleArray:
    size = np.sqrt(np.square(force).sum(axis=-1, keepdims=True))
    return np.asarray(force * np.minimum(1.0, np.float32(most) / np.maximum(size, TINY)))


def _on_sphere(w: SingleArray, centre: SingleArray, radius: SingleArray) -> SingleArray:
    return np.asarray(centre + radius * _direction(w - centre), dtype=np.float32)
