"""The rows of a parameter form as data: which there are, and the pieces of text that a row is drawn with."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tui_opt.render.ascii import to_ascii
from tui_opt.tui.draft import DEVICE, SEED, SWEEP, Draft
from tui_opt.tui.stepping import can_step
from tui_opt.tui.typed import clip

GUTTER = 2
_LEAST_VALUE = 11
_SHORTEST_LABEL = 6

Kind = Literal["group", "list", "entry", "empty", "value", "axis"]
#: what a piece is, for its style and for the mouse.
Role = Literal["current", "changed", "error", "heading", "label", "value", "unit", "lower", "higher", "space"]
Piece = tuple[str, Role]


@dataclass(frozen=True)
class Row:
    """A line of the form; the cursor does not stop at groups and heads of lists.

    `entry` is the place in a list whose entries have a row each.
    """

    kind: Kind
    name: str
    entry: int | None = None

    @property
    def can_be_current(self) -> bool:
        """Whether the cursor stops here."""
        return self.kind not in ("group", "list")


@dataclass(frozen=True)
class Signs:
    """The signs that a row is drawn with, and how its texts are spelt."""

    current: str = "›"
    changed: str = "◆"
    lower: str = "◂ "
    higher: str = " ▸"
    rule: str = "─"
    times: str = "×"
    spell: Callable[[str], str] = str
    longer: int = 0  # columns that spelling may add to a value


UNICODE = Signs()
ASCII = Signs(">", "*", "< ", " >", "-", "x", to_ascii, longer=2)


def rows_of(draft: Draft, *, groups: bool) -> list[Row]:
    """The rows of a draft: parameters by group in the order of declaration, seed and device, swept parameters."""
    by_group: dict[str, list[Row]] = {}
    for name, spec in draft.specs.items():
        group = "run" if name in (SEED, DEVICE) else spec.group or "parameters"
        rows = by_group.setdefault(group, [])
        if draft.has_entries(name):
            rows.append(Row("list", name))
            entries = [Row("entry", name, i) for i in range(len(draft.values[name]))]
            rows.extend(entries or [Row("empty", name)])
        else:
            rows.append(Row("value", name))
    if draft.sweep is not None:
        by_group["sweep"] = [Row("axis", axis.name) for axis in draft.sweep.axes]
    return [
        row for group, rows in by_group.items() for row in ([Row("group", group)] if groups else []) + rows
    ]


def swept_values(draft: Draft, name: str) -> int:
    """How many values a swept parameter takes, 0 where it is not swept."""
    axes = draft.sweep.axes if draft.sweep is not None else ()
    return next((len(axis.values) for axis in axes if axis.name == name), 0)


def steps(draft: Draft, row: Row) -> bool:
    """Whether arrow keys change the row's value."""
    if row.kind != "value" or swept_values(draft, row.name):
        return False
    return can_step(draft.spec(row.name), draft.value(row.name))


def problem_key(row: Row) -> str:
    """The name under which the draft knows what is wrong with the row."""
    return SWEEP + row.name if row.kind == "axis" else row.name


def label_width(draft: Draft, width: int) -> int:
    """Columns of the labels: as wide as the widest, as long as values keep theirs."""
    labels = [
        f"{name} {spec.symbol}".rstrip() for name, spec in draft.specs.items() if not draft.has_entries(name)
    ]
    longest = max(map(len, labels), default=0)
    return max(_SHORTEST_LABEL, min(longest, width - GUTTER - 1 - _LEAST_VALUE))


def value_column(draft: Draft, row: Row, width: int) -> int:
    """The column in which the row's value begins."""
    if row.kind == "entry":
        return GUTTER + len(_entry_label(draft, row))
    return GUTTER + label_width(draft, width) + 1


def _entry_label(draft: Draft, row: Row) -> str:
    return f"{row.entry:>{len(str(len(draft.values[row.name]) - 1))}} "


