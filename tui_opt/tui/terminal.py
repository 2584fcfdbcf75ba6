"""What the terminal can show."""

from __future__ import annotations

from dataclasses import dataclass

from tui_opt.render.palette import Colors


@dataclass(frozen=True)
class Terminal:
    """Whether it shows more than ASCII, and the colours that charts may use."""

    unicode: bool
    colors: Colors


def chart_colors(color_system: str | None, *, no_color: bool) -> Colors:
    """The colours of charts on a console with the given colour system."""
    if no_color:
        return "none"
    return color_system if color_system in ("standard", "256", "truecolor") else "none"  # type: ignore[return-value]
