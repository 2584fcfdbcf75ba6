"""Heatmaps and colours: values at their places, maps that rise evenly, nothing invented where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from rich.color import Color

from tui_opt.drawn import Drawn, value_range
from tui_opt.figure import Axis, Figure, Heatmap, Path, Ref
from tui_opt.render.heatmap import UNKNOWN, levels
from tui_opt.render.palette import (
    LEVELS,
    SERIES_RGB,
    color_map,
    color_name,
    is_light,
    map_colors,
    series_color,
)
from tui_opt.render.terminal import figure_text
from tui_opt.scales import cell_edges
from tui_opt.scene import Scene, prepare


def scene_of(z: np.ndarray, **look: object) -> tuple[Scene, Drawn]:
    rows, columns = z.shape
    layer = Heatmap(
        x=tuple(float(k) for k in range(columns)),
        y=tuple(float(k) for k in range(rows)),
        z=Ref(array="z"),
        **look,  # type: ignore[arg-type]
    )
    scene = prepare(Figure(name="f", title="t", layers=(layer,)), {"z": z})
    return scene, scene.drawn[0]


def levels_of(z: np.ndarray, columns: int, rows: int, count: int = 10, **look: object) -> np.ndarray:
    scene, drawn = scene_of(z, **look)
    assert scene.x is not None
    assert scene.y is not None
    return levels(drawn, value_range(drawn), scene.x, scene.y, columns, rows, count)


def test_row_zero_of_a_matrix_is_at_the_bottom_and_cells_are_enlarged_whole() -> None:
    z = np.array([[0.0, 1.0], [2.0, 3.0]])
    expected = np.repeat(np.repeat(np.array([[6, 9], [0, 3]]), 3, axis=0), 4, axis=1)
    assert (levels_of(z, 8, 6) == expected).all()


def test_many_cells_in_a_pixel_show_their_mean() -> None:
    z = np.zeros((2, 100))
    z[:, 50:] = np.tile([0.0, 10.0], 25)
    assert levels_of(z, 2, 2).tolist() == [[0, 5], [0, 5]]


def test_logarithmic_values_are_averaged_in_the_logarithm() -> None:
    z = np.zeros((1, 4)) + np.array([1.0, 1.0, 1.0, 1e4])
    assert levels_of(z, 2, 1, scale="log").tolist() == [[0, 5]]


def test_unknown_stays_unknown() -> None:
    z = np.array([[0.0, np.nan], [np.inf, 1.0]])
    assert (levels_of(z, 2, 2) == np.array([[UNKNOWN, 9], [0, UNKNOWN]])).all()


def test_a_diverging_map_has_its_middle_at_zero() -> None:
    _, drawn = scene_of(np.array([[-1.0, 3.0]]), diverging=True)
    assert (value_range(drawn).low, value_range(drawn).high, value_range(drawn).middle()) == (-3.0, 3.0, 0.0)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e308])
def test_a_constant_matrix_has_one_level(value: float) -> None:
    assert len(np.unique(levels_of(np.full((3, 3), value), 6, 6))) == 1


def test_values_over_the_whole_range_of_doubles_are_placed() -> None:
    z = np.array([[-1.7e308, 0.0, 1.7e308]])
    assert levels_of(z, 3, 1).tolist() == [[0, 5, 9]]


def test_borders_lie_half_way_in_the_scale_of_the_axis() -> None:
    assert cell_edges(np.array([0.0, 1.0, 3.0]), log=False).tolist() == [-0.5, 0.5, 2.0, 4.0]
    assert cell_edges(np.array([1.0, 100.0]), log=True) == pytest.approx([0.1, 10.0, 1000.0])


def test_a_frame_says_what_its_colours_mean() -> None:
    layer = Heatmap(x=(0, 1), y=(0, 1), z=Ref(array="z"), label="loss", unit="nats", scale="log")
    figure = Figure(name="f", title="t", layers=(layer,))
    z = {"z": np.array([[1.0, 10.0], [100.0, 0.0]])}
    text = figure_text(figure, z, width=80, height=14, colors="256").plain
    last = text.split("\n")[-2:]
    assert last[0].startswith("loss [nats] (log)  1 █")
    assert " 10 █" in last[0]
    assert last[0].endswith("█ 100")
    assert "1 zero or negative on a log axis" in last[1]


@pytest.mark.parametrize("unicode", [True, False])
def test_without_colour_values_are_a_ramp_and_the_overlay_is_seen(unicode: bool) -> None:
    heat = Heatmap(x=(0, 1, 2), y=(0, 1, 2), z=Ref(array="z"))
    figure = Figure(name="f", title="t", layers=(heat, Path(x=(0, 2), y=(1, 1), label="path")))
    z = {"z": np.arange(9.0).reshape(3, 3)}
    text = figure_text(figure, z, width=60, height=20, colors="none", unicode=unicode).plain
    assert text.index("@") < text.index(".")  # large values are at the top here
    assert ("⠤" in text or "⠒" in text or "⣀" in text or "⠉" in text) == unicode
    assert ("*" * 30 in text) != unicode


def test_an_unknown_cell_is_blank_in_colour_too() -> None:
    heat = Heatmap(x=(0, 1), y=(0,), z=Ref(array="z"))
    figure = Figure(name="f", title="", x=Axis(), layers=(heat,))
    text = figure_text(figure, {"z": np.array([[np.nan, 1.0]])}, width=40, height=12, colors="truecolor")
    line = text.split("\n")[2]
    shown = [s for s in line.spans if getattr(s.style, "bgcolor", None)]
    assert len(shown) == 1
    assert shown[0].end - shown[0].start == pytest.approx((len(line.plain) - shown[0].start), abs=1)
    assert shown[0].start > 15


# --- colours ------------------------------------------------------------------------------------------------


def luminance(rgb: tuple[int, int, int]) -> float:
    channels = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in rgb]
    return float(np.dot((0.2126, 0.7152, 0.0722), channels))


def lightness(rgb: tuple[int, int, int]) -> float:
    """CIE L*, a measure of lightness other than the one the map is built with."""
    y = luminance(rgb)
    return 116 * float(np.cbrt(y)) - 16 if y > 216 / 24389 else 24389 / 27 * y


def test_the_sequential_map_rises_in_even_steps_of_lightness() -> None:
    steps = np.diff([lightness(rgb) for rgb in color_map(False)])
    assert len(color_map(False)) == LEVELS
    assert (steps > 0).all()
    assert steps.max() < 2 * steps.mean()


def test_the_diverging_map_is_lightest_in_the_middle() -> None:
    light = np.array([lightness(rgb) for rgb in color_map(True)])
    assert (np.diff(light[: LEVELS // 2]) > 0).all()
    assert (np.diff(light[LEVELS // 2 :]) < 0).all()


@pytest.mark.parametrize("diverging", [True, False])
def test_256_colours_stay_close_to_the_map(diverging: bool) -> None:
    names = map_colors(diverging, "256")
    assert len(set(names)) >= 12
    for name, rgb in zip(names, color_map(diverging, len(names)), strict=True):
        assert abs(lightness(tuple(Color.parse(name).get_truecolor())) - lightness(rgb)) < 12


def test_a_colour_of_the_cube_is_itself() -> None:
    assert color_name((95, 135, 175), "256") == "color(67)"
    assert color_name((8, 8, 8), "256") == "color(232)"
    assert color_name((86, 180, 233), "truecolor") == "#56b4e9"


@pytest.mark.parametrize("colors", ["standard", "256", "truecolor"])
def test_series_colours_differ(colors: str) -> None:
    assert len({series_color(k, colors) for k in range(len(SERIES_RGB))}) == len(SERIES_RGB)  # type: ignore[arg-type]


def test_marks_over_a_map_are_readable_on_every_level() -> None:
    for diverging in (True, False):
        for rgb in color_map(diverging):
            ink, ground = (0.0 if is_light(rgb) else 1.0), luminance(rgb)
            contrast = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
            assert contrast > 4.5  # the ratio asked of body text
