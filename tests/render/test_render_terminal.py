"""Charts as text: never too wide, never an exception, nothing lost in silence, and the marks where the data are."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import plotext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.conftest import examples
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
from tui_opt.render.frame import plan_frame
from tui_opt.render.palette import Colors
from tui_opt.render.terminal import figure_text
from tui_opt.scales import Scale
from tui_opt.scene import prepare

COLORS: tuple[Colors, ...] = ("none", "standard", "256", "truecolor")


def plain(figure: Figure, arrays: dict[str, np.ndarray] | None = None, **options: object) -> list[str]:
    look = {"width": 80, "height": 20, "colors": "none"} | options
    return figure_text(figure, arrays or {}, **look).plain.split("\n")  # type: ignore[arg-type]


def sketch(*layers: Layer, x: Axis = Axis(), y: Axis = Axis(), caption: str = "") -> Figure:  # noqa: B008
    return Figure(name="f", title="Title", x=x, y=y, layers=layers, caption=caption)


ESCAPE = sketch(
    Band(x=(0, 1, 2), low=(0, 0.5, 1), high=(1, 2, 3), label="95 %"),
    Line(x=(0, 1, 2), y=(0, 1, 2), label="10⁴ steps"),
    Line(x=(0, 1, 2), y=(2, 1, 0), label="1000"),
    Scatter(x=(0, 1, 2), y=(0, 1, 2), error=(0.1, 0.5, 0.1), label="Monte Carlo"),
    Rule(axis="x", value=1.25, label="barrier"),
    x=Axis(label="T", unit="step size"),
    y=Axis(label="P"),
    caption="A caption of a few words that says what the lines and the points are.",
)
MAP = sketch(
    Heatmap(x=(0, 1, 2), y=(0, 1), z=Ref(array="z"), label="loss", unit="nats"),
    Path(x=(0, 1, 2), y=(0, 1, 0), label="descent"),
    Rule(axis="y", value=0.5, label="sill"),
    x=Axis(label="W1"),
)
MAP_ARRAYS = {"z": np.array([[0.0, 1.0, np.nan], [2.0, 3.0, 4.0]])}
HISTOGRAM = sketch(Histogram(edges=(0, 1, 2, 4), counts=(1, 3, 2), label="walkers"), y=Axis(label="count"))


@pytest.mark.parametrize("size", [(24, 8), (40, 10), (60, 16), (80, 20), (120, 30), (300, 100)])
@pytest.mark.parametrize(("figure", "arrays"), [(ESCAPE, {}), (MAP, MAP_ARRAYS), (HISTOGRAM, {})])
@pytest.mark.parametrize("unicode", [True, False])
def test_text_fills_its_size_and_no_more(
    figure: Figure, arrays: dict[str, np.ndarray], size: tuple[int, int], unicode: bool
) -> None:
    width, height = size
    lines = plain(figure, arrays, width=width, height=height, unicode=unicode)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) == width
    if not unicode:
        assert "\n".join(lines).isascii()


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (23, 7), (80, 7), (23, 20)])
def test_too_small_is_a_sentence(size: tuple[int, int]) -> None:
    lines = plain(ESCAPE, width=size[0], height=size[1])
    assert len(lines) <= size[1]
    assert all(cell_len(line) <= size[0] for line in lines)


@pytest.mark.parametrize("colors", COLORS)
def test_colours_change_the_look_only_and_none_means_none(colors: Colors) -> None:
    text = figure_text(ESCAPE, {}, width=80, height=20, colors=colors)
    assert text.plain.split("\n") == plain(ESCAPE)
    used = [
        s.style for s in text.spans if getattr(s.style, "color", None) or getattr(s.style, "bgcolor", None)
    ]
    assert bool(used) == (colors != "none")


def test_the_same_input_gives_the_same_text_whatever_was_drawn_before() -> None:
    first = figure_text(ESCAPE, {}, width=80, height=20)
    figure_text(MAP, MAP_ARRAYS, width=60, height=16)
    plotext.plot([1, 2], [3, 4])  # somebody else's plot must not show in ours
    again = figure_text(ESCAPE, {}, width=80, height=20)
    assert (first.plain, first.spans) == (again.plain, again.spans)


def test_threads_do_not_mix_their_plots() -> None:
    expected = {figure.layers: plain(figure) for figure in (ESCAPE, HISTOGRAM)}
    wrong = []

    def draw(figure: Figure) -> None:
        wrong.extend(figure.name for _ in range(5) if plain(figure) != expected[figure.layers])

    threads = [threading.Thread(target=draw, args=(f,)) for f in (ESCAPE, HISTOGRAM)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_failure_inside_plotext_leaves_no_plot_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("no canvas")

    expected = plain(HISTOGRAM)
    with monkeypatch.context() as patched:
        patched.setattr(plotext, "build", fail)
        with pytest.raises(RuntimeError, match="no canvas"):
            plain(ESCAPE)
    assert plain(HISTOGRAM) == expected


# --- what is said -------------------------------------------------------------------------------------------


def test_legend_units_and_marks() -> None:
    lines = plain(ESCAPE)
    foot = "\n".join(lines[-3:])
    assert "─●─ 10⁴ steps   ─■─ 1000   ┼ Monte Carlo ±1 se" in foot
    assert "░░ 95 %" in foot
    assert lines[0] == "Title"
    assert lines[1] == "P"
    assert any(line.endswith("T [step size]") for line in lines)
    assert any("barrier" in line for line in lines)
    body = "\n".join(lines[2:-4])
    assert all(mark in body for mark in "●■┼│░┊")


def test_one_curve_needs_no_marks() -> None:
    lines = plain(sketch(Line(x=(0, 1), y=(0, 1), label="loss")))
    assert lines[-1] == "── loss"
    assert "●" not in "\n".join(lines)


def test_layers_of_one_label_share_an_item_and_a_colour() -> None:
    figure = sketch(
        Line(x=(0, 1), y=(0, 1), label="n = 10"), Scatter(x=(0, 1), y=(0, 1), error=(1, 1), label="n = 10")
    )
    assert plain(figure)[-1] == "── ┼ n = 10 ±1 se"
    assert {d.slot for d in prepare(figure, {}).drawn} == {0}


def test_a_long_legend_says_how_much_it_leaves_out() -> None:
    figure = sketch(*(Line(x=(0, 1), y=(0, k), label=f"temperature {k}") for k in range(40)))
    lines = plain(figure, width=60, height=20)
    shown = sum(line.count("temperature") for line in lines)
    assert lines[-1].endswith(f"+{40 - shown} more")
    assert shown > 3


def test_a_rule_without_room_moves_to_the_legend_with_its_value() -> None:
    figure = sketch(
        Line(x=(0, 1), y=(0, 1), label="loss"),
        *(Rule(axis="x", value=0.5 + k * 1e-3, label=f"zero {k} " + "x" * 45) for k in range(2)),
        x=Axis(label="W"),
    )
    text = "\n".join(plain(figure))
    assert "(W = 0.5)" in text
    assert "(W = 0.501)" in text


def test_rule_labels_hide_no_data() -> None:
    curve = Line(x=(0, 1), y=(0, 1))
    rules = (Rule(axis="x", value=0.3, label="left"), Rule(axis="y", value=0.7, label="high"))

    def dots(figure: Figure) -> int:
        return sum(0x2800 <= ord(c) < 0x2900 for c in "\n".join(plain(figure)))

    silent = tuple(r.model_copy(update={"label": ""}) for r in rules)
    assert dots(sketch(*rules, curve)) == dots(sketch(*silent, curve)) > 70


def test_what_is_not_drawn_is_counted_and_said() -> None:
    figure = sketch(
        Line(x=(1, 2, 3, 4, 5), y=(1.0, -2.0, 0.0, float("nan"), float("inf"))), y=Axis(scale="log")
    )
    text = " ".join(plain(figure))
    assert "Not drawn of 10 values: 1 NaN, 1 infinite, 2 zero or negative on a log axis." in text
    assert "zero or negative" in " ".join(plain(figure, width=40, height=10, unicode=False))


def test_a_missing_array_is_named_and_the_rest_is_drawn() -> None:
    missing = Line(x=Ref(array="t"), y=(1, 2), label="gone")
    text = "\n".join(plain(sketch(missing, Line(x=(0, 1), y=(0, 1), label="here"))))
    assert "'t', which this result does not have" in text.replace("\n", " ")
    assert "── here" in text
    alone = " ".join(line.strip() for line in plain(sketch(missing)))
    assert "There are no numbers to draw yet." in alone
    assert "'t', which this result does not have" in alone


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Line(x=(0, 1, 2), y=(0, 1)), "differ in length (x has 3, y has 2)"),
        (Line(x=(0, 1), y=Ref(array="z")), "has the shape (2, 3)"),
        (Histogram(edges=(0, 1), counts=(1, 2)), "2 counts need 3 edges, there are 2"),
        (Histogram(edges=(0, 2, 1), counts=(1, 2)), "its edges do not rise"),
        (Heatmap(x=(0, 1), y=(0, 1), z=Ref(array="z")), "the shape (2, 3), its axes want (2, 2)"),
        (Line(x=(0, 1), y=Ref(array="z", index=(7,))), "out of bounds"),
        (Density(x=(0, 1, 2, 3), y=(0, 1), counts=Ref(array="z")), "2 counts need 3 edges, there are 2"),
        (Density(x=(0, 2, 1, 3), y=(0, 1, 2), counts=Ref(array="z")), "its edges do not rise"),
        (Density(x=(0, 1), y=(0, 1), counts=Ref(array="z", index=(0,))), "counts have two dims"),
        (Scatter(x=(0, 1), y=(0, 1), error=(1,)), "differ in length (y has 2, error has 1)"),
    ],
)
def test_a_layer_that_does_not_fit_says_why(layer: Layer, why: str) -> None:
    assert why in " ".join(line.strip() for line in plain(sketch(layer), MAP_ARRAYS))


def test_hidden_error_bars_are_said() -> None:
    many = tuple(float(k) for k in range(400))
    assert "error bars" in " ".join(plain(sketch(Scatter(x=many, y=many, error=many))))


# --- where things stand -------------------------------------------------------------------------------------


def cell_of(lines: list[str], mark: str) -> tuple[int, int]:
    return next((row, line.index(mark)) for row, line in enumerate(lines) if mark in line)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_point_stands_at_its_ticks(scale: str) -> None:
    """A scatter point at a ticked value must lie in the row and column of those ticks."""
    low, high, at = (0.0, 1.0, 0.5) if scale == "linear" else (1.0, 1e4, 1e2)
    axis = Axis(low=low, high=high, scale=scale)  # type: ignore[arg-type]
    for width, height in itertools.product((60, 80, 121), (14, 20, 33)):
        lines = plain(sketch(Scatter(x=(at,), y=(at,)), x=axis, y=axis), width=width, height=height)
        row, column = cell_of(lines, "┼")
        scene = prepare(sketch(Scatter(x=(at,), y=(at,)), x=axis, y=axis), {})
        assert scene.x is not None
        assert scene.y is not None
        plot_rows = sum("│" in line or "┤" in line for line in lines)
        frame = plan_frame(scene.x, scene.y, width, plot_rows, unicode=True)
        label = "0.5" if scale == "linear" else "10²"
        ticks = dict(zip(frame.x.labels, frame.x.cells, strict=True))
        if label in ticks:
            assert column == frame.gutter + 1 + ticks[label]
        if label in frame.y.labels:
            assert lines[row].startswith(label.rjust(frame.gutter) + "┤")


def test_a_diagonal_rises_through_every_column() -> None:
    lines = plain(sketch(Line(x=(0, 1), y=(0, 1)), x=Axis(label="x")))
    rows = [
        line[line.index("┤" if "┤" in line else "│") + 1 :] for line in lines if "│" in line or "┤" in line
    ]
    width = max(len(row) for row in rows)
    tops = [next(r for r, row in enumerate(rows) if row.ljust(width)[c] != " ") for c in range(width)]
    assert tops == sorted(tops, reverse=True)
    assert (tops[0], tops[-1]) == (len(rows) - 1, 0)


def test_a_point_between_gaps_is_seen() -> None:
    figure = sketch(Line(x=(0, 1, 2, 3, 4), y=(0, 0, float("nan"), 1, float("nan"))))
    body = "\n".join(plain(figure)[1:-3])
    assert body.count("•") == 1


def test_ascii_series_have_their_own_characters() -> None:
    text = "\n".join(plain(ESCAPE, unicode=False))
    assert "** 10^4 steps" in text or "oo 10^4 steps" in text
    assert "Monte Carlo +/-1 se" in text


def test_histogram_heights_are_proportional() -> None:
    lines = plain(sketch(Histogram(edges=(0, 1, 2), counts=(1, 2))), width=60, height=24)
    heights = [sum(line.ljust(60)[c] == "█" for line in lines) for c in (20, 50)]
    assert heights[0] > 8
    assert heights[1] == pytest.approx(2 * heights[0], abs=1)  # whole cells of eighths


def test_error_bars_reach_one_standard_error() -> None:
    axis = Axis(low=-1.0, high=1.0)
    lines = plain(sketch(Scatter(x=(0,), y=(0,), error=(0.5,)), x=axis, y=axis), width=40, height=44)
    column = cell_of(lines, "┼")[1]
    plot = [line.ljust(40)[column] for line in lines[1:] if "│" in line or "┤" in line]
    assert plot.count("│") + 1 == pytest.approx(len(plot) / 2, abs=1)


def test_a_million_points_reduce_to_the_same_frame_as_their_extremes() -> None:
    x = np.linspace(0, 1, 1_000_000)
    y = np.where(np.arange(x.size) % 2 == 0, 1.0, -1.0)
    lines = plain(sketch(Line(x=Ref(array="x"), y=Ref(array="y"))), {"x": x, "y": y}, height=12)
    plot = [line.partition("│")[2] or line.partition("┤")[2] for line in lines[1:-2]]
    assert all(set(row) == {"⣿"} for row in plot if row)


# --- densities -----------------------------------------------------------------------------------------------


def dots(lines: list[str]) -> int:
    return sum((ord(c) - 0x2800).bit_count() for line in lines for c in line if 0x2800 < ord(c) < 0x2900)


def test_a_density_stands_where_its_points_do() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 1, 900), rng.uniform(0, 1, 900)
    limits = Axis(low=0, high=1)
    points = plain(sketch(Scatter(x=ref("x"), y=ref("y"), label="p"), x=limits, y=limits), {"x": x, "y": y})
    frame = plan_frame(*scales(limits), 80, 16, unicode=True)
    edges = {"u": np.linspace(0, 1, 2 * frame.columns + 1), "v": np.linspace(0, 1, 4 * frame.rows + 1)}
    counts = np.histogram2d(y, x, bins=(edges["v"], edges["u"]))[0]
    layer = Density(x=ref("u"), y=ref("v"), counts=ref("n"), label="p")
    assert plain(sketch(layer, x=limits, y=limits), {**edges, "n": counts}) == points


def ref(name: str) -> Ref:
    return Ref(array=name)


def scales(limits: Axis) -> tuple[Scale, Scale]:
    return Scale(limits, 0, 1), Scale(limits, 0, 1)


@pytest.mark.parametrize("unicode", [True, False])
def test_densities_are_named_and_denser_where_counts_are_high(unicode: bool) -> None:
    counts = np.ones((30, 200))
    counts[:, 100:] = 1000
    arrays = {"u": np.linspace(0, 1, 201), "v": np.linspace(0, 1, 31), "n": counts}
    layer = Density(x=ref("u"), y=ref("v"), counts=ref("n"), label="orbit")
    lines = plain(sketch(layer), arrays, unicode=unicode)
    assert lines[-1].split() == ["⠶" if unicode else "*", "orbit"]
    if unicode:
        half = len(lines[3]) // 2
        assert 3 * dots([line[:half] for line in lines[1:-3]]) < dots([line[half:] for line in lines[1:-3]])


def test_a_density_on_a_log_axis_keeps_what_has_a_place() -> None:
    arrays = {"x": np.array([-1.0, 0.0, 1.0, 10.0, 100.0]), "n": np.array([[5.0, 5.0, 0.0, 5.0]])}
    layer = Density(x=ref("x"), y=(0, 1), counts=ref("n"))
    text = plain(sketch(layer, x=Axis(scale="log")), arrays)
    plot = [line.partition("│")[2] for line in text if "│" in line]
    assert not any(line[: len(line) // 3].strip() for line in plot)
    assert all(line[2 * len(line) // 3 :].strip() for line in plot)


def test_a_figure_that_knows_what_it_leaves_out_says_that() -> None:
    figure = sketch(Line(x=(0, 1, 2), y=(0, math.nan, 1)))
    assert "Not drawn of 6 values: 1 NaN." in plain(figure)
    known = figure.model_copy(update={"notes": ("Not drawn of 600 values: 100 NaN.",)})
    assert "Not drawn of 600 values: 100 NaN." in plain(known)
    assert "of 6 values" not in " ".join(plain(known))


# --- whatever comes ------------------------------------------------------------------------------------------

ANY = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1e300, -1e300, 1e-300, math.inf, -math.inf, math.nan, 5e-324, 1.7e308, -1.7e308]),
)
VECTOR = st.lists(ANY, max_size=6).map(tuple)
LABEL = st.text(max_size=12)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kinds = ["line", "path", "scatter", "band", "histogram", "density", "heatmap", "rule"]
    kind = draw(st.sampled_from(kinds))
    label = draw(LABEL)
    x, y, other = draw(VECTOR), draw(VECTOR), draw(VECTOR)
    if draw(st.booleans()):
        size = min(len(x), len(y), len(other))
        x, y, other = x[:size], y[:size], other[:size]
    if kind == "rule":
        return Rule(axis=draw(st.sampled_from(["x", "y"])), value=draw(ANY), label=label)
    if kind == "band":
        return Band(x=x, low=y, high=other, label=label)
    if kind == "histogram":
        return Histogram(edges=x, counts=y[:-1], label=label)
    if kind == "density":
        return Density(x=x, y=y, counts=Ref(array="z"), label=label)
    if kind == "heatmap":
        scale = draw(st.sampled_from(["linear", "log"]))
        z = Ref(array=draw(st.sampled_from(["z", "none"])))
        low, high = (draw(st.one_of(st.none(), ANY.filter(math.isfinite))) for _ in range(2))
        look = {"scale": scale, "diverging": draw(st.booleans()), "low": low, "high": high}
        return Heatmap(x=(1, 2, 3), y=(1, 2), z=z, label=label, **look)
    if kind == "scatter":
        return Scatter(x=x, y=y, error=draw(st.sampled_from([None, other])), label=label)
    return Line(x=x, y=y, label=label) if kind == "line" else Path(x=x, y=y, label=label)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    limit = st.one_of(st.none(), ANY.filter(math.isfinite))
    scale = draw(st.sampled_from(["linear", "log"]))
    return Axis(label=draw(LABEL), unit=draw(LABEL), scale=scale, low=draw(limit), high=draw(limit))


@settings(max_examples=examples(120))
@given(
    st.lists(layers(), max_size=4),
    axes(),
    axes(),
    LABEL,
    st.lists(ANY, min_size=6, max_size=6),
    st.tuples(st.integers(1, 130), st.integers(1, 40)),
    st.sampled_from(COLORS),
    st.booleans(),
)
def test_no_figure_breaks_the_page(
    drawn: list[Layer],
    x: Axis,
    y: Axis,
    title: str,
    z: list[float],
    size: tuple[int, int],
    colors: Colors,
    unicode: bool,
) -> None:
    figure = Figure(name="any", title=title, x=x, y=y, layers=tuple(drawn), caption=title)
    arrays = {"z": np.array(z).reshape(2, 3)}
    text = figure_text(figure, arrays, width=size[0], height=size[1], colors=colors, unicode=unicode)
    lines = text.plain.split("\n")
    assert len(lines) <= size[1]
    assert all(cell_len(line) <= size[0] for line in lines)
    if not unicode:
        assert text.plain.isascii()
