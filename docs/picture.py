"""The picture in the README: the app itself, after a real run, as it exports its screen.

python docs/picture.py [SCENARIO_FILE]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
SCENARIO = DOCS.parent / "scenarios" / "toy-sgd" / "escape.toml"
SIZE = (124, 38)
PATIENCE = 300.0


async def take(scenario: Path, store: Path) -> str:
    """Open a scenario file in the app, run it to its end, and take the screen as SVG."""
    from tui_opt.tui.app import OptexploreApp

    app = OptexploreApp(store)
    async with asyncio.timeout(PATIENCE), app.run_test(size=SIZE) as pilot:
        bench = None
        while bench is None or not app._main.presets:
            await pilot.pause(0.05)
            bench = app._main.bench
        app.desk.open_file(scenario)
        while bench.draft is None:
            await pilot.pause(0.05)
        bench.run()
        while bench.view is None or not bench.view.final or "done" not in shown(app):
            await pilot.pause(0.05)
        app._main.show_pane("parameters")
        await pilot.press("down", "down", "down")
        bench._status.dismiss()
        await pilot.pause(0.5)
        return app.export_screenshot(title="optexplore", simplify=True)


def shown(app: object) -> str:
    """The text on the screen."""
    rows = app.screen._compositor.render_strips()  # type: ignore[attr-defined]
    return "\n".join("".join(segment.text for segment in row) for row in rows)


def main() -> None:
    """Write `docs/optexplore.svg`."""
    scenario = Path(sys.argv[1]) if len(sys.argv) > 1 else SCENARIO
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        own = {
            "OPTEXPLORE_CONFIG_DIR": folder,
            "HOME": folder,
        }  # nobody's settings, and a short name for the store
        os.environ |= {**own, "TEXTUAL_ANIMATIONS": "none", "COLORTERM": "truecolor"}
        os.environ.pop("NO_COLOR", None)
        svg = asyncio.run(take(scenario, home / "optexplore"))
    path = DOCS / "optexplore.svg"
    path.write_text(svg, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
