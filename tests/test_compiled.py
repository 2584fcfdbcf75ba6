"""Compiled kernels are kept in the user's cache, and never found again once a source has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_opt.runner import compiled
from tui_opt.runner.compiled import KEPT_SECONDS, compiled_folder, sources_digest
from tui_opt.runner.machine import prepare_compilation

COMPILE = """
from tui_opt.runner.machine import prepare_compilation
prepare_compilation()
import tui_opt.kernels.laws
"""


def test_kernels_are_compiled_once_into_the_user_s_cache(
    environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    env = environment(OPTEXPLORE_CACHE_DIR=str(tmp_path))
    env.pop("NUMBA_CACHE_DIR")
    made = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COMPILE], env=env, check=True, timeout=120)
        made.append({p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nb[ci]")})
    folder = tmp_path / "numba" / sources_digest()
    assert made[0]
    assert all(path.is_relative_to(folder) for path in made[0])
    assert made[1] == made[0]


def test_a_place_that_the_user_names_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    prepare_compilation()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path)


def test_any_source_counts(tmp_path: Path) -> None:
    shutil.copytree(compiled.KERNELS, tmp_path / "same")
    assert sources_digest(tmp_path / "same") == sources_digest()
    seen = {sources_digest()}
    for k, change in enumerate(("lanes.py", "fitting/basins.py", "new.py")):
        other = tmp_path / f"changed-{k}"
        shutil.copytree(compiled.KERNELS, other)
        with open(other / change, "a") as file:
            file.write("\n")
        seen.add(sources_digest(other))
    assert len(seen) == 4


def test_what_was_not_used_for_long_is_removed(tmp_path: Path) -> None:
    for name in ("old", "recent"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.nbi").write_bytes(b"")
    long_ago = (tmp_path / "old").stat().st_mtime - KEPT_SECONDS - 60
    os.utime(tmp_path / "old", (long_ago, long_ago))
    assert compiled_folder(tmp_path).parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["recent"]
    compiled_folder(tmp_path / "nowhere")
