"""The state of the work: what the form says, what the stage shows, and which requests follow from a key or a letter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui_opt.problems import ParameterErrors
from tui_opt.tui.dialogs import ask_to_delete, ask_what_to_open, ask_where_to_save
from tui_opt.tui.draft import Draft
from tui_opt.tui.easel import Easel
from tui_opt.tui.letters import Began, Cost, Drawn, Free, Loaded, Notice, Opened, RunsChanged, Seen
from tui_opt.tui.widgets.form import Form
from tui_opt.tui.widgets.run_list import RunList
from tui_opt.tui.widgets.scenario_tree import Place, ScenarioTree
from tui_opt.tui.widgets.stage import Stage
from tui_opt.tui.widgets.status_line import StatusLine
from tui_opt.tui.widgets.tab_line import TabLine
from tui_opt.tui.words import ended_words, home_relative, state_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui_opt.scenario_file import ScenarioFile
    from tui_opt.store import RunRow
    from tui_opt.tui.desk import Desk
    from tui_opt.tui.mailbox import Mailbox
    from tui_opt.tui.run_view import RunView
    from tui_opt.tui.screens.panes import PaneScreen
    from tui_opt.tui.settings import Keeper
    from tui_opt.tui.terminal import Terminal

RUN, DEFAULTS = 0, 1


class Workbench:
    """Lives on the interface's thread; everything that may wait is asked of the desk and the drawer.

    Args:
        screen: the main screen, all of it mounted.
        desk: carries out what may have to wait.
        mailbox: where drawings arrive.
        terminal: what can be shown.
        settings: remembers whether cheap experiments run at every change.
    """

    def __init__(
        self, screen: PaneScreen, desk: Desk, mailbox: Mailbox, terminal: Terminal, settings: Keeper
    ) -> None:
        self._screen = screen
        self._desk = desk
        self._terminal = terminal
        self._settings = settings
        self._easel = Easel(screen.query_one(Stage), mailbox, terminal)
        self._form = screen.query_one(Form)
        self._runs = screen.query_one(RunList)
        self._status = screen.query_one(StatusLine)
        self._buttons = screen.query_one("#buttons", TabLine)
        self.draft: Draft | None = None
        self._run_path: Path | None = None
        self._rows: Sequence[RunRow] = ()
        self._cost: Cost | None = None
        self._machine = ""
        self._first_rows = True
        self._unannounced: Path | None = None
        # What the stage is about: each wish to see something else has a number, and letters bear that of the wish they
        # answer, so that one which comes late changes nothing.
        self._subject = 0
        self._last_subject = 0

    @property
    def live(self) -> bool:
        """Whether cheap experiments run at every change."""
        return self._settings.live

    @property
    def view(self) -> RunView | None:
        """The run on the stage."""
        return self._easel.view

    def _next_subject(self) -> int:
        self._last_subject += 1
        return self._last_subject

    def start(self) -> None:
        """Set the threads to work, and put something on the stage."""
        self._desk.start()
        self.tell_status()
        self._label_buttons()
        self._easel.start()

    # --- letters --------------------------------------------------------------------------------------------

    def receive(self, letter: object) -> None:
        """Take a letter of the desk or the drawer."""
        match letter:
            case Loaded():
                self._loaded(letter)
            case RunsChanged():
                self._runs_changed(letter.rows)
            case Began():
                self._began(letter)
            case Cost():
                self._cost = letter
                self._label_buttons()
            case Seen():
                self._seen(letter)
            case Opened():
                self.take_draft(Draft.from_file(letter.file), keep_view=letter.from_run)
            case Free():
                self._screen.app.exit()
            case Notice():
                self._status.say(letter.text, wrong=letter.wrong)
            case Drawn():
                self._easel.put(letter)

    def _loaded(self, letter: Loaded) -> None:
        self._screen.scenarios, self._screen.presets = letter.scenarios, letter.presets
        self._screen.query_one(ScenarioTree).load(letter.scenarios, letter.presets)
        self._machine = letter.machine
        for sentence in letter.broken:
            self._status.say(sentence, wrong=True)
        self.tell_status()

    def _runs_changed(self, rows: Sequence[RunRow]) -> None:
        self._rows = rows
        self._runs.load(rows)
        if self._first_rows:
            self._first_rows = False
            running = [row for row in rows if row.state == "running"]
            if running and self._run_path is None:
                self.look_at(Path(running[-1].run_dir))
        self.tell_status()

    def _began(self, letter: Began) -> None:
        if letter.subject < self._subject:
            return  # something else was asked for since
        self._subject = letter.subject
        self._run_path = letter.run
        self._runs.mark(letter.run.name)
        self._status.dismiss()
        if not letter.live:
            self._unannounced = letter.run
            self._easel.set_view(None)

    def _seen(self, letter: Seen) -> None:
        view, before = letter.view, self.view
        if letter.subject != self._subject or view.run.path != self._run_path:
            return
        if view.live and view.state == "cancelled":
            return  # superseded
        if view.live and view.active and view.result is None and before is not None:
            # The picture of the change before stays until there is a new one; the line below says that it is old.
            view = replace(view, result=before.result, outcomes=before.outcomes)
        self._easel.set_view(view, same_picture=before is not None and _looks_the_same(before, view))
        if self.draft is None and view.file is not None:
            self.take_draft(Draft.from_file(view.file), keep_view=True)
        failed = view.state in ("failed", "lost")
        if failed and (before is None or (before.run.path, before.state) != (view.run.path, view.state)):
            self._status.say(ended_words(view), wrong=True)
        elif not view.active and view.run.path == self._unannounced:
            self._unannounced = None
            self._status.say(ended_words(view))
        self.tell_status()

    def wanted(self) -> None:
        """A page came into sight, or has another size."""
        self._easel.draw()

    # --- the form -------------------------------------------------------------------------------------------

    def open_place(self, place: Place) -> None:
        """Open an experiment with its defaults, or a preset."""
        self._screen.show_pane("parameters")
        if place.preset is not None:
            self._desk.open_file(place.preset.path)
            return
        scenario = self._screen.scenarios[place.scenario]
        self.take_draft(Draft.from_defaults(scenario, scenario.experiment(place.experiment)))

    def pointed_at(self, place: Place) -> None:
        """The cursor of the tree is on something: say what it is, in full, and be ready to open it."""
        self._desk.declare(self._screen.scenarios[place.scenario])
        if place.preset is not None:
            self._status.point(place.preset.title)
        elif place.experiment:
            scenario = self._screen.scenarios[place.scenario]
            self._status.point(scenario.experiment(place.experiment).title)
        else:
            self._status.point(self._screen.scenarios[place.scenario].title)

    def take_draft(self, draft: Draft, *, keep_view: bool = False) -> None:
        """Put a draft into the form; the stage is cleared unless it shows the run the draft came from."""
        self._form.show(draft)
        self._screen.query_one("#parameters").border_title = f"{draft.scenario.name} {draft.experiment.name}"
        if not keep_view:
            self._run_path = None
            self._subject = self._next_subject()
            self._desk.look_at(None, self._subject)
            self._runs.mark("")
            self._easel.set_view(None)
        self._desk.warm(draft.scenario.name, draft.experiment.name)
        self._take_values(draft, rerun=not keep_view)
        self._easel.set_scenario(draft.scenario)
        self.tell_status()

    def form_changed(self, draft: Draft) -> None:
        """The form has other values."""
        self._take_values(draft, rerun=True)

    def _take_values(self, draft: Draft, *, rerun: bool) -> None:
        self.draft = draft
        file = self._checked()
        if file is None:
            self._cost = None
            self._label_buttons()
        else:
            self._desk.run_live(file, self._subject, allowed=self.live and rerun)

    def _checked(self) -> ScenarioFile | None:
        try:
            return None if self.draft is None else self.draft.check()
        except ParameterErrors:
            return None

    # --- keys -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run what the form says; where that is not allowed, say why."""
        if self.draft is None:
            self._status.say("Pick an experiment first: go to it in the tree and press enter.")
            return
        self._form.accept()
        try:
            file = self.draft.check()
        except ParameterErrors as error:
            first, count = error.problems[0], len(error.problems)
            more = f" (and {count - 1} more)" if count > 1 else ""
            self._status.say(f"{first}{more}", wrong=True)
            self._screen.show_pane("parameters")
            self._form.go_to_problem()
            return
        self._desk.run(file, self._next_subject())
        if self._screen.narrow:
            self._screen.show_pane("stage")

    def cancel(self) -> None:
        """Stop the run under the cursor of the list, or else the one on the stage."""
        path = self._screen.selected_run() or self._run_path
        if path is None or not self._is_active(path):
            self._status.say(
                "Nothing is running here. In the list of runs (4), x stops the one at the cursor."
            )
            return
        self._desk.cancel(path)

    def _is_active(self, path: Path) -> bool:
        """Whether a run is under way, by the list or by the stage, whichever has heard of it first."""
        if self.view is not None and self.view.run.path == path and self.view.active:
            return True
        return any(row.id == path.name and row.state in ("queued", "running") for row in self._rows)

    def toggle_live(self) -> None:
        """Run cheap experiments at every change, or stop doing so."""
        self._settings.live = not self.live
        self._label_buttons()
        self._status.say(
            "Live: cheap experiments run again as a value changes."
            if self.live
            else "Live mode is off; press r to run."
        )
        if self.live and self.draft is not None:
            self._take_values(self.draft, rerun=True)

    def keep(self) -> None:
        """Make the live run on the stage one that lasts."""
        if self.view is None or not self.view.live or self._run_path is None:
            self._status.say("Only live runs have to be kept; the others are kept already.")
            return
        if not self.view.final:
            why = "is not done yet" if self.view.active else f"is {self.view.state}, and left nothing to keep"
            self._status.say(f"This live run {why}.")
            return
        self._desk.keep_live(self._run_path)

    def reset(self) -> None:
        """Put every parameter back to its default."""
        if self.draft is not None:
            self._form.reset()

    def look_at(self, path: Path) -> None:
        """Show a run of the store, whoever started it."""
        self._run_path = path
        self._subject = self._next_subject()
        self._easel.set_view(None)
        self._runs.mark(path.name)
        self._desk.look_at(path, self._subject)

    def run_asked(self, what: str, row: RunRow) -> None:
        """Something is to be done with a run of the list."""
        path = Path(row.run_dir)
        if what == "open":
            self.look_at(path)
            self._screen.show_pane("stage")
        elif what == "parameters":
            self.look_at(path)
            self._desk.open_file(path / "scenario.toml", from_run=True)
            self._screen.show_pane("parameters")
        elif what == "resume":
            self._desk.resume(path, self._next_subject())
        elif what == "remove":
            self._delete(row)
        else:
            self._desk.move(row.id, -1 if what == "earlier" else 1)

    def _delete(self, row: RunRow) -> None:
        if row.state in ("queued", "running"):
            self._status.say("Stop the run first: x.")
            return
        ask_to_delete(self._screen.app, row.id, lambda: self._desk.remove(Path(row.run_dir)))

    def save(self) -> None:
        """Write the form as a scenario file."""
        file = self._checked()
        if self.draft is None or file is None:
            self._status.say("There is nothing to save: a parameter is missing or not allowed.", wrong=True)
            return
        text = file.to_toml()
        name = f"{self.draft.experiment.name}.toml"
        ask_where_to_save(self._screen.app, name, lambda path: self._desk.save_file(path, text))

    def open_file(self) -> None:
        """Read a scenario file into the form."""

        def named(path: Path) -> None:
            self._desk.open_file(path)
            self._screen.show_pane("parameters")

        ask_what_to_open(self._screen.app, named)

    # --- what is told ---------------------------------------------------------------------------------------

    def _label_buttons(self) -> None:
        cost = ""
        if self._cost is not None:
            live = " live" if self._cost.allowed and self.live else ""
            cost = f"~{state_words(self._cost.seconds)}{live}"
        self._buttons.set([label for label in ("Run r", "Defaults d", cost) if label], 0)

    def button(self, index: int) -> None:
        """A button under the form was clicked."""
        if index == RUN:
            self.run()
        elif index == DEFAULTS:
            self.reset()

    def tell_status(self) -> None:
        """Say what is open, and how busy the machine is."""
        left, into = "", "›" if self._terminal.unicode else ">"
        if self.view is not None and self.view.file is not None:
            left = f"{self.view.file.scenario.name} {into} {self.view.file.experiment.name}"
        elif self.draft is not None:
            left = f"{self.draft.scenario.name} {into} {self.draft.experiment.name}"
        running = sum(row.state == "running" for row in self._rows)
        queued = sum(row.state == "queued" for row in self._rows)
        parts = [self._machine] if self._machine else []
        if running:
            parts.append(f"{'●' if self._terminal.unicode else '*'} {running} running")
        if queued:
            parts.append(f"{queued} queued")
        parts.append(f"runs {home_relative(self._desk.store)}")
        self._status.show(left, "   ".join(parts))

    def close(self) -> None:
        """Draw no more."""
        self._easel.close()


def _looks_the_same(before: RunView, view: RunView) -> bool:
    """Whether the chart of a run, or the sentence in its place, is what it was."""
    if before.result is not view.result:
        return False
    return view.result is not None or (before.run.path, before.state, before.status.get("error")) == (
        view.run.path,
        view.state,
        view.status.get("error"),
    )