def pieces(
    draft: Draft, row: Row, width: int, *, current: bool = False, signs: Signs = UNICODE
) -> list[Piece]:
    """What a row of `width` columns is drawn with, from left to right."""
    if row.kind == "group":
        text = signs.spell(clip(row.name, width - 4))
        return [(f"{signs.rule} {text} ".ljust(width, signs.rule), "heading")]
    found = [(signs.current if current else " ", "current"), _mark(draft, row, signs)]
    if row.kind == "entry":
        label = _entry_label(draft, row)
        room = width - GUTTER - len(label)
        text = signs.spell(draft.shown(row.name, room - signs.longer, row.entry))
        return [*found, (label, "label"), (_printable(text), "value")]
    columns = label_width(draft, width)
    found.append((_label(draft, row, columns, signs).ljust(columns + 1), "label"))
    room = width - GUTTER - columns - 1
    if row.kind == "value" and current and steps(draft, row):
        text = _value(draft, row, room - len(signs.lower + signs.higher), signs)
        found += [(signs.lower, "lower"), (text, "value"), (signs.higher, "higher")]
    else:
        found.append((_value(draft, row, room, signs), "value"))
    unit = signs.spell(draft.specs[row.name].unit) if _is_number(draft, row) else ""
    left = width - sum(len(text) for text, _ in found)
    if unit and len(unit) < left:
        found.append((f" {unit}", "unit"))
    return found


def role_at(found: Sequence[Piece], column: int) -> Role:
    """What is drawn in a column of a row."""
    for text, role in found:
        if column < len(text):
            return role
        column -= len(text)
    return "space"


def _is_number(draft: Draft, row: Row) -> bool:
    value = draft.value(row.name) if row.kind == "value" and not swept_values(draft, row.name) else None
    first = value[0] if isinstance(value, tuple) and value else value
    return isinstance(first, int | float) and not isinstance(first, bool)


def _mark(draft: Draft, row: Row, signs: Signs) -> Piece:
    if draft.has_problem(problem_key(row), row.entry):
        return ("!", "error")
    changed = row.kind not in ("axis", "empty") and not draft.is_default(row.name, row.entry)
    return (signs.changed if changed else " ", "changed")


def _label(draft: Draft, row: Row, columns: int, signs: Signs) -> str:
    full = signs.spell(f"{row.name} {draft.specs[row.name].symbol}".rstrip())
    return full if len(full) <= columns and row.kind == "value" else clip(row.name, columns)


def _value(draft: Draft, row: Row, room: int, signs: Signs) -> str:
    if row.kind == "list":
        return str(len(draft.values[row.name]))
    if row.kind == "empty":
        return clip("none; + adds one", room)
    if row.kind == "axis":
        return f"{signs.times} {swept_values(draft, row.name)}"
    if swept_values(draft, row.name):
        return "swept"
    return _printable(signs.spell(draft.shown(row.name, max(room - signs.longer, 1))))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


# --- what is said about a row -------------------------------------------------------------------------------


def complaint_text(draft: Draft, row: Row) -> str:
    """What is wrong with the row, empty where nothing is."""
    complaint = draft.complaint(problem_key(row), row.entry)
    return f"! {complaint.sentence}" if complaint else ""


def help_text(draft: Draft, row: Row) -> str:
    """The sentence of the row's parameter and what is allowed."""
    if number := swept_values(draft, row.name):
        if row.kind != "axis":
            return f"Swept over {number} values, see below. Delete ends the sweep over it."
        return f"The run is repeated for {number} values of {row.name}. Delete ends the sweep over it."
    spec = draft.spec(row.name, row.entry)
    return f"{spec.help} {spec.allowed_sentence}"


def fitted(text: str, width: int, lines: int) -> list[str]:
    """A text in at most so many lines, its end cut with an ellipsis where there is more of it."""
    if lines < 1 or width < 1:
        return []
    found = textwrap.wrap(text, width)
    if len(found) > lines:
        last = found[lines - 1]
        found = [*found[: lines - 1], clip(f"{last}…", width) if len(last) < width else f"{last[:-1]}…"]
    return found
