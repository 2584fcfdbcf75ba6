"""Range annealing: the rows next to 0, where a basin is wide, and then more of them while it narrows.

With the rows within X of 0 a basin is about 4/X wide. The rows next to 0 are solved by a scan of their own; each
further part moves the estimate well within the basin that the parts before have led to. Where the next rows lie so
much further out that their basin is narrower than the error of the estimate, the minima within that error are scanned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.ranges import MOST_CELLS_ASKED
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.search import CLEAR_LEAD, LEVELS, Search, Searcher
from tui_opt.experiments.cos_fit.structure import WaveTerm
from tui_opt.kernels.fitting.exponential_sums import Grid
from tui_opt.kernels.fitting.least_squares import Fit, covariance, fit

FloatArray = NDArray[np.float64]

FIRST_ROWS = 256
GROWTH = 1.5
WITHIN_BASIN = 0.5
"""Phase of half the outermost row, in radians, by which an estimate may be off for Gauss-Newton to start from it."""
SCANNED_ERRORS = 6.0
STEPS_PER_STAGE = 8


def anneal(searcher: Searcher, rows: Rows) -> Search:
    """Solve the rows next to 0, then add more, half as many again at a time."""
    order = _outwards(searcher, rows)
    count = min(rows.count, max(FIRST_ROWS, 8 * len(searcher.names)))
    while True:
        inner = rows.some(order[:count])
        search = searcher.search(inner)
        if search.lead > CLEAR_LEAD or count >= rows.count:
            break
        count = min(rows.count, 4 * count)
    found = _refined(searcher, inner, search.best)
    while count < rows.count:
        searcher.check()
        reach = searcher.longest(rows.some(order[:count]))
        before, count = count, min(rows.count, int(GROWTH * count) + 1)
        part = rows.some(order[:count]).thinned(LEVELS[0][1], searcher.rng)
        starts = _starts(searcher, part, found, min(before, LEVELS[0][1]), reach)
        reached = min((_refined(searcher, part, start) for start in starts), key=lambda f: f.error)
        if np.isfinite(reached.error):
            found = reached
            search.best, search.error = found.values, found.error / part.count
    return search


def _refined(searcher: Searcher, part: Rows, start: FloatArray) -> Fit:
    longest = searcher.longest(part)
    return fit(part, part.y, start, searcher.linear, longest=longest, most_steps=STEPS_PER_STAGE)


def _outwards(searcher: Searcher, rows: Rows) -> NDArray[np.int64]:
    """The rows in the order of how far out they lie, by the furthest of what the frequencies multiply."""
    distance = np.zeros(rows.count)
    for wave in searcher.structure.waves:
        for u in rows.evaluated(list(wave.slopes), {}):
            centred = u if wave.offset_known else u - np.median(u)
            # Scaled by the median, which a few far-out values do not move.
            distance = np.maximum(distance, np.abs(centred) / max(float(np.median(np.abs(centred))), 1e-300))
    return np.asarray(np.argsort(distance, kind="stable"), dtype=np.int64)


def _starts(searcher: Searcher, part: Rows, found: Fit, count: int, reach: FloatArray) -> list[FloatArray]:
    """The estimate, or the minima within its error where those are several."""
    variance = found.error / max(1, count - found.values.size)
    errors = np.sqrt(np.diag(covariance(found.root, variance)))
    starts = [found.values]
    for wave in searcher.structure.waves:
        k = searcher.names.index(wave.frequencies[0])
        # An estimate at 0 has no error of its own: a wave that is even does not say there how fast it turns.
        error = min(max(float(errors[k]), 1e-14 * abs(float(found.values[k]))), float(reach[k]))
        u = part.evaluated([wave.slopes[0]], {})[0]
        # The rms of a few far-out values among many others is nearer to the others than to them.
        width = 0.5 * float(np.abs(u if wave.offset_known else u - np.median(u)).max())
        if len(wave.frequencies) == 1 and np.isfinite(error) and error * width > WITHIN_BASIN:
            starts = [
                place
                for start in starts
                for place in _close_minima(searcher, part, wave, start, error, width)
            ]
    return starts


def _close_minima(
    searcher: Searcher, part: Rows, wave: WaveTerm, start: FloatArray, error: float, width: float
) -> list[FloatArray]:
    """The best frequencies within a few errors of a start."""
    k = searcher.names.index(wave.frequencies[0])
    step = 0.5 / width
    cells = int(min(np.ceil(2 * SCANNED_ERRORS * error / step), MOST_CELLS_ASKED)) + 1
    grid = Grid((float(start[k]) - 0.5 * step * (cells - 1),), (step,), (cells,))
    known = {
        name: float(start[searcher.names.index(name)])
        for other in searcher.structure.waves
        for name in other.frequencies
        if name not in wave.frequencies
    }
    _, places, _, _ = searcher.scan(part, wave, known, grid)
    out = []
    for place in places:
        moved = start.copy()
        moved[k] = place[0]
        out.append(moved)
    return out
