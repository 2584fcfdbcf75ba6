"""The parameter form: one row a value, arrow keys to move and to step, Enter to type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.actions import parse
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_opt.tui.draft import DEVICE, Draft
from tui_opt.tui.stepping import step
from tui_opt.tui.unicode import knows_unicode
from tui_opt.tui.widgets.field import Field, note_about
from tui_opt.tui.widgets.form_rows import (
    ASCII,
    UNICODE,
    Row,
    complaint_text,
    fitted,
    help_text,
    problem_key,
    steps,
    swept_values,
    value_column,
)
from tui_opt.tui.widgets.form_view import FormView

_WIDE = 64  # columns from which the help stands beside the rows
_MOST_UNDO = 200
#: what is also possible while a value is typed.
_WHILE_TYPING = {"move", "cancel_edit"}


class Form(Container):
    """Edits a draft. `Changed` carries every new one; what is wrong with it, the draft itself knows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "previous row", id="form.up", show=False),
        Binding("down", "move(1)", "next row", id="form.down", show=False),
        Binding("pageup", "move(-10)", "ten rows up", id="form.page-up", show=False),
        Binding("pagedown", "move(10)", "ten rows down", id="form.page-down", show=False),
        Binding("home", "move(-10000)", "first row", id="form.first", show=False),
        Binding("end", "move(10000)", "last row", id="form.last", show=False),
        Binding("right", "step(True)", "a step up", id="form.step-up", show=False),
        Binding("left", "step(False)", "a step down", id="form.step-down", show=False),
        Binding("shift+right", "step(True, True)", "a decade up", id="form.leap-up", show=False),
        Binding("shift+left", "step(False, True)", "a decade down", id="form.leap-down", show=False),
        Binding("enter,f2", "edit", "edit", id="form.edit"),
        Binding("escape", "cancel_edit", "leave the value as it was", id="form.cancel", show=False),
        Binding("plus,insert", "add", "add an entry to a list", id="form.add", show=False),
        Binding("minus,delete", "remove", "remove an entry or a sweep", id="form.remove", show=False),
        Binding("backspace", "reset_value", "default of this row", id="form.reset-value", show=False),
        Binding("u,ctrl+z", "undo", "undo", id="form.undo", show=False),
    ]
    DEFAULT_CSS = """
    Form {
        layers: base field;
        layout: vertical;
        height: 1fr;
        width: 1fr;
        min-height: 3;

        & > #form-help { height: 2; width: 1fr; color: $text-muted; }
        &.-wide { layout: horizontal; }
        &.-wide > FormView { width: 46; }
        &.-wide > #form-help { height: 1fr; padding: 0 0 0 2; }
    }
    """

    @dataclass
    class Changed(Message):
        """The user changed something."""

        draft: Draft

    def __init__(
        self, draft: Draft | None = None, *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._draft = draft
        self._past: list[Draft] = []
        self._stepped: Row | None = None  # the row that the last change stepped
        self._editing: Row | None = None
        self._before_adding: Draft | None = None
        self._signs = UNICODE if knows_unicode() else ASCII
        self._view = FormView(self._signs, self._take_key)
        self._field = Field()
        self._help = Static(id="form-help", markup=False)

    def compose(self) -> ComposeResult:
        """The rows, the help, and the field that is laid over a row."""
        yield self._view
        yield self._help
        yield self._field

    def on_mount(self) -> None:
        self._view.show(self._draft)
        self._say()

    # --- for others ----------------------------------------------------------------------------------------

    @property
    def draft(self) -> Draft | None:
        """What is being edited."""
        return self._draft

    @property
    def current(self) -> Row | None:
        """The row the cursor is on."""
        return self._view.current_row

    @property
    def is_editing(self) -> bool:
        """Whether a value is being typed."""
        return self._editing is not None

    def show(self, draft: Draft | None) -> None:
        """Put another draft in, without a message. Of the same experiment it can be undone, and the row is kept."""
        self._stop_editing()
        old, self._draft = self._draft, draft
        same = old is not None and draft is not None and old.experiment.name == draft.experiment.name
        self._stepped = None
        if not same or old is None:
            self._past.clear()
            self._view.current = 0
        elif old != draft:
            self._past.append(old)
        self._view.show(draft, self.current if same else None)
        self._say()

    def reset(self) -> None:
        """Every default again."""
        self._stop_editing()
        if self._draft is not None:
            self._change(self._draft.reset())

    def go_to(self, name: str, entry: int | None = None) -> None:
        """Put the cursor on a parameter's row."""
        self.accept()
        wanted = (row for row in self._view.rows if row.can_be_current and row.name == name)
        row = next((row for row in wanted if entry is None or row.entry == entry), None)
        if row is not None:
            self._view.select(self._view.rows.index(row))
            self._stepped = None
            self._say()

    def go_to_problem(self) -> bool:
        """Put the cursor on the first row with something wrong; False where nothing is."""
        draft = self._draft
        if draft is None:
            return False
        for row in self._view.rows:
            if row.can_be_current and draft.has_problem(problem_key(row), row.entry):
                self._view.select(self._view.rows.index(row))
                self._say()
                return True
        return False

    def accept(self) -> None:
        """Take over what is being typed, if anything is."""
        if self._editing is not None:
            self._take(self._field.value)

    @property
    def focus_target(self) -> Widget:
        """What takes the keys: the rows, or the field in which a value is typed."""
        return self._view if self._editing is None else self._field

    def focus(self, scroll_visible: bool = True) -> Form:
        """Focus the rows."""
        self._view.focus(scroll_visible)
        return self

    # --- changing ------------------------------------------------------------------------------------------

    def _change(self, draft: Draft, row: Row | None = None, *, stepped: Row | None = None) -> None:
        """Make a draft the current one; steps of one row, one after another, are undone together.

        Args:
            draft: the new one.
            row: where the cursor goes; where it is, unless said.
            stepped: the row, where the change is a step of its value.
        """
        if self._draft is None or draft == self._draft:
            self._view.show(self._draft, self.current)
            return
        if stepped is None or stepped != self._stepped:
            self._past.append(self._draft)
            del self._past[:-_MOST_UNDO]
        self._stepped = stepped
        self._put(draft, row)

    def _put(self, draft: Draft, row: Row | None = None) -> None:
        self._draft = draft
        self._view.show(draft, row or self.current)
        self._say()
        self.post_message(self.Changed(draft))

    def _say(self) -> None:
        """What is wrong with the current row, then its help, as much as there is room for."""
        row, size = self.current, self._help.content_size
        if self._draft is None or row is None:
            self._help.update("")
            return
        wrong, text = complaint_text(self._draft, row), help_text(self._draft, row)
        complaint = fitted(self._signs.spell(wrong), size.width, size.height)
        lines = fitted(self._signs.spell(text), size.width, size.height - len(complaint))
        styled = [Content.styled(line, "$text-error") for line in complaint]
        self._help.update(Content("\n").join([*styled, *map(Content, lines)]))

    # --- actions -------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a value is typed the keys are the field's."""
        if action == "cancel_edit":
            return self.is_editing
        return not self.is_editing or action in _WHILE_TYPING

    def action_move(self, rows: int) -> None:
        """Go up or down; what was typed is taken over."""
        self.accept()
        self._view.select(self._view.current + rows, 1 if rows > 0 else -1)
        self._stepped = None
        self._say()

    def action_step(self, up: bool, coarse: bool = False) -> None:
        """Change the current value by a step."""
        row = self.current
        if self._draft is None or row is None or not steps(self._draft, row):
            return
        value = step(self._draft.specs[row.name], self._draft.value(row.name), up, coarse=coarse)
        self._change(self._draft.put(row.name, value), stepped=row)

    def action_edit(self) -> None:
        """Type the current value; a single choice or flag goes on to the next instead."""
        row = self.current
        if self._draft is None or row is None or row.kind == "axis" or swept_values(self._draft, row.name):
            return
        if row.kind == "empty":
            self.action_add()
        elif self._cycles(row):
            self.action_step(True)
        else:
            self._edit(row)

    def _cycles(self, row: Row) -> bool:
        """Whether the row's value is one of a few, which one walks through."""
        draft = self._draft
        few = draft is not None and draft.specs[row.name].kind in ("choice", "flag") and row.name != DEVICE
        return few and draft is not None and not isinstance(draft.value(row.name), tuple)

    def action_cancel_edit(self) -> None:
        """Leave the value as it was."""
        before, row = self._before_adding, self._editing
        self._stop_editing()
        if before is not None and row is not None:
            self._draft = before
            self._view.show(before, Row("entry", row.name, max((row.entry or 0) - 1, 0)))
        self._say()

    def action_add(self) -> None:
        """Type a further entry of a list, below the current one."""
        row = self.current
        if self._draft is None or row is None or not self._draft.has_entries(row.name):
            return
        place = 0 if row.entry is None else row.entry + 1
        self._before_adding, self._draft = self._draft, self._draft.add_entry(row.name, place)
        added = Row("entry", row.name, place)
        self._view.show(self._draft, added)
        self._edit(added)

    def action_remove(self) -> None:
        """Remove the current entry of a list, or the sweep over the current parameter."""
        row = self.current
        if self._draft is None or row is None:
            return
        if row.kind == "axis" or swept_values(self._draft, row.name):
            self._change(self._draft.drop_axis(row.name))
        elif row.entry is not None:
            shorter = self._draft.remove_entry(row.name, row.entry)
            if shorter is self._draft:
                self._help.update(Content(f"{row.name} {self._draft.specs[row.name].too_few}"))
                return
            last = len(shorter.values[row.name]) - 1
            self._change(shorter, Row("entry", row.name, min(row.entry, last)))

    def action_reset_value(self) -> None:
        """Give the current row its default."""
        row = self.current
        if self._draft is not None and row is not None and row.kind in ("value", "entry"):
            self._change(self._draft.reset_value(row.name, row.entry))

    def action_undo(self) -> None:
        """Go back to before the last change."""
        self._stepped = None
        if self._past:
            self._put(self._past.pop())

    # --- typing --------------------------------------------------------------------------------------------

    def _edit(self, row: Row) -> None:
        assert self._draft is not None
        self._editing = row
        self._note(self._draft.text(row.name, row.entry))
        self._place_field()
        self._field.begin(self._draft.text(row.name, row.entry), replace=row.entry is None)

    def _note(self, text: str) -> None:
        if self._draft is None or self._editing is None:
            return
        width = self._view.columns
        column = value_column(self._draft, self._editing, width)
        scrolled = round(self._field.scroll_offset.x)
        self._view.note(
            note_about(self._draft, self._editing, text, width=width, column=column, scrolled=scrolled)
        )

    def _place_field(self) -> None:
        """Lay the field over the value of the row that is edited."""
        if self._draft is None or self._editing is None:
            return
        width = self._view.columns
        column = value_column(self._draft, self._editing, width)
        corner = self._view.region.offset - self.content_region.offset
        line = self._view.line_of_current
        self._field.styles.offset = (corner.x + column, corner.y + line)
        self._field.styles.width = max(width - column, 1)
        self._field.styles.visibility = "visible" if 0 <= line < self._view.size.height else "hidden"

    def _take(self, text: str) -> None:
        """End typing with this text."""
        row, before = self._editing, self._before_adding
        self._stop_editing()
        if self._draft is None or row is None:
            return
        if before is None:
            if text != self._draft.text(row.name, row.entry):
                self._change(self._draft.typed(row.name, text, row.entry))
            return
        self._draft = before
        if text.strip() and row.entry is not None:
            self._change(before.add_entry(row.name, row.entry, text.strip()), row)
        else:
            self._view.show(before)
        self._say()

    def _stop_editing(self) -> None:
        if self._editing is None:
            return
        self._editing = self._before_adding = None
        had_focus = self._field.has_focus
        self._field.end()
        self._view.note(())
        if had_focus:
            self.screen.set_focus(self._view)

    def _take_key(self, event: events.Key) -> bool:
        """Do at once what a key of the rows is bound to.

        Bindings alone are looked up by the app, later: of keys that arrive together, those after Enter would be lost.
        They were sent to the rows, and belong to the field.
        """
        if self.is_editing:
            self._field.post_message(events.Key(event.key, event.character))
            return True
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            _, name, parameters = parse(binding.action)
            if self.check_action(name, parameters):
                getattr(self, f"action_{name}")(*parameters)
                return True
        return False

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._editing is not None:
            self.call_after_refresh(self._note_typed)

    def _note_typed(self) -> None:
        """The note, once the field has scrolled to where the cursor is."""
        if self._editing is not None:
            self._note(self._field.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.accept()

    @on(Input.Blurred)
    def _left(self, event: Input.Blurred) -> None:
        event.stop()
        if self.app.app_focus and not self._field.has_focus:
            self.accept()  # the user went elsewhere; a terminal that lost the focus comes back to the field

    # --- mouse and size ------------------------------------------------------------------------------------

    @on(FormView.Pressed)
    def _pressed(self, event: FormView.Pressed) -> None:
        event.stop()
        row = event.row
        was_current = row == self.current
        self.accept()
        self.screen.set_focus(self._view)
        if row not in self._view.rows:
            return
        self._view.select(self._view.rows.index(row))
        self._say()
        if was_current and event.role in ("lower", "higher"):
            self.action_step(event.role == "higher")
        elif event.twice:
            self.action_edit()

    @on(FormView.Moved)
    def _moved(self, event: FormView.Moved) -> None:
        event.stop()
        self._place_field()

    def on_resize(self, event: events.Resize) -> None:
        wide = event.size.width >= _WIDE
        self.set_class(wide, "-wide")
        if not wide:
            self._help.styles.height = 4 if event.size.width < 50 and event.size.height >= 18 else 2
        else:
            self._help.styles.height = None
        self.call_after_refresh(self._say)
