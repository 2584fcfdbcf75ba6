"""The legend below a plot: a swatch and a label for each series, flowing over as few lines as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tui_opt.render.numbers import format_number
from tui_opt.render.wrap import clean, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.style import Style

    from tui_opt.render.layers import Look
    from tui_opt.scene import Scene

_GAP = "   "
_RULE_SWATCHES = {"x": ("┊", "|"), "y": ("╌╌", "--")}


def series_items(
    scene: Scene, looks: dict[int, Look], style: Callable[[int], Style | str], *, unicode: bool
) -> list[Text]:
    """One item per labelled series, in the figure's order; layers of one label share an item."""
    items: dict[str, Text] = {}
    labels: dict[str, str] = {}
    for i, look in looks.items():
        drawn = scene.drawn[i]
        if not drawn.label:
            continue
        swatch = _swatch(drawn.kind, look, unicode=unicode)
        item = items.setdefault(drawn.label, Text())
        item.append(f" {swatch}" if item else swatch, style(look.ink))
        shown = labels.get(drawn.label, drawn.label)
        bars = drawn.error is not None and not look.dots and "±" not in shown
        labels[drawn.label] = f"{shown} ±1 se" if bars else shown
    for key, item in items.items():
        item.append(f" {clean(labels[key], unicode=unicode)}")
    return list(items.values())


def rule_items(scene: Scene, places: Sequence[int], style: Style | str, *, unicode: bool) -> list[Text]:
    """One item for each of these rules, with the rule's value, which tells rules apart."""
    items = []
    for i in places:
        rule = scene.rules[i]
        axis = scene.figure.x if rule.axis == "x" else scene.figure.y
        at = f" ({axis.label} = {format_number(rule.value, 5)})" if axis.label else ""
        item = Text(_RULE_SWATCHES[rule.axis][0 if unicode else 1], style)
        items.append(item.append(clean(f" {rule.label}{at}", unicode=unicode), ""))
    return items


def _swatch(kind: str, look: Look, *, unicode: bool) -> str:
    if kind in ("scatter", "density"):
        return "⠶" if look.dots and unicode else look.mark
    if kind in ("band", "histogram"):
        return look.mark * 2
    if not unicode:
        return look.mark * 2
    return f"─{look.mark}─" if look.marked else "──"


def flow(items: Sequence[Text], width: int, *, unicode: bool) -> list[Text]:
    """Lines of at most `width` cells with the items in order; an item wider than a line is shortened."""
    lines: list[Text] = []
    for item in items:
        if item.cell_len > width:
            item = item[: len(shorten(item.plain, width, unicode=unicode)) - (1 if unicode else 3)]
            item.append("…" if unicode else "...", "")
        if lines and lines[-1].cell_len + len(_GAP) + item.cell_len <= width:
            lines[-1].append(_GAP, "").append_text(item)
        else:
            lines.append(item.copy())
    return lines


def fitted(items: Sequence[Text], width: int, count: int, *, unicode: bool) -> list[Text]:
    """The items on at most `count` lines; those left out are counted in the last."""
    if count < 1:
        return []
    for kept in range(len(items), -1, -1):
        rest = [Text(f"+{len(items) - kept} more")] if kept < len(items) else []
        lines = flow([*items[:kept], *rest], width, unicode=unicode)
        if len(lines) <= count:
            return lines
    return []
