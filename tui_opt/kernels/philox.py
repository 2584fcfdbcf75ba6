"""Philox4x32-10: random bits as a pure function of a counter and a key.

A draw depends on nothing but its counter (which walker, which block of steps) and key (which experiment),
so results do not depend on how work is cut into chunks or spread over threads, and any step of any
walker can be replayed alone. Written on 64-bit lanes that hold 32-bit words, which vectorises as it stands.

Reference: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
Proceedings of SC11, 2011, section 3.3 and table 2.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from tui_opt.kernels.lanes import lane

_MULTIPLIER_0: Final = np.uint64(0xD2511F53)
_MULTIPLIER_1: Final = np.uint64(0xCD9E8D57)
_WEYL_0: Final = np.uint64(0x9E3779B9)
_WEYL_1: Final = np.uint64(0xBB67AE85)
_LOW: Final = np.uint64(0xFFFFFFFF)
_WORD: Final = np.uint64(32)
_ROUNDS: Final = 10


def stream_key(seed: int, experiment: str, stream: str) -> int:
    """A 64-bit key for one stream of one experiment.

    Args:
        seed: any integer.
        experiment, stream: names; the same names and seed give the same key on every machine.

    Returns: an integer in [0, 2^64).
    """
    content = "\x00".join((str(int(seed)), experiment, stream))
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "little")


@lane
def philox(counter_low: np.uint64, counter_high: np.uint64, key: np.uint64) -> tuple[np.uint64, np.uint64]:
    """128 random bits for a 128-bit counter and a 64-bit key, as (low, high) 64-bit halves."""
    c0 = counter_low & _LOW
    c1 = counter_low >> _WORD
    c2 = counter_high & _LOW
    c3 = counter_high >> _WORD
    k0 = key & _LOW
    k1 = key >> _WORD
    for _ in range(_ROUNDS):
        product_0 = _MULTIPLIER_0 * c0
        product_1 = _MULTIPLIER_1 * c2
        c0 = (product_1 >> _WORD) ^ c1 ^ k0
        c1 = product_1 & _LOW
        c2 = (product_0 >> _WORD) ^ c3 ^ k1
        c3 = product_0 & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0 | (c1 << _WORD), c2 | (c3 << _WORD)
