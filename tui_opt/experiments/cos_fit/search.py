"""The search for the parameters of a model: what to scan, what to start from, what to refine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.nuisance import linearised, nuisance_basis
from tui_opt.experiments.cos_fit.ranges import (
    MOST_CELLS,
    MOST_CELLS_ASKED,
    Range,
    grid_of,
    range_of,
)
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.starts import COARSE, combinations, phases_of, values_of
from tui_opt.experiments.cos_fit.structure import Structure, WaveTerm, names_in
from tui_opt.kernels.fitting.exponential_sums import Grid
from tui_opt.kernels.fitting.frequency_scan import Scan, Wave, candidates, scan
from tui_opt.kernels.fitting.least_squares import fit

FloatArray = NDArray[np.float64]
Method = Literal["auto", "scan", "annealing"]

OVERVIEW_ROWS = 1 << 18
"""Rows from which the range of the frequencies is taken."""
LEVELS = ((1 << 18, 20_000), (1 << 20, 1 << 18), (1 << 62, 1 << 62))
"""Rows that are scanned and rows on which candidates are refined; the next where the best does not stand out."""
START_ROWS = 1_000
KEPT_CANDIDATES = 6
KEPT_ON_FEW = 16
"""Candidates that are refined, and on few rows, where the scan tells them apart less well."""
FEW_ROWS = 100
KEPT_STARTS = 3
MOST_AMPLITUDES = 36
"""Values of what stands before an oscillation that are tried."""
ROUNDING = 1e-30
CLEAR_LEAD = 30.0
"""Difference of squared errors, in residual variances, from which two candidates count as told apart."""


@dataclass(frozen=True)
class Scanned:
    """A scan that was made."""

    wave: WaveTerm
    ranges: tuple[Range, ...]
    scan: Scan
    rows: int


@dataclass
class Search:
    """What was found on the way to an answer.

    Attributes:
        best: parameters.
        error: mean squared error there.
        lead: by how many residual variances the next best candidate is worse; infinite without one.
        runner_up: frequencies of that candidate, by name.
        scans: the scans that were made.
        starts: how many starts were tried.
        gain: by how many residual variances the oscillation that is scanned last improves the fit.
    """

    best: FloatArray
    error: float
    lead: float = np.inf
    runner_up: dict[str, float] = field(default_factory=dict)
    scans: list[Scanned] = field(default_factory=list)
    starts: int = 0
    gain: float = np.inf

    @property
    def chance(self) -> float:
        """The gain that the best of as many frequencies has in noise alone, with some room."""
        return 2.0 * math.log(max((s.scan.grid.size for s in self.scans), default=1)) + 10.0


def _by_error(entry: tuple[float, FloatArray]) -> tuple[float, int]:
    """Least error first; of equal ones that with more positive parameters."""
    error, values = entry
    return (float(f"{error:.8e}"), int((values < 0).sum()))


class Searcher:
    """The parts of a solution that share the model's structure."""

    def __init__(
        self,
        structure: Structure,
        rng: np.random.Generator,
        check: Callable[[], None],
        highest: float | None,
    ) -> None:
        self.structure = structure
        self.rng = rng
        self.check = check
        self.highest = highest
        self.names = tuple(structure.kinds)
        self._known_ranges: dict[tuple[tuple[str, ...], int], list[Range]] = {}
        self.linear = np.array([kind == "linear" for kind in structure.kinds.values()])

    # --- the choice -----------------------------------------------------------------------------------------

    def chosen(self, rows: Rows, method: Method) -> tuple[bool, str]:
        """Whether to anneal, and why."""
        waves = self.structure.waves
        others = self.structure.of_kind("other")
        if not waves:
            if not others:
                return False, "linear least squares: the model is linear in every parameter"
            return False, (
                f"Gauss-Newton from a grid of starts for {', '.join(others)}, linear parameters eliminated: "
                "nothing in the model oscillates"
            )
        names = ", ".join(n for wave in waves for n in wave.frequencies)
        if method == "annealing":
            return (
                True,
                f"range annealing, as asked: the rows next to 0 give {names} first, and more are added",
            )
        known = all(r.wide for wave in waves for r in self.ranges(rows, wave))
        if method == "auto" and not known:
            return True, (
                f"range annealing: the spacing of the data says too little of how large {names} may be; the rows next "
                "to 0 give it first, and more are added while the basin narrows"
            )
        why = (
            "as asked"
            if method == "scan"
            else "the data's spacing and extent say how far and how finely to look"
        )
        if self.highest is not None:
            why = f"up to {self.highest:g}, as asked"
        return False, f"frequency scan over {names}, then Gauss-Newton: {why}"

    def ranges(self, rows: Rows, wave: WaveTerm) -> list[Range]:
        """The frequencies to scan for a group."""
        key = (wave.frequencies, rows.count)
        if key in self._known_ranges:
            return self._known_ranges[key]
        slopes = rows.evaluated(list(wave.slopes), {})
        d = len(wave.frequencies)
        most = int(MOST_CELLS ** (1.0 / d))
        if d > 1:
            most //= 2
        found = [range_of(u, wave.offset_known, self.highest, most) for u in slopes]
        self._known_ranges[key] = found
        cells = int(np.prod([float(r.cells) for r in found]))
        if self.highest is not None and cells > MOST_CELLS_ASKED:
            raise ExperimentError(
                f"A scan up to {self.highest:g} takes {cells:,} frequencies for {', '.join(wave.frequencies)}, and at "
                f'most {MOST_CELLS_ASKED:,} are scanned. Give a smaller frequency_max, or method = "annealing".'
            )
        return found

    def longest(self, rows: Rows) -> FloatArray:
        """The longest Gauss-Newton step of each parameter: a frequency stays within its basin."""
        out = np.full(len(self.names), np.inf)
        for wave in self.structure.waves:
            for name, u in zip(wave.frequencies, rows.evaluated(list(wave.slopes), {}), strict=True):
                width = float(np.sqrt(np.mean(u * u))) if wave.offset_known else float(np.std(u))
                out[self.names.index(name)] = 1.0 / max(width, 1e-300)
        return out

    # --- scanning -------------------------------------------------------------------------------------------

    def search(self, rows: Rows) -> Search:
        """The best parameters on some of the rows, and on more of them where that leaves a doubt."""
        for scanned, refined in LEVELS:
            found = self._search(rows, scanned, refined)
            if rows.count <= refined or found.lead > CLEAR_LEAD or not self.structure.waves:
                break
        return found

    def _once_more(self, scanned: Rows, some: Rows, wave: WaveTerm, before: Search) -> Search:
        """Scan with the other terms linearised at the best parameters so far.

        Where those terms are many times larger than the wave, what a basis for any of their parameters leaves of them
        hides it.
        """
        others = {
            n: float(v) for n, v in zip(self.names, before.best, strict=True) if n not in wave.frequencies
        }
        rest, basis = linearised(scanned, self.structure, wave, others)
        if not np.isfinite(rest).all():
            return before
        found, places, losses, _ = self.scan(scanned, wave, others, beside=(rest, basis))
        kept = {n: v for n, v in others.items() if self.structure.kinds[n] in ("other", "frequency")}
        given = [{**kept, **dict(zip(wave.frequencies, map(float, place), strict=True))} for place in places]
        after = Search(before.best, np.inf, scans=[*before.scans[:-1], found], starts=before.starts)
        after = self.refined(some, given, list(losses), after, wave)
        return after if after.error < before.error else before

    def _search(self, rows: Rows, most_scanned: int, most_refined: int) -> Search:
        """Scan every group of frequencies in turn, each with the others that are known, and refine."""
        waves = self.structure.waves
        some = rows.thinned(most_refined, self.rng)
        search = Search(np.zeros(len(self.names)), np.inf)
        if not waves:
            return self.refined(some, [{}], [0.0], search)
        scanned = rows.thinned(most_scanned, self.rng)
        known: dict[str, float] = {}
        rounds = 1 if len(waves) == 1 else 2
        for again in range(rounds):
            for wave in waves:
                self.check()
                others = {n: v for n, v in known.items() if n not in wave.frequencies}
                found, places, losses, amplitudes = self.scan(scanned, wave, others)
                if again == 0:
                    search.scans.append(found)
                if again == rounds - 1 and wave is waves[-1]:
                    given = [
                        {**others, **dict(zip(wave.frequencies, map(float, place), strict=True)), **amplitude}
                        for place, amplitude in zip(places, amplitudes, strict=True)
                    ]
                    search = self.refined(some, given, list(losses), search, wave)
                    if search.gain < search.chance:
                        search = self._once_more(scanned, some, wave, search)
                    return search
                known |= dict(zip(wave.frequencies, map(float, places[0]), strict=True))
        raise AssertionError("the last group ends the search")

    def scan(
        self,
        rows: Rows,
        wave: WaveTerm,
        known: dict[str, float],
        grid: Grid | None = None,
        beside: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[Scanned, FloatArray, FloatArray, list[dict[str, float]]]:
        """One scan.

        Args:
            rows: the samples.
            wave: the oscillation.
            known: frequencies of others.
            grid: where to look closely, in place of everywhere.
            beside: the data and the basis of what else may explain them, where those are known better.

        Returns:
            The scan, the best frequencies [m, d], their losses [m], and what the amplitude was taken to be.
        """
        ranges = self.ranges(rows, wave)
        thorough = grid is not None
        grid = grid or grid_of(ranges, wave.even)
        y, basis = beside or (rows.y, nuisance_basis(rows, self.structure, wave, known, self.rng))
        unknown: Literal["nothing", "amplitude", "phase"] = (
            "phase" if not wave.offset_known else "nothing" if wave.amplitude_known else "amplitude"
        )
        inside = [n for n in names_in(wave.amplitude) if n in self.structure.of_kind("other")]
        choices = [values_of(n, self.structure, rows, COARSE) for n in inside]
        kept = KEPT_ON_FEW if rows.count <= FEW_ROWS else KEPT_CANDIDATES
        best: Scan | None = None
        gathered: list[tuple[float, FloatArray, dict[str, float]]] = []
        for combination in list(combinations(choices, self.rng))[:MOST_AMPLITUDES]:
            self.check()
            given = dict(zip(inside, combination, strict=True))
            table = rows.evaluated([*wave.slopes, wave.amplitude, wave.offset], given)
            with np.errstate(all="ignore"):
                z = table[-2] * np.exp(1j * table[-1])
            if not np.isfinite(z).all() or not np.isfinite((z * z.conj()).real.sum()) or not z.any():
                continue
            found = scan(y, basis, Wave(table[:-2], z, unknown), grid, thorough)
            places, losses = candidates(found, kept)
            gathered += [(float(e), place, given) for place, e in zip(places, losses, strict=True)]
            if best is None:
                best = found
            else:
                best = Scan(grid, np.minimum(best.loss, found.loss), best.exact and found.exact, best.without)
        if best is None:
            raise ExperimentError(
                f"The factor before the oscillation of {', '.join(wave.frequencies)} is not finite in some row. "
                "Look at the data, or write the model so that it has a value everywhere."
            )
        gathered.sort(key=lambda entry: entry[0])
        gathered = gathered[:kept]
        if not wave.simple:  # a power or a product oscillates at multiples too
            gathered += [(e, f * place, given) for f in (0.5, 2.0) for e, place, given in gathered[:2]]
        places = np.array([place for _, place, _ in gathered])
        # At frequency 0 an even wave has no slope, and a descent would stay there.
        places = np.where(np.abs(places) < 0.25 * np.array(grid.step), 0.5 * np.array(grid.step), places)
        losses = np.array([e for e, _, _ in gathered])
        return Scanned(wave, tuple(ranges), best, rows.count), places, losses, [g for _, _, g in gathered]

    # --- refining -------------------------------------------------------------------------------------------

    def refined(
        self,
        rows: Rows,
        given: Sequence[dict[str, float]],
        losses: Sequence[float],
        search: Search,
        wave: WaveTerm | None = None,
    ) -> Search:
        """The best of the candidates, each with the best starts of the other parameters, by Gauss-Newton."""
        few = rows.thinned(START_ROWS, self.rng)
        total = search.scans[-1].scan.without if search.scans else 0.0
        ended: list[tuple[float, FloatArray]] = []
        longest = self.longest(rows)
        for k, at in enumerate(given):
            self.check()
            if ended and wave is not None and wave.simple and rows.count > FEW_ROWS:
                # What refining can still win is bounded: the grid's worst place loses a few per cent of the gain.
                least = losses[k] - 0.15 * max(0.0, total - losses[k])
                if least > 0 and (lead := self._lead(ended[0][0], least, rows.count)) > CLEAR_LEAD:
                    search.lead = lead
                    break
            for start in self.starts(few, at, search):
                found = fit(rows, rows.y, start, self.linear, longest=longest, most_steps=30)
                error = found.error / rows.count
                ended.append((error if np.isfinite(error) else np.inf, found.values))
            ended.sort(key=_by_error)
        if not ended:
            return search
        search.error, search.best = ended[0]
        if wave is not None:
            search.gain = self._lead(search.error, self._without(rows, wave, search.best), rows.count)
        if wave is not None:
            self._runner_up(rows, wave, ended, search)
        return search

    def starts(self, few: Rows, given: dict[str, float], search: Search) -> list[FloatArray]:
        """The best starts on few rows, with some parameters given."""
        open_names = [n for n in self.structure.of_kind("other", "phase") if n not in given]
        kinds = self.structure.kinds
        choices = [
            phases_of(n, self.structure, few, given) if kinds[n] == "phase" else values_of(n, self.structure, few)
            for n in open_names
        ]  # fmt: skip
        tried: list[tuple[float, int, FloatArray]] = []
        for k, combination in enumerate(combinations(choices, self.rng)):
            if k % 64 == 0:
                self.check()
            at = {**given, **dict(zip(open_names, combination, strict=True))}
            values = np.array([at.get(n, 0.0) for n in self.names])
            error, values = few.error_at(values, self.linear)
            tried.append((error, k, values))
        search.starts += len(tried)
        tried.sort(key=lambda entry: entry[:2])
        kept = KEPT_STARTS if open_names else 1
        return [values for error, _, values in tried[:kept] if np.isfinite(error)]

    def _lead(self, best: float, other: float, count: int) -> float:
        """Difference of squared errors in residual variances."""
        free = max(1, count - len(self.names))
        return (other - best) * free / max(best, ROUNDING)

    def _without(self, rows: Rows, wave: WaveTerm, values: FloatArray) -> float:
        """Mean squared error without a wave, the other terms linearised at the parameters."""
        at = dict(zip(self.names, map(float, values), strict=True))
        rest, basis = linearised(rows, self.structure, wave, at)
        rest = rest - basis.T @ (basis @ rest)
        return float(rest @ rest) / rows.count

    def _runner_up(
        self, rows: Rows, wave: WaveTerm, ended: list[tuple[float, FloatArray]], search: Search
    ) -> None:
        """The best candidate with other frequencies, and by how much it is worse."""
        places = [self.names.index(n) for n in wave.frequencies]
        near = 0.5 * self.longest(rows)[places]
        for error, values in ended[1:]:
            if np.any(np.abs(np.abs(values[places]) - np.abs(search.best[places])) > near):
                search.lead = min(search.lead, self._lead(search.error, error, rows.count))
                search.runner_up = dict(zip(wave.frequencies, map(float, values[places]), strict=True))
                return
