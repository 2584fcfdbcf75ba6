"""What the app imports when: the first frame next to nothing, and never a library of numerics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

FIRST_FRAME = """
import asyncio, json, sys
from pathlib import Path
from tui_opt.tui import screens
from tui_opt.tui.app import OptexploreApp
from tui_opt.tui.screens.main import MainScreen

seen = []

async def furnish(self):
    seen.extend(sys.modules)

MainScreen._furnish = furnish

async def main():
    app = OptexploreApp(Path(sys.argv[1]))
    async with app.run_test() as pilot:
        while not seen:
            await pilot.pause()
        rows = app.screen._compositor.render_strips()
        assert any("escape-law" in "".join(s.text for s in row) for row in rows)

asyncio.run(main())
print("IMPORTED", json.dumps(sorted({name.partition(".")[0] for name in seen})))
"""

WHOLE_RUN = """
import asyncio, json, sys
from pathlib import Path
from tests.tui.driving import driving

async def main():
    async with driving(Path(sys.argv[1])) as d:
        await d.open("toy-sgd", "landscape")
        await d.until("done (live)")
        await d.until("stationary points")
        for _ in range(4):
            await d.press("2", "right")
            await asyncio.sleep(0.2)

asyncio.run(main())
print("IMPORTED", json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.fixture
def imported(environment: Callable[..., dict[str, str]], tmp_path) -> Callable[[str], set[str]]:
    def run(code: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "runs")],
            capture_output=True,
            text=True,
            env=environment(OPTEXPLORE_CONFIG_DIR=str(tmp_path), PYTHONWARNINGS="ignore"),
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        line = next(x for x in done.stdout.splitlines() if x.startswith("IMPORTED"))
        return set(json.loads(line.removeprefix("IMPORTED")))

    return run


def test_the_first_frame_waits_for_no_library_but_textual(imported):
    found = imported(FIRST_FRAME)
    assert "textual" in found
    assert not found & {
        "numpy",
        "scipy",
        "numba",
        "torch",
        "matplotlib",
        "pydantic",
        "plotext",
        "click",
        "sqlite3",
    }


def test_the_app_draws_without_any_library_of_numerics_but_numpy(imported):
    found = imported(WHOLE_RUN)
    assert {"numpy", "plotext", "pydantic"} <= found
    assert not found & {"scipy", "numba", "torch", "matplotlib", "sklearn", "pandas", "click"}
