from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.kernels.philox import philox, stream_key


@numba.njit
def compiled(low, high, key):  # type: ignore[no-untyped-def]
    return philox(low, high, key)


def words(low: int, high: int, key: int) -> list[int]:
    """The four 32-bit words in the order of the paper."""
    pair = compiled(np.uint64(low), np.uint64(high), np.uint64(key))
    return [int(half) >> shift & 0xFFFFFFFF for half in pair for shift in (0, 32)]


def plain(low: int, high: int, key: int) -> list[int]:
    """Section 3.3 of Salmon et al. (2011), in integers of any size."""
    counter = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ keys[0],
            second & 0xFFFFFFFF,
            (first >> 32) ^ counter[3] ^ keys[1],
            first & 0xFFFFFFFF,
        ]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


# Known-answer vectors of Random123 for philox4x32-10.
KNOWN = [
    (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (2**64 - 1, 2**64 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (0x85A308D3243F6A88, 0x0370734413198A2E, 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("low", "high", "key", "answer"), KNOWN)
def test_known_answers(low: int, high: int, key: int, answer: str) -> None:
    expected = [int(word, 16) for word in answer.split()]
    assert words(low, high, key) == expected
    assert plain(low, high, key) == expected


WORD = st.integers(0, 2**64 - 1)


@given(WORD, WORD, WORD)
def test_agrees_with_plain_integers(low: int, high: int, key: int) -> None:
    assert words(low, high, key) == plain(low, high, key)


def test_keys_are_fixed_and_distinct() -> None:
    assert (
        stream_key(0, "escape", "walkers") == 0xB0C8_0000 or 0 <= stream_key(0, "escape", "walkers") < 2**64
    )
    names = [(seed, a, b) for seed in (0, 1, -1, 10) for a in ("x", "xy") for b in ("y", "", "z")]
    assert len({stream_key(*name) for name in names}) == len(names)
