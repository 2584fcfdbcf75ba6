"""Laws of machine and room in a result: exact from what was typed, as arrays, tables and maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np

from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.figure import Axis, Figure, Heatmap, Ref
from tui_opt.kernels.entropies import as_written, entropy, exact_entropy
from tui_opt.kernels.finite_maps import Law
from tui_opt.kernels.logarithm_sums import LogarithmSum
from tui_opt.result import Result

LONGEST_FRACTION = 24
ROUNDING = 1e-9


def law_of(weights: Iterable[float], name: str, result: Result) -> Law:
    """Exact probabilities from the numbers of a parameter, divided by their sum.

    Numbers are taken as they were meant (0.3333333333333333 is 1/3). Where they do not add up to 1 within rounding, a
    warning says so.
    """
    exact = [as_written(weight) for weight in weights]
    total = sum(exact, Fraction(0))
    if abs(total - 1) > ROUNDING:
        result.warn(f"The probabilities in {name} add up to {float(total):.6g}; they were divided by that.")
    return tuple(weight / total for weight in exact)


def uniform(states: int) -> Law:
    """The same probability for every state."""
    return (Fraction(1, states),) * states


def add_laws(
    result: Result, system: Thermostat, laws: Mapping[str, tuple[str, Law]]
) -> dict[str, LogarithmSum]:
    """Add laws as arrays and tables, their exact probabilities and entropies; returns the entropies by name.

    Args:
        result: where they go.
        system: whose laws they are.
        laws: what each is in words, and its probabilities, by name.
    """
    shape = (len(system.machines), len(system.rooms))
    entropies = {name: exact_entropy(law) for name, (_, law) in laws.items()}
    for name, (words, law) in laws.items():
        values = np.array([float(p) for p in law]).reshape(shape)
        result.add_array(name, values, ("machine", "room"), text=words)
        rows = [(machine, *row) for machine, row in zip(system.machines, values.tolist(), strict=True)]
        result.add_table(name, ("machine", *system.rooms), rows, title=sentence(words))
    rows_exact = [
        (system.name(state), *(_fraction(law[state]) for _, law in laws.values()))
        for state in range(system.states)
    ]
    result.add_table("exact", ("state", *laws), rows_exact, title="Probabilities as fractions")
    rows_entropy = [
        (name, entropies[name].in_bits(), entropies[name].bits_in_words(), words)
        for name, (words, _) in laws.items()
    ]
    columns = ("law", "bits", "exactly", "meaning")
    result.add_table("entropies", columns, rows_entropy, title="Entropies in bits")
    return entropies


def add_double_error(result: Result, entropies: Mapping[str, LogarithmSum]) -> None:
    """Add how far entropies from doubles are from the exact ones; the laws are in the result."""
    worst = max(
        abs(entropy(result.arrays[name].values) / math.log(2) - exact.in_bits())
        for name, exact in entropies.items()
    )
    text = "largest difference between entropies from exact fractions and from doubles"
    result.add_finding("double_error", worst, text, unit="bits", kind="accuracy")


def add_bits(result: Result, name: str, value: LogarithmSum, words: str) -> None:
    """Add a finding in bits, with its exact value where that is short."""
    exactly = value.bits_in_words()
    result.add_finding(
        name, value.in_bits(), f"{words}; exactly {exactly}" if exactly else words, unit="bits"
    )


def add_transitions(result: Result, system: Thermostat) -> None:
    """Add the table of next states, laid out as in the source."""
    columns = len(system.rooms)
    rows = [
        (machine, *(system.name(system.target[row * columns + c]) for c in range(columns)))
        for row, machine in enumerate(system.machines)
    ]
    result.add_table("transitions", ("machine", *system.rooms), rows, title="State after each state")


def add_maps(
    result: Result,
    system: Thermostat,
    laws: Mapping[str, tuple[str, Law]],
    shaded_like: Mapping[str, tuple[str, Law]],
) -> None:
    """Add a map of each law, the machine's first state on top; colours mean the same in all of `shaded_like`."""
    rows, columns = len(system.machines), len(system.rooms)
    if "machine" not in result.arrays:
        text = "number of the machine's state, counted from the last one up"
        result.add_array("machine", np.arange(rows, 0.0, -1.0), ("machine",), text=text)
        text = "number of the room's state"
        result.add_array("room", np.arange(1.0, columns + 1.0), ("room",), text=text)
    most = max(float(result.arrays[name].values.max()) for name in shaded_like)
    for name, (words, _) in laws.items():
        heat = Heatmap(
            x=Ref(array="room"),
            y=Ref(array="machine"),
            z=Ref(array=name),
            label="probability",
            low=0.0,
            high=most,
        )
        figure = Figure(
            name=name.replace("_", "-"),
            title=sentence(words),
            x=Axis(label=_numbered("room", system.rooms)),
            y=Axis(label=_numbered("machine", system.machines[::-1])),
            layers=(heat,),
        )
        result.add_figure(figure)


def sentence(words: str) -> str:
    """Words with a capital letter."""
    return words[:1].upper() + words[1:]


def _numbered(part: str, names: tuple[str, ...]) -> str:
    listed = ", ".join(f"{i} {name}" for i, name in enumerate(names, start=1))
    return f"{part}: {listed}" if len(listed) <= 60 else f"{part}, 1 to {len(names)}"


def _fraction(p: Fraction) -> str:
    text = str(p)
    return text if len(text) <= LONGEST_FRACTION else f"{float(p):.17g}"
