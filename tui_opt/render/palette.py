"""Colours and marks: a colour-blind-safe set for series and perceptual maps for heatmaps, in every colour depth."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

Colors = Literal["none", "standard", "256", "truecolor"]
RGB = tuple[int, int, int]

# Reference: Okabe and Ito, "Color Universal Design" (2008); ordered by contrast on dark and light grounds.
SERIES_RGB: tuple[RGB, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (0, 114, 178), (240, 228, 66),
)  # fmt: skip
_SERIES_STANDARD = ("cyan", "yellow", "green", "red", "magenta", "blue", "bright_yellow")
# On white paper, yellow and sky blue are too pale for a thin line.
IMAGE_RGB: tuple[RGB, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (90, 90, 90),
)  # fmt: skip
LINE_MARKS = "●■▲◆▼★"
POINT_MARKS = "┼×○□△◇"
ASCII_MARKS = "*ox#@%&$"
DENSITY_RAMP = ".:-=+*#%@"
LEVELS = 24  # in true colour, whose codes are long; more would make a frame larger than they make it better
_LEVELS_IN_256 = 16  # there are not many more that differ, and a frame's bytes grow with them
_EVEN_CONTRAST = math.sqrt(1.05 * 0.05) - 0.05  # the luminance on which black and white look alike

_LIGHTNESS_CHROMA_HUE = {
    "sequential": ((0.27, 0.11, 315.0), (0.93, 0.17, 105.0)),
    "low": ((0.38, 0.14, 255.0), (0.95, 0.0, 255.0)),
    "high": ((0.95, 0.0, 45.0), (0.45, 0.16, 35.0)),
}
# Steps of equal direction in lightness; the two halves of the diverging one meet in white.
_STANDARD_SEQUENTIAL = ("blue", "bright_blue", "cyan", "bright_green", "bright_yellow", "bright_white")
_STANDARD_DIVERGING = (
    "blue",
    "bright_blue",
    "bright_cyan",
    "bright_white",
    "bright_yellow",
    "bright_red",
    "red",
)


def _oklch_to_linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Linear sRGB of an OKLCH colour.

    Reference: Ottosson, "A perceptual color space for image processing" (2020).
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * encoded)


def _oklch(lightness: float, chroma: float, hue: float) -> RGB:
    """The sRGB colour of this lightness and hue, with as much of the chroma as the screen can show."""
    while chroma > 0 and not all(-1e-4 <= c <= 1 + 1e-4 for c in _oklch_to_linear(lightness, chroma, hue)):
        chroma = max(0.0, chroma - 0.002)
    red, green, blue = (_encode(c) for c in _oklch_to_linear(lightness, chroma, hue))
    return red, green, blue


def _decode(encoded: int) -> float:
    share = encoded / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _oklab(rgb: RGB) -> tuple[float, float, float]:
    """Lightness and the two colour axes of OKLab, in which distances are those the eye sees."""
    red, green, blue = (_decode(c) for c in rgb)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


@cache
def _cube_and_greys() -> tuple[tuple[int, tuple[float, float, float]], ...]:
    """Numbers 16 to 255 of the 256 colours, which no terminal theme changes, in OKLab."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = [(r, g, b) for r in steps for g in steps for b in steps]
    greys = [(v, v, v) for v in range(8, 248, 10)]
    return tuple((16 + i, _oklab(rgb)) for i, rgb in enumerate(cube + greys))


def _ramp(name: str, count: int) -> list[RGB]:
    start, end = _LIGHTNESS_CHROMA_HUE[name]
    steps = [i / (count - 1) for i in range(count)]
    return [_oklch(*((1 - t) * s + t * e for s, e in zip(start, end, strict=True))) for t in steps]


@cache
def color_map(diverging: bool, levels: int = LEVELS) -> tuple[RGB, ...]:
    """A map whose lightness changes evenly: dark violet over teal to yellow, or blue over white to vermilion."""
    if not diverging:
        return tuple(_ramp("sequential", levels))
    half = levels // 2
    return tuple(_ramp("low", half) + _ramp("high", levels - half))


@cache
def map_colors(diverging: bool, colors: Colors) -> tuple[str, ...]:
    """The map's levels as rich colour names in a colour depth; fewer levels in 16 colours, none without colour."""
    if colors == "none":
        return ()
    if colors == "standard":
        return _STANDARD_DIVERGING if diverging else _STANDARD_SEQUENTIAL
    levels = LEVELS if colors == "truecolor" else _LEVELS_IN_256
    return tuple(color_name(rgb, colors) for rgb in color_map(diverging, levels))


@cache
def color_name(rgb: RGB, colors: Colors) -> str:
    """The name rich gives to a colour, or to that of the 256 which looks most like it."""
    if colors == "truecolor":
        return "#{:02x}{:02x}{:02x}".format(*rgb)
    wanted = _oklab(rgb)
    return f"color({min(_cube_and_greys(), key=lambda entry: math.dist(entry[1], wanted))[0]})"


def series_color(slot: int, colors: Colors) -> str:
    """The colour of the series in a slot, as rich names it; empty without colour."""
    if colors == "none":
        return ""
    if colors == "standard":
        return _SERIES_STANDARD[slot % len(_SERIES_STANDARD)]
    return color_name(SERIES_RGB[slot % len(SERIES_RGB)], colors)


def is_light(rgb: RGB) -> bool:
    """Whether black marks have more contrast on this colour than white ones, in the measure of WCAG 2."""
    red, green, blue = (_decode(c) for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > _EVEN_CONTRAST
