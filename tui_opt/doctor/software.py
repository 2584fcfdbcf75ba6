"""Software: versions, plugins, shipped scenario files. Nothing heavy is imported to look."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from tui_opt.doctor.check import Check, Examiner, State
from tui_opt.locations import shipped_scenarios

GROUP = "software"

#: what computing needs, what only the app and the charts need, and what an extra brings.
COMPUTING = ("numpy", "scipy", "numba", "torch", "pydantic")
SHOWING = ("textual", "rich", "plotext")
EXTRAS = {
    "matplotlib": ("image", "PNG, SVG and PDF figures"),
    "xarray": ("netcdf", "netCDF files"),
    "h5netcdf": ("netcdf", "netCDF files"),
}

Version = Callable[[str], str]


def examiners() -> list[Examiner]:
    """What this module looks at."""
    return [
        Examiner(GROUP, "versions", versions),
        Examiner(GROUP, "plugins", plugins),
        Examiner(GROUP, "scenarios", lambda: scenario_files(shipped_scenarios())),
    ]


def versions(version: Version = metadata.version) -> Iterator[Check]:
    """Versions by the installed packages' own records.

    Args:
        version: gives a distribution's version or raises `PackageNotFoundError`.
    """
    found = {name: _version(name, version) for name in ("optexplore", *COMPUTING, *SHOWING, *EXTRAS)}
    values = {"python": platform.python_version(), **found}
    yield Check(GROUP, "python", "ok", f"{platform.python_version()} ({platform.python_implementation()})")
    if found["optexplore"]:
        yield Check(GROUP, "optexplore", "ok", found["optexplore"])
    else:
        advice = "Install it with pip install -e . in the checkout, so that plugins and versions are found."
        yield Check(GROUP, "optexplore", "note", "runs without being installed", advice)
    there = ", ".join(f"{name} {v}" for name, v in found.items() if v and name != "optexplore")
    yield Check(GROUP, "libraries", "ok", there or "none", values=values)
    for names, what in ((COMPUTING, "no run can be made"), (SHOWING, "neither app nor charts can be shown")):
        missing = [name for name in names if not found[name]]
        if missing:
            state: State = "problem" if names is COMPUTING else "note"
            text = f"{', '.join(missing)} not installed: {what}"
            yield Check(GROUP, "missing", state, text, f"Install with pip install {' '.join(missing)}.")
    for extra in dict.fromkeys(extra for extra, _ in EXTRAS.values()):
        missing = [name for name, (its, _) in EXTRAS.items() if its == extra and not found[name]]
        if missing:
            what = EXTRAS[missing[0]][1]
            advice = f"For {what}: pip install 'optexplore[{extra}]'."
            yield Check(GROUP, extra, "note", f"{', '.join(missing)} not installed", advice)


def _version(name: str, version: Version) -> str | None:
    try:
        return version(name)
    except metadata.PackageNotFoundError:
        return None


def plugins() -> Iterator[Check]:
    """Scenarios of other packages, and those that could not be used."""
    from tui_opt.scenario import BUILT_IN, registry

    known = registry()
    added = [name for name in known.scenarios if name not in BUILT_IN]
    yield Check(GROUP, "plugins", "ok", ", ".join(added) or "none", values={"plugins": added})
    for plugin in known.broken:
        text = f"{plugin.name} ({plugin.source}) is skipped: {plugin.reason}"
        advice = "Upgrade or uninstall the package that brings it."
        yield Check(GROUP, "plugin", "problem", text, advice)


def scenario_files(folder: Path) -> Iterator[Check]:
    """Whether the shipped scenario files are there and all can be used."""
    from tui_opt.scenario_file import ScenarioFileError, read_file

    paths = sorted(folder.glob("**/*.toml"))
    if not paths:
        text = f"no scenario files in {folder}"
        yield Check(
            GROUP, "scenarios", "problem", text, "Install optexplore again: the installation is not complete."
        )
        return
    bad = 0
    for path in paths:
        try:
            read_file(path)
        except ScenarioFileError as error:
            bad += 1
            text = f"{path.relative_to(folder)}: {error.problems[0]}"
            yield Check(GROUP, "scenario", "problem", text, "Restore the file, or install optexplore again.")
    text = (
        f"{len(paths) - bad} of {len(paths)} scenario files can be used"
        if bad
        else f"{len(paths)} files, all valid"
    )
    yield Check(
        GROUP, "scenarios", "ok", text, values={"files": len(paths), "invalid": bad, "folder": str(folder)}
    )
