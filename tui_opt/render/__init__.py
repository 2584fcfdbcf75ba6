"""Drawing figures, findings and tables: as terminal text and as PNG, SVG and PDF.

The names below load what they need when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui_opt.render.ascii import to_ascii as to_ascii
    from tui_opt.render.errors import RenderError as RenderError
    from tui_opt.render.image import save_figure as save_figure
    from tui_opt.render.numbers import format_number as format_number
    from tui_opt.render.numbers import format_uncertain as format_uncertain
    from tui_opt.render.terminal import figure_text as figure_text
    from tui_opt.render.text import data_table as data_table
    from tui_opt.render.text import findings_table as findings_table
    from tui_opt.render.text import format_finding as format_finding

_HOMES = {
    "to_ascii": "ascii",
    "RenderError": "errors",
    "save_figure": "image",
    "format_number": "numbers",
    "format_uncertain": "numbers",
    "figure_text": "terminal",
    "data_table": "text",
    "findings_table": "text",
    "format_finding": "text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
