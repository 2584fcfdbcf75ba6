"""What kind of parameter each one of a model is, read off its expression.

- linear: the model is affine in all of them together; they are eliminated.
- frequency: it multiplies columns inside a sine or cosine; it is scanned.
- phase: it shifts such an argument by the same amount in every row.
- other: anything else, such as a rate; it is refined from a grid of starts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tui_opt.experiments.cos_fit.model import Model
from tui_opt.expressions import Expression
from tui_opt.expressions.algebra import Algebra
from tui_opt.expressions.graph import Graph

Kind = Literal["linear", "frequency", "phase", "other"]
MOST_TOGETHER = 3
"""Frequencies that are scanned together, as those of one argument have to be."""


@dataclass(frozen=True)
class WaveTerm:
    """A term, or several with the same frequencies, that oscillates.

    Attributes:
        frequencies: names, scanned together.
        slopes: what each multiplies, in columns (parameters count as 0).
        amplitude: what stands before the sine or cosine; 1 where the term is not that simple.
        offset: the rest of the argument; for a sine less a quarter turn.
        amplitude_known, offset_known: whether they hold no parameter that is eliminated or that shifts the phase.
        simple: whether the term is an amplitude times one sine or cosine.
        even: whether the sign of the frequencies does not matter.
    """

    frequencies: tuple[str, ...]
    slopes: tuple[Expression, ...]
    amplitude: Expression
    offset: Expression
    amplitude_known: bool
    offset_known: bool
    simple: bool
    even: bool


@dataclass(frozen=True)
class Structure:
    """A model taken apart.

    Attributes:
        kinds: of each parameter, in the model's order.
        waves: groups of frequencies with the term that shows them best.
        terms: every term of the sum with the parameters in it.
    """

    kinds: dict[str, Kind]
    waves: tuple[WaveTerm, ...]
    terms: tuple[Expression, ...]

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """Parameters of these kinds."""
        return tuple(name for name, kind in self.kinds.items() if kind in kinds)


def names_in(expression: Expression) -> frozenset[str]:
    """Columns and parameters that occur."""
    return frozenset(str(node.leaf) for node in expression.nodes if node.op == "variable")


def structure_of(model: Model) -> Structure:
    """Take a model apart."""
    parameters = model.parameters
    whole = model.expression
    linear = _linear(whole, model.slopes, parameters)
    angles = angles_in(whole)
    kinds: dict[str, Kind] = {}
    for name in parameters:
        kinds[name] = "linear" if name in linear else _angular(name, angles, model.columns)
    terms = tuple(_terms(whole))
    return Structure(kinds, tuple(_waves(terms, kinds, model)), terms)


def part(whole: Expression, root: int) -> Expression:
    """The subexpression whose root is at `root`."""
    graph = Graph()
    graph.absorb(whole.nodes)
    nodes, _ = graph.extract(root)
    return Expression(nodes, whole.variables)


def constant(value: float, variables: tuple[str, ...]) -> Expression:
    """A number as an expression."""
    graph = Graph()
    nodes, _ = graph.extract(graph.constant(value))
    return Expression(nodes, variables)


def with_values(expression: Expression, values: dict[str, float]) -> Expression:
    """The expression with some of its variables replaced by numbers, and what becomes 0 by that left out."""
    algebra = Algebra()
    simple = {
        "add": algebra.add, "sub": algebra.sub, "mul": algebra.mul, "div": algebra.div, "pow": algebra.power
    }  # fmt: skip
    places: list[int] = []
    for node in expression.nodes:
        arguments = tuple(places[a] for a in node.arguments)
        if node.op == "variable" and node.leaf in values:
            places.append(algebra.constant(values[str(node.leaf)]))
        elif node.op in simple:
            places.append(simple[node.op](*arguments))
        elif node.op == "neg":
            places.append(algebra.neg(*arguments))
        elif arguments:
            places.append(algebra.apply(node.op, *arguments))
        else:
            places.extend(algebra.absorb([node]))
    nodes, _ = algebra.extract(places[-1])
    return Expression(nodes, expression.variables)


def _linear(whole: Expression, slopes: Iterable[Expression], parameters: tuple[str, ...]) -> frozenset[str]:
    """Parameters in which the model is affine jointly: no slope of one holds another."""
    chosen: list[str] = []
    inside = {name: names_in(slope) for name, slope in zip(parameters, slopes, strict=True)}
    for name in parameters:
        if name not in names_in(whole) or name in inside[name]:
            continue
        if all(name not in inside[other] for other in chosen):
            chosen.append(name)
    return frozenset(chosen)


def angles_in(whole: Expression) -> list[Expression]:
    """The arguments of every sine and cosine."""
    return [part(whole, node.arguments[0]) for node in whole.nodes if node.op in ("sin", "cos")]


def _angular(name: str, angles: list[Expression], columns: tuple[str, ...]) -> Kind:
    """Frequency or phase where some angle is affine in it, and anything else otherwise."""
    found: Kind = "other"
    for angle in angles:
        if name not in names_in(angle):
            continue
        inside = names_in(angle.derivative(name))
        if name in inside:
            continue
        if inside & set(columns):
            return "frequency"
        found = "phase"
    return found


def _terms(whole: Expression) -> Iterable[Expression]:
    """The terms of the sum, with their signs."""
    graph = Graph()
    places = graph.absorb(whole.nodes)
    stack = [(places[-1], 1.0)]
    while stack:
        at, sign = stack.pop()
        node = graph.nodes[at]
        if node.op in ("add", "sub"):
            a, b = node.arguments
            stack.append((b, sign if node.op == "add" else -sign))
            stack.append((a, sign))
        elif node.op == "neg":
            stack.append((node.arguments[0], -sign))
        else:
            root = at if sign > 0 else graph.apply("neg", at)
            nodes, _ = graph.extract(root)
            yield Expression(nodes, whole.variables)


def _waves(terms: Iterable[Expression], kinds: dict[str, Kind], model: Model) -> Iterable[WaveTerm]:
    """Groups of frequencies that occur in one term, each with the term that shows it best."""
    groups: list[set[str]] = []
    for term in terms:
        inside = {n for n in names_in(term) if kinds.get(n) == "frequency"}
        if not inside:
            continue
        apart = [g for g in groups if not g & inside]
        groups = [*apart, inside.union(*(g for g in groups if g & inside))]
    order = list(kinds)
    for group in sorted(groups, key=lambda g: min(order.index(n) for n in g)):
        names = tuple(n for n in order if n in group)
        holding = [t for t in terms if names_in(t) & group]
        waves = [w for t in holding if (w := _wave(t, names, kinds, model)) is not None]
        complete = [w for w in waves if len(w.frequencies) == len(names)]
        if complete and len(holding) == 1:
            yield complete[0]
        elif complete:  # several terms: each has a phase of its own, or is a harmonic
            first = complete[0]
            yield WaveTerm(names, first.slopes, first.amplitude, first.offset, False, False, True, True)
        else:
            yield _surrogate(names, holding, kinds, model)


def _wave(term: Expression, names: tuple[str, ...], kinds: dict[str, Kind], model: Model) -> WaveTerm | None:
    """The term as an amplitude times one sine or cosine that holds all its frequencies, or None."""
    graph = Graph()
    places = graph.absorb(term.nodes)
    mine = set(names)
    over: list[int] = []
    under: list[int] = []
    sign = 1.0
    stack = [(places[-1], True)]
    while stack:
        at, up = stack.pop()
        node = graph.nodes[at]
        if node.op == "mul":
            stack += [(a, up) for a in reversed(node.arguments)]
        elif node.op == "div":
            stack += [(node.arguments[1], not up), (node.arguments[0], up)]
        elif node.op == "neg":
            sign = -sign
            stack.append((node.arguments[0], up))
        else:
            (over if up else under).append(at)
    variables = term.variables

    def expression(root: int) -> Expression:
        nodes, _ = graph.extract(root)
        return Expression(nodes, variables)

    waves = [at for at in over if names_in(expression(at)) & mine]
    if len(waves) != 1 or any(names_in(expression(at)) & mine for at in under):
        return None
    node = graph.nodes[waves[0]]
    if node.op not in ("sin", "cos"):
        return None
    angle = expression(node.arguments[0])
    held = tuple(n for n in names if n in names_in(angle))
    parameters = dict.fromkeys(kinds, 0.0)
    slopes = [angle.derivative(n) for n in held]
    if any(names_in(s) & mine for s in slopes):
        return None
    offset = with_values(angle, dict.fromkeys(held, 0.0))
    root = graph.constant(sign)
    for at in over:
        if at != waves[0]:
            root = graph.apply("mul", root, at)
    for at in under:
        root = graph.apply("div", root, at)
    amplitude = expression(root)
    linear = {n: 1.0 for n, kind in kinds.items() if kind == "linear"}
    of_offset = names_in(offset) & set(kinds)
    shifted = bool(of_offset) or any(names_in(s) & set(kinds) for s in slopes)
    offset_is_zero = not names_in(offset) and offset.value(**dict.fromkeys(variables, 0.0)) == 0.0
    plain = with_values(offset, parameters)
    if node.op == "sin":
        turned = Graph()
        moved = turned.absorb(plain.nodes)
        nodes, _ = turned.extract(turned.apply("sub", moved[-1], turned.constant(0.5 * math.pi)))
        plain = Expression(nodes, variables)
    known = not names_in(amplitude) & set(linear)
    return WaveTerm(
        held,
        tuple(with_values(s, parameters) for s in slopes),
        with_values(amplitude, linear),
        plain,
        known,
        not shifted,
        True,
        shifted or (offset_is_zero and (node.op == "cos" or not known)),
    )


def _surrogate(
    names: tuple[str, ...], holding: list[Expression], kinds: dict[str, Kind], model: Model
) -> WaveTerm:
    """A plain wave of unknown amplitude and phase with these frequencies, for terms that are less simple."""
    variables = model.expression.variables
    zero = dict.fromkeys(kinds, 0.0)
    slopes = []
    for name in names:
        of_name = (
            angle.derivative(name) for t in holding for angle in angles_in(t) if name in names_in(angle)
        )
        usable = (s for s in of_name if name not in names_in(s) and names_in(s) & set(model.columns))
        slopes.append(with_values(next(usable), zero))
    return WaveTerm(
        names, tuple(slopes), constant(1.0, variables), constant(0.0, variables), False, False, False, True
    )
