"""Reduced results: small, valid, and the same pictures as the full ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.drawn import value_range
from tui_opt.figure import (
    Axis,
    Band,
    Density,
    Figure,
    Heatmap,
    Histogram,
    Layer,
    Line,
    Path,
    Ref,
    Rule,
    Scatter,
)
from tui_opt.reduction import SMALL_ARRAY, reduced, size
from tui_opt.render import figure_text
from tui_opt.result import Result, ResultDocument
from tui_opt.scales import Scale
from tui_opt.scene import prepare

MOST = 2_000_000
N = 300_000
RNG = np.random.default_rng(5)


def ref(name: str) -> Ref:
    return Ref(array=name)


def with_figure(figure: Figure, **arrays: np.ndarray) -> Result:
    result = Result()
    for name, values in arrays.items():
        result.add_array(name, values, tuple(f"{name}{k}" for k in range(values.ndim)), unit="m")
    result.add_figure(figure)
    result.add_finding("answer", 42.0)
    result.warn("Look out.")
    return result


def chart(*layers: Layer, x: str = "linear", y: str = "linear", **limits: float) -> Figure:
    x_limits = {k[2:]: v for k, v in limits.items() if k.startswith("x_")}
    y_limits = {k[2:]: v for k, v in limits.items() if k.startswith("y_")}
    return Figure(
        name="f", title="t", x=Axis(scale=x, **x_limits), y=Axis(scale=y, **y_limits), layers=layers
    )


def lines(result: Result, width: int = 80, height: int = 24) -> list[str]:
    text = figure_text(result.figures[0], result.values(), width=width, height=height, colors="none")
    return text.plain.split("\n")


def differing(full: Result, small: Result) -> float:
    """The share of cells with ink that differ: in more than two dots, or in another character."""
    a, b = (np.array([list(line.ljust(80)[:80]) for line in lines(r)]) for r in (full, small))
    assert a.shape == b.shape
    different = np.array([_differ(p, q) for p, q in zip(a.ravel(), b.ravel(), strict=True)])
    return float(different.sum() / np.count_nonzero((a != " ") | (b != " ")))


def _differ(a: str, b: str) -> bool:
    p, q = (0 if c == " " else ord(c) - 0x2800 for c in (a, b))
    braille = 0 <= p < 256 and 0 <= q < 256
    return (p ^ q).bit_count() > 2 if braille else a != b


def noisy_line() -> Result:
    x = np.linspace(1, 50, N)
    y = np.sin(x) * x + np.where(RNG.random(N) < 1e-4, 40.0, 0.0)
    y[100_000:120_000] = np.nan
    return with_figure(chart(Line(x=ref("x"), y=ref("y"), label="a")), x=x, y=y)


def falling_log_line() -> Result:
    x = np.logspace(4, -3, N)
    return with_figure(chart(Line(x=ref("x"), y=ref("y")), x="log", y="log"), x=x, y=1 / (1 + x) + 1e-6)


def zoomed_line() -> Result:
    x = np.linspace(0, 100, N)
    return with_figure(
        chart(Line(x=ref("x"), y=ref("y")), x_low=30, x_high=31, y_low=-1), x=x, y=np.sin(40 * x)
    )


def band_and_median() -> Result:
    x = np.linspace(0, 10, N)
    low = np.sin(x) - 0.1 - 0.05 * RNG.random(N)
    layers = (Band(x=ref("x"), low=ref("low"), high=ref("high"), label="b"), Line(x=ref("x"), y=ref("high")))
    return with_figure(chart(*layers), x=x, low=low, high=np.cos(x) + 2)


def orbit() -> Result:
    t = np.linspace(0, 60, N)
    return with_figure(
        chart(Path(x=ref("x"), y=ref("y"), label="orbit"), Rule(axis="x", value=0.5, label="r")),
        x=np.sin(t) * (1 + 0.3 * np.sin(0.37 * t)),
        y=np.cos(1.01 * t),
    )


def cloud() -> Result:
    return with_figure(
        chart(Scatter(x=ref("x"), y=ref("y"), label="c"), x="log"),
        x=np.exp(RNG.standard_normal(N)),
        y=RNG.standard_normal(N),
    )


def bars() -> Result:
    edges = np.linspace(-3, 3, N + 1)
    counts = np.exp(-(edges[:-1] ** 2)) * (1 + 0.2 * np.sin(9 * edges[:-1]))
    return with_figure(chart(Histogram(edges=ref("edges"), counts=ref("counts"))), edges=edges, counts=counts)


def matrix() -> Result:
    x, y = np.linspace(0, 4, 1500), np.logspace(0, 3, 900)
    z = np.exp(np.sin(3 * x)[None, :] * np.log(y)[:, None])
    z[300:400, 500:800] = np.nan
    layer = Heatmap(x=ref("x"), y=ref("y"), z=ref("z"), label="z", scale="log")
    return with_figure(chart(layer, y="log"), x=x, y=y, z=z)


def counted() -> Result:
    x = np.linspace(0, 1, 1201)
    counts = RNG.poisson(3 * np.exp(-40 * (x[1:, None] - 0.5) ** 2 - 40 * (x[None, 1:] - 0.3) ** 2))
    return with_figure(chart(Density(x=ref("x"), y=ref("x"), counts=ref("n"), label="d")), x=x, n=counts)


CASES = (noisy_line, falling_log_line, zoomed_line, band_and_median, orbit, cloud, bars, matrix, counted)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_reduced_result_draws_the_same_picture(case: Callable[[], Result]) -> None:
    full = case()
    small = reduced(full, MOST)
    assert size(small) <= MOST < size(full)
    assert differing(full, small) <= 0.04
    assert (small.findings, small.warnings) == (full.findings, full.warnings)
    a, b = (prepare(r.figures[0], r.values()) for r in (full, small))
    assert a.x is not None
    assert b.x is not None
    assert a.y is not None
    assert b.y is not None
    assert (b.x.low, b.x.high) == pytest.approx((a.x.low, a.x.high), rel=1e-12)
    assert (b.y.low, b.y.high) == pytest.approx((a.y.low, a.y.high), rel=1e-12)
    assert b.notes == a.notes
    assert [d.slot for d in b.drawn] == [d.slot for d in a.drawn]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_reduced_result_survives_the_trip_through_json(case: Callable[[], Result]) -> None:
    small = reduced(case(), MOST)
    again = ResultDocument.model_validate_json(small.document().model_dump_json())
    assert again.figures == small.figures
    assert {n: i.shape for n, i in again.arrays.items()} == {n: v.shape for n, v in small.values().items()}
    for name, array in small.arrays.items():
        for length, dim in zip(array.values.shape, array.dims, strict=True):
            coordinate = small.arrays.get(dim)
            assert coordinate is None or coordinate.values.shape == (length,), name


def test_what_is_small_stays_and_is_shared() -> None:
    full = noisy_line()
    full.add_array("few", np.arange(9.0), ("few",))
    full.add_array("large", np.zeros(SMALL_ARRAY), ("large",))
    small = reduced(full, MOST)
    assert small.arrays["few"] is full.arrays["few"]
    assert not {"large", "x", "y"} & set(small.arrays)
    assert reduced(full, 10**9) is full


def test_the_average_is_that_of_the_cells() -> None:
    z = RNG.random((1024, 2048))
    figure = chart(Heatmap(x=ref("x"), y=ref("y"), z=ref("z")))
    small = reduced(with_figure(figure, x=np.arange(2048.0), y=np.arange(1024.0), z=z), 4_000_000)
    layer = small.figures[0].layers[0]
    assert isinstance(layer, Heatmap)
    expected = z.reshape(512, 2, 512, 4).mean(axis=(1, 3))
    assert np.allclose(small.values()[layer.z.array], expected, rtol=1e-12)
    scene = prepare(small.figures[0], small.values())
    values = value_range(scene.drawn[0])
    assert (values.low, values.high) == (z.min(), z.max())  # colours mean the same


def test_no_count_is_lost() -> None:
    full = counted()
    small = reduced(full, MOST)
    layer = small.figures[0].layers[0]
    assert isinstance(layer, Density)
    assert small.values()[layer.counts.array].sum() == full.values()["n"].sum()
    points = reduced(cloud(), MOST)
    density = points.figures[0].layers[0]
    assert isinstance(density, Density)
    assert points.values()[density.counts.array].sum() == N


def test_the_ends_of_a_logarithmic_axis_are_on_it() -> None:
    for _ in range(300):
        values = np.exp(3 * RNG.standard_normal(RNG.integers(2, 40)))
        places = Scale(Axis(scale="log"), values.min(), values.max()).unit(values)
        assert (places.min(), places.max()) == (0.0, 1.0)


def test_slices_of_large_arrays_are_copied_not_reduced() -> None:
    w = RNG.random((3, 500, 400))
    figure = chart(Line(x=ref("step"), y=Ref(array="w", index=(1, None, 7)), label="a"))
    small = reduced(with_figure(figure, step=np.arange(500.0), w=w), MOST)
    layer = small.figures[0].layers[0]
    assert isinstance(layer, Line)
    assert isinstance(layer.y, Ref)
    assert np.array_equal(small.values()[layer.y.array], w[1, :, 7])


def test_what_is_left_out_is_still_said() -> None:
    x = np.linspace(-1, 1, N)
    y = np.where(np.arange(N) % 1000 == 0, np.nan, x)
    layers = (
        Line(x=ref("x"), y=ref("gone"), label="gone"),
        Line(x=ref("x"), y=ref("nothing"), label="empty"),
        Line(x=ref("x"), y=ref("y"), label="there"),
    )
    full = with_figure(chart(*layers), x=x, y=y, nothing=np.full(N, np.nan))
    small = reduced(full, MOST)
    a, b = (prepare(r.figures[0], r.values()) for r in (full, small))
    assert any("gone" in note for note in a.notes)
    assert any("300300 NaN" in note for note in a.notes)
    assert b.notes == a.notes
    assert [(d.label, d.slot) for d in b.drawn] == [(d.label, d.slot) for d in a.drawn] == [("there", 1)]


def test_points_too_dense_for_error_bars_say_so() -> None:
    figure = chart(Scatter(x=ref("x"), y=ref("x"), error=ref("e"), label="mc"))
    full = with_figure(figure, x=np.linspace(0, 1, N), e=np.full(N, 0.1))
    said = [" ".join(lines(r)) for r in (full, reduced(full, MOST))]
    assert all("too dense for their error bars" in text for text in said)


@settings(max_examples=examples(40))
@given(
    st.integers(0, 10_000),
    st.sampled_from(["line", "path", "scatter", "band", "histogram", "heatmap", "density"]),
    st.sampled_from(["linear", "log"]),
    st.floats(0, 1),
)
def test_no_numbers_are_too_odd_to_be_reduced(seed: int, kind: str, scale: str, odd: float) -> None:
    rng = np.random.default_rng(seed)
    n = 9_000

    def strange(shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape) * 10.0 ** rng.integers(-300, 300)
        values[rng.random(shape) < odd * rng.random()] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e308])
        return values

    x = np.sort(strange((n,))) if rng.random() < 0.5 else strange((n,))
    layer: Layer
    arrays = {"x": x, "y": strange((n,)), "z": strange((n,))}
    if kind in ("line", "path", "scatter"):
        layer = {"line": Line, "path": Path, "scatter": Scatter}[kind](x=ref("x"), y=ref("y"))
    elif kind == "band":
        layer = Band(x=ref("x"), low=ref("y"), high=ref("z"))
    elif kind == "histogram":
        arrays["edges"] = np.sort(np.append(x, 0.5))
        layer = Histogram(edges=ref("edges"), counts=ref("y"))
    elif kind == "heatmap":
        arrays["grid"] = strange((3, n))
        layer = Heatmap(x=ref("x"), y=(1.0, 2.0, 3.0), z=ref("grid"), scale=scale)
    else:
        arrays["grid"] = strange((3, n))
        edges = np.sort(np.append(x, 0.5))
        arrays["edges"] = edges
        layer = Density(x=ref("edges"), y=(1.0, 2.0, 3.0, 4.0), counts=ref("grid"))
    full = with_figure(chart(layer, x=scale, y=scale), **arrays)
    small = reduced(full, 100_000)
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = (prepare(r.figures[0], r.values()) for r in (full, small))
    assert size(small) < size(full)
    # The borders of cells between 1e308 and 1 are not numbers, so that a mean may know none of them.
    assert (a.x is None) == (b.x is None) or kind == "heatmap"
    if a.x is not None and b.x is not None:
        assert (b.x.low, b.x.high) == pytest.approx((a.x.low, a.x.high), rel=1e-9)
    assert lines(small)
