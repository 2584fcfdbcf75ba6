"""Linear algebra on one thread while an experiment computes: networks are what several threads share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
Answer = TypeVar("Answer")


def linear_algebra_on_one_thread(compute: Callable[P, Answer]) -> Callable[P, Answer]:
    """A computation whose sums of BLAS are the same to the last digit however many threads there are.

    BLAS gives parts of a large sum to its threads, and how it is rounded depends on the parts.
    """

    @wraps(compute)
    def on_one(*args: P.args, **kwargs: P.kwargs) -> Answer:
        with threadpool_limits(limits=1):
            return compute(*args, **kwargs)

    return on_one
