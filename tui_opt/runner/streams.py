"""Random streams keyed by (seed, experiment, stream, block), never by the order in which they are asked for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def _digest(seed: int, experiment: str, stream: str, block: int) -> bytes:
    # Lengths stand before the texts, so that no two different keys are spelt alike.
    text = f"{seed}|{len(experiment)}:{experiment}|{len(stream)}:{stream}|{block}"
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"optexplore").digest()


def stream_key(seed: int, experiment: str, stream: str, block: int = 0) -> int:
    """A 64-bit key for a counter-based generator of a kernel."""
    return int.from_bytes(_digest(seed, experiment, stream, block)[:8], "little")


def generator(seed: int, experiment: str, stream: str, block: int = 0) -> np.random.Generator:
    """A NumPy generator (Philox) for a stream."""
    import numpy as np

    key = int.from_bytes(_digest(seed, experiment, stream, block), "little")
    return np.random.Generator(np.random.Philox(key=key))
