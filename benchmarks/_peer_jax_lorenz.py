"""Run by an environment of JAX: python _peer_jax_lorenz.py LANES STEPS ROUNDS.

Lorenz trajectories by RK4 with both tangents from jax.linearize, a held in every stage of the second, on one core.
Prints the processor's seconds of the fastest course, without compilation, and where the first trajectory ends, as JSON.
"""

import json
import os
import sys
import time

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
SIGMA, RHO, BETA, DT = 10.0, 28.0, 8 / 3, 0.01


def slope(w, of_a):
    a, b, c = of_a(w[0]), w[1], w[2]
    return jnp.stack([of_a(SIGMA * (b - a)), a * (RHO - c) - b, a * b - BETA * c])


def step(w, of_a=lambda a: a):
    k1 = slope(w, of_a)
    k2 = slope(w + 0.5 * DT * k1, of_a)
    k3 = slope(w + 0.5 * DT * k2, of_a)
    k4 = slope(w + DT * k3, of_a)
    return w + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def step_held(w):
    """The same step, in which nothing moves a."""
    return step(w, jax.lax.stop_gradient)


def once(_, carried):
    w, v, u = carried
    after, along = jax.linearize(step, w)
    _, along_held = jax.linearize(step_held, w)
    v, u = along(v), along_held(u)
    return after, v / jnp.abs(v).max(axis=0), u / jnp.abs(u).max(axis=0)


@jax.jit
def course(w, steps):
    change = jnp.zeros_like(w).at[1].set(1.0)
    return jax.lax.fori_loop(0, steps, once, (w, change, change))


def main(lanes: int, steps: int, rounds: int) -> None:
    start = jnp.ones((3, lanes))
    jax.block_until_ready(course(start, 1))
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        end = jax.block_until_ready(course(start, steps))
        best = min(best, time.process_time() - begin)
    print(
        json.dumps({"seconds": best, "version": jax.__version__, "state": [float(x) for x in end[0][:, 0]]})
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
