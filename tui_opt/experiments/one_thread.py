"""Linear algebra on one thread while an experiment computes: networks are what several threads share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
Answer = TypeVar("Answer")


def linear_algebra_on_one_thread(compute: Callable[P, Answer]) -> Callable[P, Answer]:
    """A computation whose sums of BLAS are the same to the last digit however many threads there are.

    BLAS gives parts of a large sum to its threads, and how it is rounded depends on the parts. And where something
    else uses the cores, its threads wait for each other at every product, many times as long as they compute.
    """

    @wraps(compute)
    def on_one(*args: P.args, **kwargs: P.kwargs) -> Answer:
        with threadpool_limits(limits=1):
            return compute(*args, **kwargs)

    return on_one


class _Torch:
    """How many hold torch to one thread, and the threads it had before the first of them."""

    lock = threading.Lock()
    holders = 0
    before = 1


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """The same for torch, in this thread and those that are begun meanwhile; torch gets its threads back at the end.

    A limit on the pools of libraries does not hold it: torch is loaded late, and in every thread that first uses it it
    sets the number anew.
    """
    import torch  # after the decision that it is needed, which takes a second

    with _Torch.lock:
        if not _Torch.holders:
            _Torch.before = torch.get_num_threads()
        _Torch.holders += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Torch.lock:
            _Torch.holders -= 1
            torch.set_num_threads(1 if _Torch.holders else _Torch.before)
