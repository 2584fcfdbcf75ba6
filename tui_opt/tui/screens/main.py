"""The main screen: scenarios and runs on the left, the stage in the middle, the form on the right.

The first frame is the tree alone; everything else is mounted after it has been painted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Horizontal, Vertical

from tui_opt.tui.commands import PlaceCommands
from tui_opt.tui.screens.panes import PaneScreen
from tui_opt.tui.widgets.key_line import KeyLine
from tui_opt.tui.widgets.scenario_tree import Place, ScenarioTree
from tui_opt.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from textual.widgets import Input, Tree

    from tui_opt.tui.desk import Desk
    from tui_opt.tui.mailbox import Mailbox
    from tui_opt.tui.settings import Keeper
    from tui_opt.tui.terminal import Terminal
    from tui_opt.tui.widgets.form import Form
    from tui_opt.tui.widgets.run_list import RunList
    from tui_opt.tui.widgets.stage import Stage
    from tui_opt.tui.widgets.tab_line import TabLine
    from tui_opt.tui.workbench import Workbench


class MainScreen(PaneScreen):
    """What the app shows. Keys become requests to the workbench; what comes back by letter is handed to it.

    Args:
        desk: carries out what may have to wait.
        mailbox: where drawings go.
        terminal: what can be shown.
        settings: what is remembered.
    """

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {PlaceCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "run", id="run", tooltip="run what the form says"),
        Binding("f5", "run", "run", show=False, id="run_anywhere", tooltip="run what the form says"),
        Binding(
            "x", "cancel", "cancel", id="cancel", tooltip="cancel the run at the cursor, or on the stage"
        ),
        Binding("l", "live", "live", id="live", tooltip="live mode on or off"),
        Binding("k", "keep", "keep", id="keep", tooltip="keep the live run"),
        Binding(
            "d", "defaults", "defaults", id="defaults", tooltip="put every parameter back to its default"
        ),
        Binding("s", "save", "save", id="save", tooltip="save the form as a scenario file"),
        Binding("o", "open", "open", id="open", tooltip="open a scenario file"),
        Binding("slash", "filter", "filter", key_display="/", id="filter", tooltip="filter the tree"),
        Binding(
            "left_square_bracket",
            "figure(-1)",
            "previous figure",
            key_display="[",
            show=False,
            id="previous_figure",
        ),
        Binding(
            "right_square_bracket", "figure(1)", "next figure", key_display="]", show=False, id="next_figure"
        ),
        Binding(
            "a",
            "play",
            "play",
            show=False,
            id="play",
            tooltip="animate: play the pictures over time, or stop",
        ),
        Binding(
            "z",
            "zoom",
            "zoom",
            show=False,
            id="zoom",
            tooltip="give the chart the whole screen, or take it back",
        ),
        Binding("1", "pane('scenarios')", "scenarios", show=False, id="pane.scenarios"),
        Binding("2", "pane('stage')", "chart", show=False, id="pane.stage"),
        Binding("3", "pane('parameters')", "parameters", show=False, id="pane.parameters"),
        Binding("4", "pane('runs')", "runs", show=False, id="pane.runs"),
        Binding("tab", "app.focus_next", "next pane", key_display="tab", id="next_pane"),
        Binding("shift+tab", "app.focus_previous", "previous pane", show=False, id="previous_pane"),
        Binding("question_mark", "help", "help", key_display="?", id="help"),
        Binding("q", "leave", "quit", id="leave"),
        Binding("escape", "dismiss_notice", "put a message away", show=False, id="dismiss"),
    ]

    def __init__(self, desk: Desk, mailbox: Mailbox, terminal: Terminal, settings: Keeper) -> None:
        super().__init__()
        self._desk = desk
        self._mailbox = mailbox
        self._terminal = terminal
        self._settings = settings
        self._bench: Workbench | None = None
        self._waiting: list[object] = []
        self._wanted_place: Place | None = None

    # --- building up ----------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        unicode = self._terminal.unicode
        yield StatusLine(unicode=unicode, id="status")
        with Horizontal(id="body"), Vertical(id="left"):
            yield ScenarioTree(self.scenarios, unicode=unicode, id="tree")
        yield KeyLine(unicode=unicode, id="keys")

    def on_mount(self) -> None:
        """Show the tree first; the rest follows when that has been painted."""
        self.add_class("pane-scenarios")
        self.query_one(ScenarioTree).focus()
        self.call_after_refresh(self._furnish)

    async def _furnish(self) -> None:
        """Mount what the first frame does without."""
        from tui_opt.tui.widgets.form import Form
        from tui_opt.tui.widgets.run_list import RunList
        from tui_opt.tui.widgets.stage import Stage
        from tui_opt.tui.widgets.tab_line import TabLine
        from tui_opt.tui.workbench import Workbench

        unicode = self._terminal.unicode
        body = self.query_one("#body", Horizontal)
        left = self.query_one("#left", Vertical)
        await left.mount(RunList(unicode=unicode, id="runs"))
        side = Vertical(Form(id="form"), TabLine(id="buttons", marked=False), id="parameters")
        await body.mount(Stage(id="stage"), side)
        self.query_one("#tree").border_title = "Scenarios"
        self.query_one("#runs").border_title = "Runs"
        side.border_title = "Parameters"
        self._bench = Workbench(self, self._desk, self._mailbox, self._terminal, self._settings)
        self._bench.start()
        for letter in self._waiting:
            self._bench.receive(letter)
        self._waiting.clear()
        if self._wanted_place is not None:
            self._bench.open_place(self._wanted_place)

    @property
    def bench(self) -> Workbench | None:
        """What holds the state of the work, None until everything is mounted."""
        return self._bench

    def receive(self, letter: object) -> None:
        """Take a letter from a background thread."""
        if self._bench is None:
            self._waiting.append(letter)
        else:
            self._bench.receive(letter)

    def on_descendant_focus(self) -> None:
        """What a cursor was on is of no interest any more once the keys are with the stage or the form."""
        if self._bench is not None and self.pane_with_keys in ("stage", "parameters"):
            self._bench.tell_status()

    # --- keys -----------------------------------------------------------------------------------------------

    def open_place(self, place: Place) -> None:
        """Open an experiment or a preset, as soon as there is a form to open it in."""
        self._wanted_place = place
        if self._bench is not None:
            self._bench.open_place(place)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Place]) -> None:
        """Titles of presets are longer than the tree is wide."""
        place = event.node.data
        if self._bench is not None and place is not None and self.focused is event.control:
            self._bench.pointed_at(place)

    def on_scenario_tree_picked(self, event: ScenarioTree.Picked) -> None:
        """Something was chosen in the tree."""
        self.open_place(event.place)

    def action_run(self) -> None:
        """Run what the form says."""
        if self._bench is not None:
            self._bench.run()

    def action_cancel(self) -> None:
        """Stop the run under the cursor of the list, or else the one on the stage."""
        if self._bench is not None:
            self._bench.cancel()

    def action_live(self) -> None:
        """Run cheap experiments at every change, or stop doing so."""
        if self._bench is not None:
            self._bench.toggle_live()

    def action_keep(self) -> None:
        """Make the live run one that lasts."""
        if self._bench is not None:
            self._bench.keep()

    def action_defaults(self) -> None:
        """Put every parameter back to its default."""
        if self._bench is not None:
            self._bench.reset()

    def action_figure(self, figures: int) -> None:
        """Go to another figure."""
        from tui_opt.tui.widgets.stage import Stage

        for stage in self.query(Stage):
            stage.turn_figure(figures)

    def action_play(self) -> None:
        """Play the pictures over time, or stop."""
        from tui_opt.tui.widgets.stage import Stage

        for stage in self.query(Stage):
            if not stage.play():
                self.query_one(StatusLine).say("This run has no pictures over time to play.")

    def action_zoom(self) -> None:
        """Give the stage the whole screen, or take that back."""
        self.toggle_class("zoomed")
        self.show_pane("stage")

    def action_save(self) -> None:
        """Write the form as a scenario file."""
        if self._bench is not None:
            self._bench.save()

    def action_open(self) -> None:
        """Read a scenario file into the form."""
        if self._bench is not None:
            self._bench.open_file()

    def action_dismiss_notice(self) -> None:
        """Put a message away."""
        self.query_one(StatusLine).dismiss()

    def action_help(self) -> None:
        """Show every key there is."""
        from tui_opt.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self, unicode=self._terminal.unicode))

    def leave(self) -> None:
        """Leave the app; runs under way are asked about first."""
        from tui_opt.tui.screens.quit import QuitScreen

        if isinstance(self.app.screen, QuitScreen):
            return
        active = self._desk.active_of_ours()
        if not active:
            self.app.exit()
            return
        self.app.push_screen(QuitScreen(active), self._left)

    def _left(self, answer: str | None) -> None:
        if answer == "cancel":
            self._desk.cancel_ours()  # which lets the app go when it is done
        elif answer == "leave":
            self.app.exit()

    def action_leave(self) -> None:
        """Leave the app."""
        self.leave()

    # --- the filter -----------------------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Type words that the tree's entries must have."""
        from tui_opt.tui.widgets.filter_line import FilterLine

        self.show_pane("scenarios")
        found = self.query(FilterLine)
        if not found:
            await self.query_one("#left", Vertical).mount(FilterLine(id="filter-line"), before="#tree")
        self.set_focus(self.query_one(FilterLine))  # at once: its first letter may have been typed already

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if event.input.id == "filter-line":
            self.query_one(ScenarioTree).filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to what is left."""
        if event.input.id == "filter-line":
            self.set_focus(self.query_one(ScenarioTree))

    # --- messages of the widgets ----------------------------------------------------------------------------

    def on_form_changed(self, event: Form.Changed) -> None:
        """The form has other values."""
        if self._bench is not None:
            self._bench.form_changed(event.draft)

    def on_stage_wanted(self, event: Stage.Wanted) -> None:
        """A page came into sight, or has another size."""
        if self._bench is not None:
            self._bench.wanted()

    def on_run_list_asked(self, event: RunList.Asked) -> None:
        """Something is to be done with a run."""
        if self._bench is not None:
            self._bench.run_asked(event.what, event.row)

    def on_run_list_pointed(self, event: RunList.Pointed) -> None:
        """The list's lines are short; what they leave out stands in the status line."""
        from tui_opt.tui.widgets.run_list import words

        self.query_one(StatusLine).point(words(event.row))

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        """A button was clicked."""
        if self._bench is not None and event.line.id == "buttons":
            self._bench.button(event.index)
