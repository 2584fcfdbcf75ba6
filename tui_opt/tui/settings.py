"""What the app remembers from one start to the next: its theme, and whether cheap experiments run live."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from tui_opt.locations import APP

DEFAULT_THEME = "optexplore"


@dataclass(frozen=True)
class Settings:
    """The settings; whatever cannot be read is as if it had never been set."""

    theme: str = DEFAULT_THEME
    live: bool = True


def _path() -> Path:
    """`OPTEXPLORE_CONFIG_DIR`, else the platform's folder for settings."""
    given = os.environ.get("OPTEXPLORE_CONFIG_DIR")
    folder = Path(given).expanduser() if given else Path(platformdirs.user_config_dir(APP))
    return folder / "app.toml"


def read_settings() -> Settings:
    """The settings as they were left."""
    try:
        document = tomllib.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    theme, live = document.get("theme"), document.get("live")
    return Settings(
        theme if isinstance(theme, str) else DEFAULT_THEME, live if isinstance(live, bool) else True
    )


def write_settings(settings: Settings) -> None:
    """Keep the settings; where they cannot be kept, nothing is lost but a habit."""
    import tomli_w

    from tui_opt.runner.files import write_text

    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, tomli_w.dumps({"theme": settings.theme, "live": settings.live}), sync=False)
    except OSError:
        return


class Keeper:
    """The settings while the app runs.

    Args:
        later: does the writing, where it keeps nobody waiting.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._now = read_settings()
        self._later = later

    @property
    def theme(self) -> str:
        """The theme's name."""
        return self._now.theme

    @theme.setter
    def theme(self, name: str) -> None:
        self._keep(replace(self._now, theme=name))

    @property
    def live(self) -> bool:
        """Whether cheap experiments run at every change."""
        return self._now.live

    @live.setter
    def live(self, on: bool) -> None:
        self._keep(replace(self._now, live=on))

    def _keep(self, settings: Settings) -> None:
        if settings != self._now:
            self._now = settings
            self._later(lambda: write_settings(settings))
